//! EASE of Steck, *Embarrassingly Shallow Autoencoders for Sparse Data* (WWW 2019): with binary `R` and
//! `P = (RᵀR + λI)⁻¹`, `B_ij = −P_ij / P_jj` off the diagonal is the linear map of a user's items onto themselves that,
//! told nothing of an item by that item, leaves the least squared error with `λ‖B‖²`.

use super::Error;
use super::neighbours::{self, Neighbours};
use crate::interactions::Interactions;
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, MatRef, Side};
use rayon::prelude::*;

/// Most items: `RᵀR`, its factor and its inverse are dense, 12 bytes times the square of this together.
pub(super) const MOST_ITEMS: usize = 16_000;

/// The strongest `most` entries of every row of `B` by size, all if 0.
pub(super) fn fit(
    interactions: &Interactions,
    ridge: f32,
    most: usize,
) -> Result<Neighbours, Error> {
    let by_item = interactions.transpose();
    let items = by_item.users();
    if items > MOST_ITEMS {
        return Err(Error::TooManyItems(items));
    }
    let inverse = inverse(&gram(interactions, &by_item, ridge), items)?;
    let scales: Vec<f32> = (0..items).map(|item| -inverse[(item, item)].recip()).collect();
    let row = |item: usize| {
        // The inverse is symmetric: its columns, which lie in one piece, are its rows.
        let column = inverse.col(item);
        let weights = column.iter().zip(&scales).enumerate();
        let off = weights.filter(|(other, (value, _))| *other != item && **value != 0.0);
        neighbours::strongest(
            off.map(|(other, (p, scale))| (other as u32, p * scale)).collect(),
            most,
        )
    };
    Ok(Neighbours::from_rows((0..items).into_par_iter().map(row).collect()))
}

/// `RᵀR + λI`, row-major.
fn gram(by_user: &Interactions, by_item: &Interactions, ridge: f32) -> Vec<f32> {
    let items = by_item.users();
    let mut gram = vec![0.0_f32; items * items];
    gram.par_chunks_mut(items).enumerate().for_each(|(item, row)| {
        for user in by_item.row(item).0 {
            for other in by_user.row(*user as usize).0 {
                row[*other as usize] += 1.0;
            }
        }
        row[item] += ridge;
    });
    gram
}

fn inverse(symmetric: &[f32], size: usize) -> Result<Mat<f32>, Error> {
    let matrix = MatRef::from_row_major_slice(symmetric, size, size);
    let factored = matrix.llt(Side::Lower).map_err(|_| Error::Decomposition)?;
    let inverse = factored.inverse();
    let sound =
        (0..size).all(|item| inverse[(item, item)] > 0.0 && inverse[(item, item)].is_finite());
    sound.then_some(inverse).ok_or(Error::Decomposition)
}
