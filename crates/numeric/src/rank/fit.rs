//! The fit: tree after tree.

use super::bins::Bins;
use super::histogram::Rounded;
use super::lambda::{Cost, Slope};
use super::model::{Model, Node, tree_score};
use super::options::{Error, Options};
use super::order::{Order, inverse_ideals};
use super::queries::{Groups, Queries};
use super::split::Rules;
use super::tree::{self, Grown};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow;

/// Where the NDCG of a fit's iterations is measured.
pub const NDCG_AT: usize = 10;

/// What came of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The trees up to the best iteration where held-out queries and a patience are given, otherwise all.
    pub model: Model,
    /// One for each tree that was grown, those after the best included.
    pub iterations: Vec<Iteration>,
    /// One a feature, over the trees of the model.
    pub importances: Vec<Importance>,
}

/// One grown tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration {
    /// Counted from 1.
    pub index: usize,
    /// Mean NDCG at [`NDCG_AT`] of the queries that were fitted, by their weights.
    pub ndcg: f64,
    /// The same of the held-out queries.
    pub held_out: Option<f64>,
}

/// How much a feature was used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Importance {
    /// What the splits by it gained, in the units of the cost's second order.
    pub gain: f64,
    /// Splits by it.
    pub splits: usize,
}

/// Fits trees to `train`, calling `on_tree` after each.
///
/// A query whose candidates all have one gain, or whose weight is 0, teaches nothing: it is left out, of NDCG and of the
/// numbers in the nodes as well. The same input, options and seed give the same model on the same machine, whatever
/// the number of threads of the current `rayon` pool.
///
/// # Errors
/// See [`Error`].
pub fn fit(
    train: &Queries<'_>,
    held_out: Option<&Queries<'_>>,
    options: &Options,
    on_tree: &mut dyn FnMut(Iteration) -> ControlFlow<()>,
) -> Result<Fit, Error> {
    options.check()?;
    let groups = Groups::new(train)?;
    let held_out_groups = held_out.map(Groups::new).transpose()?;
    if held_out.is_some_and(|held_out| held_out.features.width() != train.features.width()) {
        return Err(Error::Shape("held-out candidates have another number of features"));
    }
    let judges = held_out.zip(held_out_groups.as_ref());
    let mut held_out = judges.map(|(queries, groups)| Judged::new(queries, groups));
    let mut learner = Learner::new(train, &groups, options);
    let mut forest = Forest::default();
    for index in 1..=options.trees {
        let grown = learner.grow()?;
        let ndcg = learner.fitted.ndcg();
        let held_out = held_out.as_mut().map(|judged| judged.add(&grown.nodes));
        forest.push(grown, Iteration { index, ndcg, held_out });
        if on_tree(Iteration { index, ndcg, held_out }).is_break() {
            return Err(Error::Cancelled);
        }
        if options.patience > 0 && index - forest.best() >= options.patience {
            break;
        }
    }
    Ok(forest.finish(train.features.width(), options.patience > 0))
}

/// Queries, their present order and what is best possible.
struct Judged<'a> {
    queries: &'a Queries<'a>,
    order: Order<'a>,
    inverse_ideals: Vec<f64>,
}

impl<'a> Judged<'a> {
    fn new(queries: &'a Queries<'a>, groups: &'a Groups) -> Self {
        let inverse_ideals = inverse_ideals(groups, NDCG_AT);
        Self { queries, order: Order::new(groups), inverse_ideals }
    }

    fn ndcg(&self) -> f64 {
        self.order.ndcg(NDCG_AT, &self.inverse_ideals)
    }

    /// The NDCG with one tree more.
    fn add(&mut self, nodes: &[Node]) -> f64 {
        let (rows, features) = (&self.order.groups.rows, self.queries.features);
        self.order.add(|first, scores| {
            for (row, score) in rows[first..].iter().zip(scores) {
                *score += tree_score(nodes, features.row(*row as usize));
            }
        });
        self.ndcg()
    }
}

/// What is needed to grow the next tree.
struct Learner<'a> {
    options: &'a Options,
    bins: Bins,
    cost: Cost,
    fitted: Judged<'a>,
    slopes: Vec<Slope>,
    random: ChaCha8Rng,
}

impl<'a> Learner<'a> {
    fn new(train: &'a Queries<'a>, groups: &'a Groups, options: &'a Options) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        Self {
            options,
            bins: Bins::new(train.features, &groups.rows, options.bins, &mut random),
            cost: Cost::new(groups, options),
            fitted: Judged::new(train, groups),
            slopes: vec![Slope::default(); groups.len()],
            random,
        }
    }

    /// The next tree, whose leaves are in the scores then.
    fn grow(&mut self) -> Result<Grown, Error> {
        self.cost.slopes(&self.fitted.order, &mut self.slopes);
        let slopes = Rounded::new(&self.slopes).ok_or(Error::NotFinite)?;
        let used = self.draw_features();
        let Options { l2, min_leaf_rows: min_rows, leaves, learning_rate, .. } = *self.options;
        let rules = Rules { slopes: &slopes, bins: &self.bins, used: &used, l2, min_rows };
        let grown = tree::grow(&rules, leaves, learning_rate);
        self.fitted.order.add(|first, scores| grown.add_to(first, scores));
        Ok(grown)
    }

    /// The features the next tree may use, ascending.
    fn draw_features(&mut self) -> Vec<usize> {
        let mut features = self.bins.usable().to_vec();
        let count = (self.options.feature_share * features.len() as f64).round().max(1.0) as usize;
        for at in 0..count.min(features.len()) {
            let other = self.random.random_range(at..features.len());
            features.swap(at, other);
        }
        features.truncate(count);
        features.sort_unstable();
        features
    }
}

/// Nodes, and feature and gain of every split.
type Tree = (Vec<Node>, Vec<(usize, f64)>);

/// What has grown so far.
#[derive(Default)]
struct Forest {
    trees: Vec<Tree>,
    iterations: Vec<Iteration>,
}

impl Forest {
    fn push(&mut self, grown: Grown, iteration: Iteration) {
        self.trees.push((grown.nodes, grown.splits));
        self.iterations.push(iteration);
    }

    /// How many trees have the best held-out NDCG, the fewest of equal ones; all without held-out queries.
    fn best(&self) -> usize {
        let measured = self.iterations.iter().rev();
        let measured = measured.filter_map(|one| one.held_out.map(|ndcg| (one.index, ndcg)));
        let best = measured.max_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(self.trees.len(), |(index, _)| index)
    }

    fn finish(mut self, width: usize, to_best: bool) -> Fit {
        if to_best {
            self.trees.truncate(self.best());
        }
        let mut importances = vec![Importance::default(); width];
        let (mut starts, mut nodes) = (vec![0], Vec::new());
        for (tree, splits) in self.trees {
            for (feature, gain) in splits {
                importances[feature].gain += gain;
                importances[feature].splits += 1;
            }
            nodes.extend(tree);
            starts.push(nodes.len() as u32);
        }
        let model = Model::new(width, starts, nodes);
        Fit { model, iterations: self.iterations, importances }
    }
}
