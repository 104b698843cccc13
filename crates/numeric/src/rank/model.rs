//! Fitted trees, and the arrays they are stored as.

use super::attribute::Paths;
use super::score::Conditions;
use crate::matrix::Matrix;
use std::fmt;
use std::ops::Range;

/// Leaves of a tree, at most: one bit of a word each.
pub(super) const MOST_LEAVES: usize = 32;

/// A node of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) feature: u32,
    /// At most this goes left.
    pub(super) threshold: f32,
    /// The left child, counted from the tree's first node; the right one is next to it. 0 for a leaf.
    pub(super) left: u32,
    pub(super) missing_left: bool,
    /// Of a leaf.
    pub(super) value: f64,
    /// Rows of the fit that came by.
    pub(super) cover: u32,
}

impl Node {
    pub(super) fn leaf(value: f64, cover: u32) -> Self {
        Self { feature: 0, threshold: 0.0, left: 0, missing_left: false, value, cover }
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.left == 0
    }

    /// Which child a candidate goes to.
    pub(super) fn next(&self, features: &[f32]) -> usize {
        let value = features[self.feature as usize];
        let left = value <= self.threshold || value.is_nan() && self.missing_left;
        self.left as usize + usize::from(!left)
    }
}

/// What a tree, given by its nodes, adds to a candidate's score.
pub(super) fn tree_score(nodes: &[Node], features: &[f32]) -> f64 {
    let mut node = &nodes[0];
    while !node.is_leaf() {
        node = &nodes[node.next(features)];
    }
    node.value
}

/// A fitted ranker.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    width: usize,
    /// Where each tree's nodes begin, and at last where they end.
    starts: Vec<u32>,
    nodes: Vec<Node>,
    conditions: Conditions,
    paths: Paths,
}

/// A model as plain arrays, for whoever stores it: one value a node but for `width` and `starts`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// Features of a candidate.
    pub width: usize,
    /// Where each tree's nodes begin, root first, and at last where they end; trees + 1.
    pub starts: Vec<u32>,
    /// The feature a node asks for, below `width`; 0 at a leaf.
    pub features: Vec<u32>,
    /// At most this goes left; 0 at a leaf.
    pub thresholds: Vec<f32>,
    /// The left child, counted from the tree's first node and behind its parent; the right one is next to it. 0 at a leaf.
    pub children: Vec<u32>,
    /// 1 where candidates that miss the feature go left, else 0.
    pub missing_left: Vec<u8>,
    /// What a leaf adds to the score; 0 at other nodes.
    pub values: Vec<f64>,
    /// Candidates of the fit that came by: ≥ 1, of a parent the sum of its children's.
    pub covers: Vec<u32>,
}

/// Why arrays are not a model. Nodes and trees are named by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartsError {
    /// The arrays differ in length, or there is no feature.
    Length,
    /// The starts do not lead from the first node to the last in trees of at least one node.
    Starts,
    /// A tree has more than 32 leaves, or is not binary.
    Leaves(usize),
    /// A node's children are not behind it in its tree, or have two parents or none.
    Child(usize),
    /// A node asks for a feature there is not.
    Feature(usize),
    /// A threshold or value is not finite.
    Number(usize),
    /// A node says neither 0 nor 1 of those that miss its feature.
    Missing(usize),
    /// A node's cover is 0 or not the sum of its children's.
    Cover(usize),
}

impl fmt::Display for PartsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("the arrays differ in length, or there is no feature"),
            Self::Starts => f.write_str("the starts do not divide the nodes into trees"),
            Self::Leaves(tree) => write!(f, "tree {tree} has more than 32 leaves or is not binary"),
            Self::Child(node) => write!(f, "the children of node {node} are not behind it"),
            Self::Feature(node) => write!(f, "node {node} asks for a feature there is not"),
            Self::Number(node) => write!(f, "a number of node {node} is not finite"),
            Self::Missing(node) => write!(f, "node {node} says neither 0 nor 1 of what is missing"),
            Self::Cover(node) => write!(f, "the cover of node {node} is not that of its children"),
        }
    }
}

impl std::error::Error for PartsError {}

impl Model {
    /// Of trees that are sound.
    pub(super) fn new(width: usize, starts: Vec<u32>, nodes: Vec<Node>) -> Self {
        let (mut conditions, mut paths) = (Conditions::new(width), Paths::new(width));
        for tree in 0..starts.len() - 1 {
            let nodes = &nodes[range(&starts, tree)];
            conditions.push(nodes);
            paths.push(nodes);
        }
        Self { width, starts, nodes, conditions, paths }
    }

    /// The model's arrays.
    pub fn to_parts(&self) -> Parts {
        let nodes = || self.nodes.iter();
        Parts {
            width: self.width,
            starts: self.starts.clone(),
            features: nodes().map(|node| node.feature).collect(),
            thresholds: nodes().map(|node| node.threshold).collect(),
            children: nodes().map(|node| node.left).collect(),
            missing_left: nodes().map(|node| u8::from(node.missing_left)).collect(),
            values: nodes().map(|node| node.value).collect(),
            covers: nodes().map(|node| node.cover).collect(),
        }
    }

    /// Reads what [`Model::to_parts`] wrote.
    ///
    /// # Errors
    /// [`PartsError`], if it cannot have written these.
    pub fn from_parts(parts: &Parts) -> Result<Self, PartsError> {
        let nodes = nodes(parts)?;
        let starts = &parts.starts;
        let ascends = starts.windows(2).all(|pair| pair[0] < pair[1]);
        let ends = (starts.first(), starts.last().map(|end| *end as usize));
        if !ascends || ends != (Some(&0), Some(nodes.len())) {
            return Err(PartsError::Starts);
        }
        for tree in 0..starts.len() - 1 {
            let range = range(starts, tree);
            if range.len() >= 2 * MOST_LEAVES || range.len().is_multiple_of(2) {
                return Err(PartsError::Leaves(tree));
            }
            check_tree(&nodes[range.clone()], range.start)?;
        }
        Ok(Self::new(parts.width, starts.clone(), nodes))
    }

    /// Features of a candidate.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.starts.len() - 1
    }

    /// The score of one candidate: higher is better, and only comparable within a query.
    ///
    /// # Panics
    /// If `features` are not [`Model::width`].
    pub fn score(&self, features: &[f32]) -> f64 {
        assert!(features.len() == self.width, "{} of {} features", features.len(), self.width);
        let trees = (0..self.trees()).map(|tree| &self.nodes[range(&self.starts, tree)]);
        trees.map(|nodes| tree_score(nodes, features)).sum::<f64>() + 0.0
    }

    /// The score of every row of `candidates` into `scores`, which is overwritten: what [`Model::score`] says, bit for
    /// bit, in a fraction of the time.
    ///
    /// # Panics
    /// If a row is not [`Model::width`] long.
    pub fn score_rows(&self, candidates: &Matrix, scores: &mut Vec<f64>) {
        assert!(candidates.width() == self.width, "{} features", candidates.width());
        scores.clear();
        scores.reserve(candidates.rows());
        self.conditions.score(candidates, scores);
    }

    /// The mean score of the fit's candidates: what is left of a score without the contributions of its features.
    pub fn bias(&self) -> f64 {
        self.paths.bias()
    }

    /// What each feature adds to the scores of `candidates`, into `contributions`, which is overwritten: candidate after
    /// candidate, one value a feature. With [`Model::bias`] those of a candidate make its score, up to rounding. They are the
    /// Shapley values of Lundberg et al. (2020), for which a feature that no split asks for has 0.
    ///
    /// # Panics
    /// If a row is not [`Model::width`] long.
    pub fn attribute_rows(&self, candidates: &Matrix, contributions: &mut Vec<f64>) {
        assert!(candidates.width() == self.width, "{} features", candidates.width());
        contributions.clear();
        contributions.reserve(candidates.as_slice().len());
        self.paths.contributions(candidates, contributions);
    }
}

fn range(starts: &[u32], tree: usize) -> Range<usize> {
    starts[tree] as usize..starts[tree + 1] as usize
}

/// The nodes, each sound in itself.
fn nodes(parts: &Parts) -> Result<Vec<Node>, PartsError> {
    let nodes = parts.features.len();
    let others = [
        parts.thresholds.len(),
        parts.children.len(),
        parts.missing_left.len(),
        parts.values.len(),
        parts.covers.len(),
    ];
    if parts.width == 0 || others.iter().any(|length| *length != nodes) {
        return Err(PartsError::Length);
    }
    let node = |at: usize| {
        let node = Node {
            feature: parts.features[at],
            threshold: parts.thresholds[at],
            left: parts.children[at],
            missing_left: parts.missing_left[at] == 1,
            value: parts.values[at],
            cover: parts.covers[at],
        };
        let leaf_is_plain = node.feature == 0 && node.threshold == 0.0 && !node.missing_left;
        if node.feature as usize >= parts.width {
            Err(PartsError::Feature(at))
        } else if parts.missing_left[at] > 1 {
            Err(PartsError::Missing(at))
        } else if !node.threshold.is_finite() || !node.value.is_finite() {
            Err(PartsError::Number(at))
        } else if node.is_leaf() && !leaf_is_plain || !node.is_leaf() && node.value != 0.0 {
            Err(PartsError::Child(at))
        } else {
            Ok(node)
        }
    };
    (0..nodes).map(node).collect()
}

/// Whether every node but the first is the child of one before it, and covers add up; `first` is the number of the first.
fn check_tree(nodes: &[Node], first: usize) -> Result<(), PartsError> {
    let mut has_parent = vec![false; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        if node.cover == 0 {
            return Err(PartsError::Cover(first + at));
        }
        if at > 0 && !has_parent[at] {
            return Err(PartsError::Child(first + at));
        }
        if node.is_leaf() {
            continue;
        }
        let left = node.left as usize;
        if left <= at || left + 1 >= nodes.len() || has_parent[left] || has_parent[left + 1] {
            return Err(PartsError::Child(first + at));
        }
        has_parent[left..left + 2].fill(true);
        let covers = u64::from(nodes[left].cover) + u64::from(nodes[left + 1].cover);
        if covers != u64::from(node.cover) {
            return Err(PartsError::Cover(first + at));
        }
    }
    Ok(())
}
