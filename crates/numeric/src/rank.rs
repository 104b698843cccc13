//! LambdaMART: boosted regression trees that order the candidates of a query (Burges, *From RankNet to LambdaRank to
//! LambdaMART: An Overview*, 2010).
//!
//! A candidate `x` (one row of features) scores the sum of the leaves it falls into, one a tree:
//!
//! ```text
//! s(x) = Σ_t value_t(leaf of x)
//! ```
//!
//! Each tree follows the gradient of a cost of pairs. For candidates `i`, `j` of a query where `i` has the larger gain and
//! at least one of both is among the first `T` of the present order,
//!
//! ```text
//! ρ  = 1 / (1 + exp(σ(s_i − s_j)))
//! δ  = (gain_i − gain_j) · |1/log2(1+r_i) − 1/log2(1+r_j)| / maxDCG@T         r = rank, counted from 1
//! δ' = δ / (0.01 + |s_i − s_j|)                       if the query's scores differ at all
//! g_i −= σ δ' ρ      g_j += σ δ' ρ                    h_i, h_j += σ² δ' ρ (1 − ρ)
//! ```
//!
//! A query's sums are scaled by `log2(1 + Λ)/Λ`, `Λ` = twice the sum of its `σ δ' ρ`, so that queries with many pairs do
//! not drown the others, and by the query's weight. These are the gradients of LightGBM's `lambdarank`.
//!
//! A tree grows leaf by leaf, the split that gains most first, over histograms of binned features (Ke et al., *LightGBM: A
//! Highly Efficient Gradient Boosting Decision Tree*, 2017). With `G`, `H` the sums of `g`, `h` in a leaf,
//!
//! ```text
//! gain  = G_l²/(H_l + λ) + G_r²/(H_r + λ) − G²/(H + λ)
//! value = −rate · G/(H + λ)
//! ```
//!
//! A candidate goes left if its feature is at most the threshold. One that misses the feature (NaN) goes where the split
//! gained more, or, where none missed it during the fit, with the larger side.
//!
//! Sums are integers: `g` and `h` are rounded to multiples of a power of two, small beside what any sum resolves, so that
//! they are the same in whatever order they are taken, and a sibling's histogram is an exact difference. The same input,
//! options and seed give the same bytes, whatever the number of threads of the current `rayon` pool.

mod attribute;
mod bins;
mod fit;
mod histogram;
mod lambda;
mod model;
mod options;
mod order;
mod quadrature;
mod queries;
#[cfg(test)]
mod reference;
mod score;
mod split;
#[cfg(test)]
mod tests;
mod tree;

pub use fit::{Fit, Importance, Iteration, NDCG_AT, fit};
pub use model::{Model, Parts, PartsError};
pub use options::{Error, Options};
pub use queries::Queries;
