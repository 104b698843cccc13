//! Vectors of one byte a number.

use super::kernel::{LANES, Line};
use crate::matrix::dot;

/// How a code stands to its vector: `v ≈ scale·code`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Code {
    /// What one step of the code is worth.
    pub(super) scale: f32,
    /// `‖v − scale·code‖`.
    pub(super) residual: f32,
    /// `‖scale·code‖`.
    pub(super) length: f32,
}

/// Lines that a vector of `width` numbers takes.
pub(super) fn lines_of(width: usize) -> usize {
    width.div_ceil(LANES)
}

/// Writes the code of `vector`, which must have length 1: its largest number becomes ±127. Lines must be
/// [`lines_of`] its width.
pub(super) fn encode(vector: &[f32], lines: &mut [Line]) -> Code {
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    let (mut rest, mut kept) = (vec![0.0; vector.len()], vec![0.0; vector.len()]);
    for (line, from) in lines.iter_mut().zip((0..).step_by(LANES)) {
        *line = Line::ZERO;
        let places = vector.iter().zip(&mut rest).zip(&mut kept).skip(from);
        for (code, ((value, rest), kept)) in line.0.iter_mut().zip(places) {
            *code = ((value / scale).round() as i8).clamp(-127, 127);
            *kept = f32::from(*code) * scale;
            *rest = value - *kept;
        }
    }
    Code { scale, residual: dot(&rest, &rest).sqrt(), length: dot(&kept, &kept).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_code_is_within_half_a_step(vector in prop::collection::vec(-2.0_f32..2.0, 1..200)) {
            prop_assume!(vector.iter().any(|value| *value != 0.0));
            let mut lines = vec![Line([9; LANES]); lines_of(vector.len())];
            let code = encode(&vector, &mut lines);
            let codes: Vec<i8> = lines.iter().flat_map(|line| line.0).collect();
            prop_assert!(codes.iter().any(|code| code.abs() == 127));
            prop_assert!(codes[vector.len()..].iter().all(|code| *code == 0));
            let (mut rests, mut kept) = (0.0_f64, 0.0_f64);
            for (value, code_value) in vector.iter().zip(&codes) {
                let back = f64::from(*code_value) * f64::from(code.scale);
                let rest = f64::from(*value) - back;
                prop_assert!(rest.abs() <= f64::from(code.scale) * 0.5001, "{rest} of {}", code.scale);
                rests += rest * rest;
                kept += back * back;
            }
            prop_assert!((f64::from(code.residual) - rests.sqrt()).abs() < 1e-5);
            prop_assert!((f64::from(code.length) - kept.sqrt()).abs() < 1e-5);
        }
    }
}
