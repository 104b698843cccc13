//! Titles, what they are and who watched them, as a graph to walk over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use sona_numeric::Attributes;
use sona_numeric::walk::{self, Edge, Layer, Options, Path};

use crate::attributes::word;
use crate::live::trending::ViewerKey;

/// What titles are connected by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Genre,
    Actor,
    Director,
    Theme,
    Viewer,
}

/// The kinds of attributes with the prefix of their names and their weight.
const DESCRIBING: [(Kind, &str, f32); 4] = [
    (Kind::Genre, "genre", 0.6 * 0.35),
    (Kind::Actor, "actor", 0.6 * 0.25),
    (Kind::Director, "director", 0.6 * 0.20),
    (Kind::Theme, "theme", 0.6 * 0.20),
];

/// Weight of who watched what.
const VIEWERS: f32 = 0.4;

/// The graph of one model version.
pub(crate) struct Graph {
    edges: ArcSwap<walk::Graph>,
    layers: Vec<Named>,
    /// The hub of each viewer.
    viewers: HashMap<ViewerKey, u32>,
    options: Options,
}

/// What the hubs of a layer are.
struct Named {
    kind: Kind,
    names: Vec<Arc<str>>,
}

/// One user's titles, by row, with their engagement weights.
pub(crate) type Watched = (ViewerKey, Vec<(u32, f32)>);

/// The graph at one moment.
pub(crate) struct Now<'g> {
    graph: Arc<walk::Graph>,
    of: &'g Graph,
}

/// Why a title was reached, in the words of the catalogue.
pub(crate) struct Way<'g> {
    pub(crate) kind: Kind,
    /// What the titles share; empty for viewers.
    pub(crate) name: &'g str,
    /// The user's title it began at.
    pub(crate) seed: u32,
}

impl Graph {
    /// The graph of `items` titles with `attributes`, whose names begin with their kind, and of who watched what.
    pub(crate) fn new(
        items: usize,
        attributes: &Attributes,
        names: &[Arc<str>],
        watched: impl IntoIterator<Item = Watched>,
        options: Options,
    ) -> Self {
        let mut layers = Vec::new();
        let mut named = Vec::new();
        for (kind, prefix, weight) in DESCRIBING {
            let (layer, names) = describing(items, attributes, names, prefix);
            layers.push((weight, layer));
            named.push(Named { kind, names });
        }
        let mut viewers = HashMap::new();
        let mut edges = Vec::new();
        for (viewer, titles) in watched {
            let next = viewers.len() as u32;
            let hub = *viewers.entry(viewer).or_insert(next);
            let titles =
                titles.into_iter().filter(|(row, weight)| (*row as usize) < items && *weight > 0.0);
            edges.extend(titles.map(|(item, weight)| Edge {
                item,
                hub,
                strength: weight.min(1.0),
            }));
        }
        layers.push((VIEWERS, layer(items, viewers.len(), &edges)));
        named.push(Named { kind: Kind::Viewer, names: Vec::new() });
        let edges = ArcSwap::from_pointee(walk::Graph::new(items, layers));
        Self { edges, layers: named, viewers, options }
    }

    /// The graph as it is.
    pub(crate) fn now(&self) -> Now<'_> {
        Now { graph: self.edges.load_full(), of: self }
    }

    /// Takes viewers out; requests under way finish on the graph they began with.
    pub(crate) fn forget(&self, viewers: &HashSet<ViewerKey>) {
        let hubs = viewers.iter().filter_map(|viewer| self.viewers.get(viewer)).copied();
        let hubs: HashSet<_> = hubs.collect();
        if !hubs.is_empty() {
            let layer = self.layers.len() - 1;
            self.edges.store(Arc::new(self.edges.load().without(layer, &hubs)));
        }
    }
}

impl<'g> Now<'g> {
    /// The walk from these titles, each as good a start as the others.
    pub(crate) fn walk(&self, seeds: &[u32]) -> walk::Walk<'_> {
        let seeds: Vec<_> = seeds.iter().map(|row| (*row, 1.0)).collect();
        self.graph.walk(&seeds, &self.of.options)
    }

    /// A path in words.
    pub(crate) fn way(&self, path: &Path) -> Option<Way<'g>> {
        let layer = self.of.layers.get(path.layer)?;
        let name = layer.names.get(path.hub as usize).map_or("", |name| word(name));
        Some(Way { kind: layer.kind, name, seed: path.seed })
    }
}

/// The layer of one kind of attributes, and what its hubs are called.
fn describing(
    items: usize,
    attributes: &Attributes,
    names: &[Arc<str>],
    prefix: &str,
) -> (Layer, Vec<Arc<str>>) {
    let is_of_kind = |name: &str| name.split_once(':').is_some_and(|(kind, _)| kind == prefix);
    let mut hubs = HashMap::new();
    let mut called = Vec::new();
    for (number, name) in names.iter().enumerate().filter(|(_, name)| is_of_kind(name)) {
        hubs.insert(number as u32, called.len() as u32);
        called.push(name.clone());
    }
    let rows = 0..items.min(attributes.items()) as u32;
    let of = |item: u32| attributes.of(item).iter().filter_map(|number| hubs.get(number)).copied();
    let edges = rows.flat_map(|item| of(item).map(move |hub| Edge { item, hub, strength: 1.0 }));
    let edges: Vec<_> = edges.collect();
    (layer(items, called.len(), &edges), called)
}

fn layer(items: usize, hubs: usize, edges: &[Edge]) -> Layer {
    Layer::new(items, hubs, edges).expect("each edge is in range and given once")
}
