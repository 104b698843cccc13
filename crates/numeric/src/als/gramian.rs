//! `G = YᵀY`, the same whatever the number of threads.

use crate::matrix::Matrix;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows summed in single precision before the sum is carried over to double precision.
const CHUNK: usize = 256;

/// `YᵀY`, f×f, summed in a fixed order.
pub(super) fn gramian(rows: &Matrix) -> Vec<f64> {
    let width = rows.width();
    let mut sum = vec![0.0_f64; width * width];
    // A group of chunks is multiplied in parallel and added in order: bounded memory, fixed order.
    for group in rows.as_slice().chunks(width * CHUNK * 32) {
        let parts: Vec<Vec<f32>> =
            group.par_chunks(width * CHUNK).map(|chunk| chunk_gramian(chunk, width)).collect();
        for part in parts {
            for (total, value) in sum.iter_mut().zip(part) {
                *total += f64::from(value);
            }
        }
    }
    sum
}

fn chunk_gramian(chunk: &[f32], width: usize) -> Vec<f32> {
    let mut part = vec![0.0_f32; width * width];
    let y = MatRef::from_row_major_slice(chunk, chunk.len() / width, width);
    let g = MatMut::from_row_major_slice_mut(&mut part, width, width);
    matmul(g, Accum::Replace, y.transpose(), y, 1.0, Par::Seq);
    part
}
