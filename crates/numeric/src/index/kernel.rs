//! Products of 8-bit codes, by the widest instructions the machine has.
//!
//! Sums of integers do not depend on their order: every kernel gives the same numbers, bit for bit. That is what
//! the test below holds each of them to.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Codes side by side: one cache line, two or four or eight registers.
pub(super) const LANES: usize = 64;

/// The longest vector a kernel takes, in [`Line`]s: 65,536 codes, beyond which a 32-bit sum could overflow.
pub(super) const MAX_LINES: usize = 1024;

/// How many vectors ahead of the one being read the memory is asked for.
pub(super) const AHEAD: usize = 8;

/// Codes of one vector, −127..=127, filled up with zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [i8; LANES]);

impl Line {
    pub(super) const ZERO: Self = Self([0; LANES]);
}

/// One implementation of [`Kernel::dots`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// Plain loops.
    Portable,
    /// 32 codes at once.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 64 codes at once, multiplied and summed by one instruction.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// 16 codes at once.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Kernel {
    /// Every kernel this machine can run, the fastest first.
    pub(super) fn available() -> Vec<Self> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if x86::has_avx512_vnni() {
                kernels.push(Self::Avx512Vnni);
            }
            if x86::has_avx2() {
                kernels.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if neon::is_available() {
            kernels.push(Self::Neon);
        }
        kernels.push(Self::Portable);
        kernels
    }

    /// `out[n] = query · vector rows[n]`. `codes` holds vector after vector, each as long as `query`.
    ///
    /// # Panics
    /// If `codes` ends before a row, or the query is longer than [`MAX_LINES`].
    pub(super) fn dots(self, query: &[Line], codes: &[Line], rows: &[u32], out: &mut [i32]) {
        assert!(query.len() <= MAX_LINES, "{} lines", query.len());
        let vector = |row: u32| &codes[row as usize * query.len()..][..query.len()];
        let vectors = rows.iter().zip(out).enumerate().map(|(n, (&row, out))| {
            if let Some(&later) = rows.get(n + AHEAD) {
                prefetch(vector(later));
            }
            (vector(row), out)
        });
        match self {
            Self::Portable => vectors.for_each(|(vector, out)| *out = dot(query, vector)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::dots_avx2(query, vectors),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => x86::dots_avx512_vnni(query, vectors),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon::dots(query, vectors),
        }
    }
}

/// Asks for `data` to be brought near, without waiting for it. Does nothing where the machine has no such way.
#[inline]
pub(super) fn prefetch<T>(data: &[T]) {
    #[cfg(target_arch = "x86_64")]
    x86::prefetch(data);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = data;
}

fn dot(a: &[Line], b: &[Line]) -> i32 {
    let products = |(a, b): (&Line, &Line)| -> i32 {
        a.0.iter().zip(&b.0).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
    };
    a.iter().zip(b).map(products).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    /// Codes of every size, the largest often among them.
    fn lines(count: usize, random: &mut SmallRng) -> Vec<Line> {
        let mut code = || random.random_range(-200_i16..=200).clamp(-127, 127) as i8;
        (0..count).map(|_| Line(std::array::from_fn(|_| code()))).collect()
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_same_sums(
            (length, seed) in (1_usize..12, 0_u64..10_000),
            rows in prop::collection::vec(0_u32..9, 0..20),
        ) {
            let mut random = SmallRng::seed_from_u64(seed);
            let (query, codes) = (lines(length, &mut random), lines(length * 9, &mut random));
            let expect: Vec<i64> = rows.iter().map(|&row| {
                let vector = &codes[row as usize * length..][..length];
                let both = query.iter().zip(vector).flat_map(|(a, b)| a.0.into_iter().zip(b.0));
                both.map(|(a, b)| i64::from(a) * i64::from(b)).sum()
            }).collect();
            for kernel in Kernel::available() {
                let mut out = vec![7; rows.len()];
                kernel.dots(&query, &codes, &rows, &mut out);
                let found: Vec<i64> = out.into_iter().map(i64::from).collect();
                prop_assert_eq!(&found, &expect, "{:?}", kernel);
            }
        }
    }

    /// The largest sums there can be, of either sign.
    #[test]
    fn nothing_overflows() {
        for (a, b) in [(127, 127), (127, -127), (-127, 127), (-127, -127)] {
            let (query, codes) =
                (vec![Line([a; LANES]); MAX_LINES], vec![Line([b; LANES]); MAX_LINES]);
            for kernel in Kernel::available() {
                let mut out = [0];
                kernel.dots(&query, &codes, &[0], &mut out);
                let expect = i32::from(a) * i32::from(b) * (MAX_LINES * LANES) as i32;
                assert_eq!(out, [expect], "{kernel:?}");
            }
        }
    }
}
