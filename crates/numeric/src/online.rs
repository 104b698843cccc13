//! A ranking that learns from every event, in closed form.
//!
//! An item's score is `f + y`: `f` is what is known already, `y` is learned. With features `z` (d) of the item and a context
//! `h` (c) of the moment,
//!
//! ```text
//! y = hᵀ B z                                        B: c×d
//! q = softmax(o + f + y)                            over the list an item was chosen from, o as in [`listwise`]
//! H = Cov_q(z),  r = z_chosen − E_q(z) + H Bᵀh      a lesson
//! P ← γ P + v (h hᵀ) ⊗ H,  b ← γ b + v h ⊗ r        v: what the event weighs; γ: forgetting
//! vec(B) = (P + ρ I)⁻¹ b
//! ```
//!
//! Each lesson is the second-order expansion of the list's negative log-likelihood around the present `B`: with `γ = 1` and `B`
//! solved after every event this is the online Newton step (Hazan, Agarwal & Kale, *Logarithmic regret algorithms for online
//! convex optimization*, 2007). Lessons are all the state depends on: whoever takes in the same lessons in the same order has
//! the same state, to the last bit.

use crate::cholesky;
use crate::listwise::{List, Scratch, dot};

/// How a state learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// `ρ`, above 0: the pull of every weight towards 0.
    pub ridge: f64,
    /// `γ`, above 0, at most 1: what is left of older lessons after a new one.
    pub forgetting: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { ridge: 10.0, forgetting: 0.9995 }
    }
}

/// What one event teaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// `h`.
    pub context: Vec<f32>,
    /// The lower triangle of `H`, row by row.
    pub curvature: Vec<f32>,
    /// `r`.
    pub pull: Vec<f32>,
    /// `v`, above 0.
    pub weight: f32,
}

/// What was learned so far.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    features: usize,
    contexts: usize,
    options: Options,
    /// `P`, (c·d)×(c·d), row-major; its lower triangle.
    precision: Vec<f64>,
    /// `b`, c×d.
    right: Vec<f64>,
    /// `B`, c×d.
    solution: Vec<f64>,
    lessons: u64,
}

/// Why a stored state or lesson cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// It is of another width.
    Shape,
    /// A number in it is not finite.
    Number,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape => write!(f, "it is of another width"),
            Self::Number => write!(f, "it holds a number that is not finite"),
        }
    }
}

impl std::error::Error for Error {}

/// A state's numbers, for storage.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// `P`, (c·d)×(c·d), row-major.
    pub precision: Vec<f64>,
    /// `b`, c·d.
    pub right: Vec<f64>,
    /// `vec(B)`, c·d.
    pub solution: Vec<f64>,
    /// How many lessons it rests on.
    pub lessons: u64,
}

impl State {
    /// Nothing is learned yet: `B` is zero and changes no score.
    pub fn new(features: usize, contexts: usize, options: Options) -> Self {
        let n = features * contexts;
        Self {
            features,
            contexts,
            options,
            precision: vec![0.0; n * n],
            right: vec![0.0; n],
            solution: vec![0.0; n],
            lessons: 0,
        }
    }

    /// A stored state.
    ///
    /// # Errors
    /// If the parts are not of this shape or hold a number that is not finite.
    pub fn from_parts(
        (features, contexts): (usize, usize),
        options: Options,
        parts: Parts,
    ) -> Result<Self, Error> {
        let Parts { precision, right, solution, lessons } = parts;
        let n = features * contexts;
        if precision.len() != n * n || right.len() != n || solution.len() != n {
            return Err(Error::Shape);
        }
        let mut numbers = precision.iter().chain(&right).chain(&solution);
        if !numbers.all(|number| number.is_finite()) {
            return Err(Error::Number);
        }
        Ok(Self { features, contexts, options, precision, right, solution, lessons })
    }

    /// Its numbers.
    pub fn to_parts(&self) -> Parts {
        Parts {
            precision: self.precision.clone(),
            right: self.right.clone(),
            solution: self.solution.clone(),
            lessons: self.lessons,
        }
    }

    /// How many lessons it rests on.
    pub fn lessons(&self) -> u64 {
        self.lessons
    }

    /// How it learns.
    pub fn options(&self) -> Options {
        self.options
    }

    /// `B`, c×d, row-major.
    pub fn solution(&self) -> &[f64] {
        &self.solution
    }

    /// d, c.
    pub fn shape(&self) -> (usize, usize) {
        (self.features, self.contexts)
    }

    /// `Bᵀh`: what every feature weighs in this context, beside `f`.
    ///
    /// # Panics
    /// If the context is of another width.
    pub fn weights(&self, context: &[f32]) -> Vec<f64> {
        assert!(context.len() == self.contexts, "a context of {}", self.contexts);
        let mut weights = vec![0.0; self.features];
        for (h, row) in context.iter().zip(self.solution.chunks_exact(self.features)) {
            weights.iter_mut().zip(row).for_each(|(sum, b)| *sum += f64::from(*h) * b);
        }
        weights
    }

    /// What the choice from `list` teaches in this context. The list's features are `z`; its offsets hold `o + f`. Nothing if
    /// a number is not finite.
    ///
    /// # Panics
    /// If the widths are not the state's.
    pub fn lesson(&self, list: List<'_>, context: &[f32], scratch: &mut Scratch) -> Option<Lesson> {
        let weights = self.weights(context);
        let d = self.features;
        let moments = scratch.moments(list, |row| dot(row, &weights));
        let chosen = &list.features[list.chosen * d..(list.chosen + 1) * d];
        let pull = (0..d).map(|k| {
            let row = &moments.covariance[k * d..(k + 1) * d];
            let known: f64 = row.iter().zip(&weights).map(|(h, w)| h * w).sum();
            (f64::from(chosen[k]) - moments.mean[k] + known) as f32
        });
        let pull: Vec<f32> = pull.collect();
        let lower = (0..d).flat_map(|k| &moments.covariance[k * d..=k * d + k]);
        let curvature: Vec<f32> = lower.map(|value| *value as f32).collect();
        let lesson = Lesson { context: context.to_vec(), curvature, pull, weight: list.weight };
        lesson.is_finite().then_some(lesson)
    }

    /// Takes a lesson in; it counts once [`State::solve`] is called.
    ///
    /// # Errors
    /// If the lesson is of another shape or not finite; nothing changed then.
    pub fn learn(&mut self, lesson: &Lesson) -> Result<(), Error> {
        let (d, c) = (self.features, self.contexts);
        let triangle = d * (d + 1) / 2;
        if (lesson.context.len(), lesson.pull.len(), lesson.curvature.len()) != (c, d, triangle) {
            return Err(Error::Shape);
        }
        if !lesson.is_finite() {
            return Err(Error::Number);
        }
        let (n, gamma, v) = (c * d, self.options.forgetting, f64::from(lesson.weight));
        for at in 0..n {
            self.precision[at * n..=at * n + at].iter_mut().for_each(|p| *p *= gamma);
        }
        self.right.iter_mut().for_each(|b| *b *= gamma);
        for (a, h) in lesson.context.iter().enumerate() {
            let h = v * f64::from(*h);
            let right = &mut self.right[a * d..(a + 1) * d];
            right.iter_mut().zip(&lesson.pull).for_each(|(b, r)| *b += h * f64::from(*r));
            for (e, other) in lesson.context.iter().enumerate().take(a + 1) {
                let scale = h * f64::from(*other);
                self.add_block((a, e), scale, &lesson.curvature);
            }
        }
        self.lessons += 1;
        Ok(())
    }

    /// Adds `scale·H` to block `(a, e)`, `e ≤ a`, of `P`.
    fn add_block(&mut self, (a, e): (usize, usize), scale: f64, lower: &[f32]) {
        let (d, n) = (self.features, self.features * self.contexts);
        let mut at = 0;
        for k in 0..d {
            for j in 0..=k {
                let value = scale * f64::from(lower[at]);
                at += 1;
                self.precision[(a * d + k) * n + e * d + j] += value;
                // Off the diagonal blocks H is needed whole.
                if e < a && j < k {
                    self.precision[(a * d + j) * n + e * d + k] += value;
                }
            }
        }
    }

    /// Works `B` out from all lessons. If that fails it stays as it was, and `false` is answered.
    pub fn solve(&mut self) -> bool {
        let n = self.right.len();
        let mut matrix = self.precision.clone();
        for at in 0..n {
            matrix[at * n + at] += self.options.ridge;
        }
        let Some(solution) = cholesky::solve(&matrix, &self.right) else { return false };
        self.solution = solution;
        true
    }
}

impl Lesson {
    fn is_finite(&self) -> bool {
        let mut numbers = self.context.iter().chain(&self.curvature).chain(&self.pull);
        numbers.all(|number| number.is_finite()) && self.weight.is_finite() && self.weight > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const D: usize = 3;
    const ITEMS: usize = 12;

    /// A list of random items from which the one with most of `want` was chosen.
    fn list(rng: &mut ChaCha8Rng, want: [f64; D]) -> (Vec<f32>, usize) {
        let features: Vec<f32> = (0..ITEMS * D).map(|_| rng.random_range(-1.0..1.0)).collect();
        let score = |at: &usize| dot(&features[at * D..(at + 1) * D], &want);
        let best = (0..ITEMS).max_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or(0);
        (features, best)
    }

    fn taught(lessons: usize, options: Options) -> State {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut state = State::new(D, 2, options);
        for n in 0..lessons {
            let night = n % 2 == 0;
            let context = [1.0, if night { 1.0 } else { -1.0 }];
            let want = if night { [2.0, 0.0, 0.0] } else { [0.0, 2.0, 0.0] };
            let (features, chosen) = list(&mut rng, want);
            let list = List { features: &features, offsets: &[0.0; ITEMS], chosen, weight: 1.0 };
            let lesson = state.lesson(list, &context, &mut Scratch::default());
            state.learn(&lesson.expect("finite")).expect("of the shape");
            state.solve();
        }
        state
    }

    #[test]
    fn what_is_wanted_when_is_learned() {
        let state = taught(300, Options { ridge: 1.0, forgetting: 1.0 });
        let (night, day) = (state.weights(&[1.0, 1.0]), state.weights(&[1.0, -1.0]));
        assert!(night[0] > 2.0 && night[1].abs() < night[0] / 4.0, "{night:?}");
        assert!(day[1] > 2.0 && day[0].abs() < day[1] / 4.0, "{day:?}");
    }

    #[test]
    fn nothing_learned_changes_nothing() {
        assert_eq!(State::new(D, 2, Options::default()).weights(&[1.0, 0.5]), [0.0; D]);
    }

    #[test]
    fn what_is_forgotten_counts_less() {
        let keeps = taught(200, Options { ridge: 10.0, forgetting: 1.0 });
        let forgets = taught(200, Options { ridge: 10.0, forgetting: 0.9 });
        let size = |state: &State| state.weights(&[1.0, 0.0]).iter().map(|w| w * w).sum::<f64>();
        assert!(size(&forgets) < size(&keeps), "{} {}", size(&forgets), size(&keeps));
    }

    #[test]
    fn a_stored_state_learns_on_as_if_nothing_had_happened() {
        let (options, mut one) = (Options::default(), taught(20, Options::default()));
        let mut other = State::from_parts((D, 2), options, one.to_parts()).expect("whole");
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        for state in [&mut one, &mut other] {
            let (features, chosen) = list(&mut rng.clone(), [1.0; D]);
            let list = List { features: &features, offsets: &[0.0; ITEMS], chosen, weight: 0.5 };
            let lesson = state.lesson(list, &[1.0, 0.0], &mut Scratch::default());
            state.learn(&lesson.expect("finite")).expect("of the shape");
            state.solve();
        }
        rng.random_range(0.0..1.0_f32);
        assert_eq!(one, other);
        let mut broken = one.to_parts();
        broken.right[0] = f64::NAN;
        assert_eq!(State::from_parts((D, 2), options, broken), Err(Error::Number));
        assert_eq!(State::from_parts((D, 1), options, one.to_parts()), Err(Error::Shape));
    }

    #[test]
    fn a_lesson_of_the_wrong_shape_is_refused() {
        let mut state = taught(5, Options::default());
        let before = state.clone();
        let lesson = Lesson { context: vec![1.0], curvature: vec![], pull: vec![], weight: 1.0 };
        assert_eq!(state.learn(&lesson), Err(Error::Shape));
        let wild = Lesson {
            context: vec![1.0; 2],
            curvature: vec![f32::NAN; 6],
            pull: vec![0.0; D],
            weight: 1.0,
        };
        assert_eq!(state.learn(&wild), Err(Error::Number));
        assert_eq!(state, before);
    }

    /// With one context, no forgetting and the expansion taken anew at the solution, the state is the regularised maximum of
    /// the likelihood: what [`crate::listwise`] finds by another way.
    #[test]
    fn the_fixed_point_is_the_listwise_fit() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut lists = crate::listwise::Lists::new(D);
        for _ in 0..50 {
            let (features, chosen) = list(&mut rng, [1.0, -0.5, 0.2]);
            lists.push(List { features: &features, offsets: &[0.0; ITEMS], chosen, weight: 1.0 });
        }
        let options = Options { ridge: 5.0, forgetting: 1.0 };
        let mut state = State::new(D, 1, options);
        for _ in 0..12 {
            let mut next = State::new(D, 1, options);
            for list in lists.iter() {
                let lesson = state.lesson(list, &[1.0], &mut Scratch::default());
                next.learn(&lesson.expect("finite")).expect("of the shape");
            }
            next.solve();
            state = next;
        }
        let go_on = &mut || std::ops::ControlFlow::Continue(());
        let fit = crate::listwise::fit(&lists, &[5.0 / 50.0; D], &[0.0; D], go_on);
        let fit = fit.expect("nobody stops it");
        for (online, fitted) in state.weights(&[1.0]).iter().zip(&fit.weights) {
            assert!((online - fitted).abs() < 1e-4, "{online} {fitted}");
        }
    }
}
