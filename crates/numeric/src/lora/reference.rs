//! The same in plain loops, for tests: the state of `P`, `b` and `B` as the formulas have it, and Gaussian elimination.

/// A choice: `z` row by row, `o + f`, which was chosen, the weight, and `h`.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) z: Vec<Vec<f32>>,
    pub(super) known: Vec<f32>,
    pub(super) chosen: usize,
    pub(super) weight: f32,
    pub(super) context: Vec<f32>,
}

/// `P` and `b` of an adapter of `rank` numbers and `contexts` contexts.
pub(super) struct Reference {
    pub(super) rank: usize,
    pub(super) contexts: usize,
    pub(super) precision: Vec<Vec<f64>>,
    pub(super) right: Vec<f64>,
    pub(super) solution: Vec<f64>,
}

impl Reference {
    pub(super) fn new(rank: usize, contexts: usize) -> Self {
        let n = rank * contexts;
        Self {
            rank,
            contexts,
            precision: vec![vec![0.0; n]; n],
            right: vec![0.0; n],
            solution: vec![0.0; n],
        }
    }

    /// `c = Bᵀ h`.
    pub(super) fn weights(&self, context: &[f32]) -> Vec<f64> {
        let mut c = vec![0.0; self.rank];
        for (a, h) in context.iter().enumerate() {
            for (k, c) in c.iter_mut().enumerate() {
                *c += f64::from(*h) * self.solution[a * self.rank + k];
            }
        }
        c
    }

    /// `P += w (hhᵀ) ⊗ H`, `b += w h ⊗ (z_chosen − E_q z + H c)`, `vec(B) = (P + ridge I)⁻¹ b`.
    pub(super) fn learn(&mut self, scene: &Scene, ridge: f64) {
        let c = self.weights(&scene.context);
        let q = softmax(scene, &c);
        let rank = self.rank;
        let value = |i: usize, k: usize| f64::from(scene.z[i][k]);
        let mean: Vec<f64> =
            (0..rank).map(|k| (0..q.len()).map(|i| q[i] * value(i, k)).sum()).collect();
        let mut h = vec![vec![0.0; rank]; rank];
        for (k, row) in h.iter_mut().enumerate() {
            for (j, cell) in row.iter_mut().enumerate() {
                let products =
                    (0..q.len()).map(|i| q[i] * (value(i, k) - mean[k]) * (value(i, j) - mean[j]));
                *cell = products.sum();
            }
        }
        let weight = f64::from(scene.weight);
        for a in 0..self.contexts {
            let at = |k: usize| a * rank + k;
            let ha = f64::from(scene.context[a]);
            for k in 0..rank {
                let known: f64 = (0..rank).map(|j| h[k][j] * c[j]).sum();
                self.right[at(k)] += weight * ha * (value(scene.chosen, k) - mean[k] + known);
                for e in 0..self.contexts {
                    let he = f64::from(scene.context[e]);
                    for (j, cell) in h[k].iter().enumerate() {
                        self.precision[at(k)][e * rank + j] += weight * ha * he * cell;
                    }
                }
            }
        }
        let mut matrix = self.precision.clone();
        for (at, row) in matrix.iter_mut().enumerate() {
            row[at] += ridge;
        }
        self.solution = eliminate(matrix, self.right.clone());
    }
}

/// `q` of a choice when candidates' numbers weigh `c`.
fn softmax(scene: &Scene, c: &[f64]) -> Vec<f64> {
    let exps: Vec<f64> = logits(scene, c).into_iter().map(f64::exp).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|exp| exp / sum).collect()
}

fn logits(scene: &Scene, c: &[f64]) -> Vec<f64> {
    let y = |z: &[f32]| z.iter().zip(c).map(|(z, c)| f64::from(*z) * c).sum::<f64>();
    scene.z.iter().zip(&scene.known).map(|(z, known)| f64::from(*known) + y(z)).collect()
}

/// The choice's negative log-likelihood.
pub(super) fn loss(scene: &Scene, c: &[f64]) -> f64 {
    let logits = logits(scene, c);
    logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[scene.chosen]
}

/// The solution of `matrix · x = right`, with pivots.
pub(super) fn eliminate(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for at in 0..n {
        let best = (at..n).max_by(|a, b| matrix[*a][at].abs().total_cmp(&matrix[*b][at].abs()));
        let best = best.expect("rows are left");
        matrix.swap(at, best);
        right.swap(at, best);
        for row in at + 1..n {
            let by = matrix[row][at] / matrix[at][at];
            let above = matrix[at].clone();
            matrix[row].iter_mut().zip(&above).for_each(|(value, above)| *value -= by * above);
            right[row] -= by * right[at];
        }
    }
    for at in (0..n).rev() {
        let known: f64 = (at + 1..n).map(|k| matrix[at][k] * right[k]).sum();
        right[at] = (right[at] - known) / matrix[at][at];
    }
    right
}
