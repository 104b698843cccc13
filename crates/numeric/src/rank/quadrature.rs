//! Gauss' quadrature: integrals over 0..1 that are exact for polynomials.

/// One point of a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// `t`, in 0..1.
    pub(super) at: f64,
    /// `1 − t`.
    pub(super) rest: f64,
    /// What the value there counts.
    pub(super) weight: f64,
}

/// The `count` points that make the integral of any polynomial of a degree below `2·count`.
pub(super) fn points(count: usize) -> Vec<Point> {
    let point = |at: usize| {
        let mut x = (std::f64::consts::PI * (at as f64 + 0.75) / (count as f64 + 0.5)).cos();
        // Newton's method; from there the roots of the Legendre polynomial are reached in four steps.
        for _ in 0..8 {
            let (value, slope) = legendre(count, x);
            x -= value / slope;
        }
        let (_, slope) = legendre(count, x);
        let weight = ((1.0 - x * x) * slope * slope).recip();
        Point { at: f64::midpoint(1.0, x), rest: f64::midpoint(1.0, -x), weight }
    };
    (0..count).map(point).collect()
}

/// The Legendre polynomial of degree `n` ≥ 1 and its slope, for −1 < x < 1.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_exact() {
        for count in 1..=16 {
            for degree in 0..2 * count {
                let terms = points(count).into_iter().map(|p| p.weight * p.at.powi(degree as i32));
                let error = terms.sum::<f64>() - 1.0 / (degree as f64 + 1.0);
                assert!(error.abs() < 1e-14, "{count} {degree} {error}");
            }
        }
    }
}
