//! The kernel for 64-bit ARM.
#![expect(
    unsafe_code,
    reason = "registers are loaded from lines; instructions are used where the machine has them"
)]

use super::{LANES, Line};
use std::arch::aarch64::{
    int8x16_t, vaddvq_s32, vdupq_n_s32, vget_low_s8, vld1q_s8, vmlal_high_s8, vmull_s8, vpadalq_s16,
};
use std::arch::is_aarch64_feature_detected;

pub(super) fn is_available() -> bool {
    is_aarch64_feature_detected!("neon")
}

/// # Panics
/// Without [`is_available`].
pub(super) fn dots<'v>(query: &[Line], vectors: impl Iterator<Item = (&'v [Line], &'v mut i32)>) {
    assert!(is_available());
    // SAFETY: the machine has what the function is compiled for.
    unsafe { neon(query, vectors) }
}

#[target_feature(enable = "neon")]
fn neon<'v>(query: &[Line], vectors: impl Iterator<Item = (&'v [Line], &'v mut i32)>) {
    for (vector, out) in vectors {
        let mut sums = [vdupq_n_s32(0); LANES / 16];
        for (q, v) in query.iter().zip(vector) {
            for (quarter, sum) in sums.iter_mut().enumerate() {
                let (q, v) = (quarter_of(q, quarter), quarter_of(v, quarter));
                // Two products make at most 2·127², which 16 bits hold.
                let low = vmull_s8(vget_low_s8(q), vget_low_s8(v));
                *sum = vpadalq_s16(*sum, vmlal_high_s8(low, q, v));
            }
        }
        *out = sums.into_iter().map(|lanes| vaddvq_s32(lanes)).sum();
    }
}

#[target_feature(enable = "neon")]
fn quarter_of(line: &Line, quarter: usize) -> int8x16_t {
    let codes: &[i8; 16] = &line.0.as_chunks().0[quarter];
    // SAFETY: 16 bytes.
    unsafe { vld1q_s8(codes.as_ptr()) }
}
