//! The kernels for x86-64.
#![expect(
    unsafe_code,
    reason = "registers are loaded from lines; instructions are used where the machine has them"
)]

use super::{LANES, Line};
use std::arch::x86_64::{
    __m256i, __m512i, _MM_HINT_T0, _mm_add_epi32, _mm_cvtsi128_si32, _mm_prefetch,
    _mm_shuffle_epi32, _mm256_abs_epi8, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_load_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_set1_epi16, _mm256_setzero_si256, _mm256_sign_epi8, _mm512_dpbusd_epi32,
    _mm512_load_si512, _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_setzero_si512,
    _mm512_sub_epi32, _mm512_xor_si512,
};

pub(super) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

pub(super) fn has_avx512_vnni() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni")
}

#[inline]
pub(super) fn prefetch<T>(data: &[T]) {
    let start = data.as_ptr().cast::<i8>();
    for offset in (0..size_of_val(data)).step_by(size_of::<Line>()) {
        // SAFETY: prefetching reads nothing; every x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(offset)) };
    }
}

/// # Panics
/// Without [`has_avx2`].
pub(super) fn dots_avx2<'v>(
    query: &[Line],
    vectors: impl Iterator<Item = (&'v [Line], &'v mut i32)>,
) {
    assert!(has_avx2());
    // SAFETY: the machine has what the function is compiled for.
    unsafe { avx2(query, vectors) }
}

/// # Panics
/// Without [`has_avx512_vnni`].
pub(super) fn dots_avx512_vnni<'v>(
    query: &[Line],
    vectors: impl Iterator<Item = (&'v [Line], &'v mut i32)>,
) {
    assert!(has_avx512_vnni());
    // SAFETY: the machine has what the function is compiled for.
    unsafe { avx512_vnni(query, vectors) }
}

#[target_feature(enable = "avx2")]
fn avx2<'v>(query: &[Line], vectors: impl Iterator<Item = (&'v [Line], &'v mut i32)>) {
    let ones = _mm256_set1_epi16(1);
    for (vector, out) in vectors {
        let mut sums = [_mm256_setzero_si256(); 2];
        for (q, v) in query.iter().zip(vector) {
            for (half, sum) in sums.iter_mut().enumerate() {
                let (q, v) = (half_of(q, half), half_of(v, half));
                // q·v = |q|·(v with the sign of q). Two such products make at most 2·127², which 16 bits hold.
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(v, q));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
            }
        }
        *out = sum_of(_mm256_add_epi32(sums[0], sums[1]));
    }
}

#[target_feature(enable = "avx2")]
fn half_of(line: &Line, half: usize) -> __m256i {
    let codes: &[i8; LANES / 2] = &line.0.as_chunks().0[half];
    // SAFETY: 32 bytes; a line lies at a multiple of 64, its halves at multiples of 32.
    unsafe { _mm256_load_si256(codes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn sum_of(lanes: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256::<1>(lanes));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn avx512_vnni<'v>(query: &[Line], vectors: impl Iterator<Item = (&'v [Line], &'v mut i32)>) {
    let shift = _mm512_set1_epi8(-128);
    for (vector, out) in vectors {
        let (mut sum, mut excess) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        for (q, v) in query.iter().zip(vector) {
            let (q, v) = (whole(q), whole(v));
            // One side has to be unsigned: (q + 128)·v − 128·v.
            sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(q, shift), v);
            excess = _mm512_dpbusd_epi32(excess, shift, v);
        }
        *out = _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, excess));
    }
}

#[target_feature(enable = "avx512f")]
fn whole(line: &Line) -> __m512i {
    // SAFETY: 64 bytes at a multiple of 64.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}
