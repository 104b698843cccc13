//! The walk against plain loops over the formula, and what must hold for any graph.

use super::*;
use crate::rows::RowSet;
use crate::select::top_k;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Edges of a layer with its weight and number of hubs.
#[derive(Clone, Debug)]
struct Plain {
    weight: f32,
    hubs: usize,
    edges: Vec<Edge>,
}

fn edge(item: u32, hub: u32, strength: f32) -> Edge {
    Edge { item, hub, strength }
}

fn graph(items: usize, layers: &[Plain]) -> Graph {
    let built = |plain: &Plain| {
        let layer = Layer::new(items, plain.hubs, &plain.edges).expect("edges in range");
        (plain.weight, layer)
    };
    Graph::new(items, layers.iter().map(built).collect())
}

fn scores(graph: &Graph, seeds: &[(u32, f32)], options: &Options) -> Vec<f32> {
    let mut scores = vec![7.0; 3];
    graph.walk(seeds, options).score(&mut scores);
    scores
}

/// The formula, edge by edge.
fn reference(items: usize, layers: &[Plain], seeds: &[(u32, f32)], options: &Options) -> Vec<f32> {
    let mut scores = vec![0.0; items];
    let mut shares: BTreeMap<u32, f32> = BTreeMap::new();
    for &(seed, weight) in seeds.iter().filter(|(seed, _)| (*seed as usize) < items) {
        *shares.entry(seed).or_default() += weight;
    }
    // Rounded where the walk rounds, so that hubs which nearly tie come in the same order.
    let total: f64 = shares.values().map(|weight| f64::from(*weight)).sum();
    for weight in shares.values_mut() {
        *weight = (f64::from(*weight) / total) as f32;
    }
    let weights: f32 = layers.iter().map(|plain| plain.weight).sum();
    let mut left = 0.0;
    for plain in layers {
        let weight = plain.weight / weights;
        left += (f64::from(weight) * options.budget as f64).floor();
        let strongest = |of: &dyn Fn(&Edge) -> bool, end: &dyn Fn(&Edge) -> u32, most| {
            let mut found: Vec<Edge> = plain.edges.iter().filter(|e| of(e)).copied().collect();
            found.sort_by(|a, b| b.strength.total_cmp(&a.strength).then(end(a).cmp(&end(b))));
            found.truncate(most);
            found
        };
        let mut activation: BTreeMap<u32, f32> = BTreeMap::new();
        for (&seed, share) in &shares {
            let from = strongest(&|e| e.item == seed, &|e| e.hub, options.fan_in);
            let held = |edge: &Edge| {
                let degree = plain.edges.iter().filter(|e| e.hub == edge.hub).count() as f32;
                edge.strength * degree.powf(-options.hub_exponent)
            };
            let sum: f32 = from.iter().map(held).sum();
            for edge in &from {
                *activation.entry(edge.hub).or_default() += held(edge) * (share / sum);
            }
        }
        let mut order: Vec<_> = activation.into_iter().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        for (hub, activation) in order {
            let most = options.fan_out.min(left as usize);
            for edge in strongest(&|e| e.hub == hub, &|e| e.item, most) {
                scores[edge.item as usize] += weight * activation * edge.strength;
                left -= 1.0;
            }
        }
    }
    scores
}

const ITEMS: u32 = 12;

fn layers() -> impl Strategy<Value = Vec<Plain>> {
    let pairs = prop::collection::btree_map((0..ITEMS, 0_u32..6), 1_u8..=5, 0..40);
    let layer = (0.1_f32..1.0, pairs).prop_map(|(weight, pairs)| Plain {
        weight,
        hubs: 6,
        edges: pairs.into_iter().map(|((i, h), x)| edge(i, h, f32::from(x) / 5.0)).collect(),
    });
    prop::collection::vec(layer, 1..4)
}

fn options() -> impl Strategy<Value = Options> {
    let budget = prop_oneof![Just(0_usize), 1_usize..30, Just(10_000)];
    (0.0_f32..1.5, 1_usize..7, 1_usize..13, budget).prop_map(
        |(hub_exponent, fan_in, fan_out, budget)| Options { hub_exponent, fan_in, fan_out, budget },
    )
}

fn seeds() -> impl Strategy<Value = Vec<(u32, f32)>> {
    prop::collection::vec((0..ITEMS + 3, 0.1_f32..5.0), 0..6)
}

proptest! {
    #[test]
    fn agrees_with_plain_loops(layers in layers(), seeds in seeds(), options in options()) {
        let graph = graph(ITEMS as usize, &layers);
        let found = scores(&graph, &seeds, &options);
        let expect = reference(ITEMS as usize, &layers, &seeds, &options);
        for (found, expect) in found.iter().zip(&expect) {
            prop_assert!((found - expect).abs() < 1e-5, "{found} is not {expect}");
        }
    }

    #[test]
    fn scores_lie_between_0_and_1(layers in layers(), seeds in seeds(), options in options()) {
        for score in scores(&graph(ITEMS as usize, &layers), &seeds, &options) {
            prop_assert!((0.0..=1.0 + 1e-6).contains(&score), "{score}");
        }
    }

    #[test]
    fn the_paths_to_a_title_add_up_to_its_score(
        layers in layers(), seeds in seeds(), options in options(),
    ) {
        let graph = graph(ITEMS as usize, &layers);
        for (target, score) in scores(&graph, &seeds, &options).into_iter().enumerate() {
            let paths = graph.walk(&seeds, &options).paths(target as u32);
            prop_assert!(paths.is_sorted_by(|a, b| a.weight >= b.weight));
            let sum: f32 = paths.iter().map(|path| path.weight).sum();
            prop_assert!((sum - score).abs() < 1e-5, "{sum} is not {score}");
            for path in paths {
                let of = |item| layers[path.layer].edges.iter()
                    .any(|e| e.item == item && e.hub == path.hub);
                prop_assert!(of(path.seed) && of(target as u32), "{path:?} is no path");
            }
        }
    }

    #[test]
    fn the_order_of_seeds_and_edges_changes_nothing(
        (layers, mut seeds, options) in (layers(), seeds(), options()),
    ) {
        let graph_of_sorted = graph(ITEMS as usize, &layers);
        let expect = scores(&graph_of_sorted, &seeds, &options);
        let mut turned = layers;
        for plain in &mut turned {
            plain.edges.reverse();
        }
        seeds.sort_by_key(|(row, _)| *row);
        let turned = graph(ITEMS as usize, &turned);
        prop_assert_eq!(&turned, &graph_of_sorted);
        for (found, expect) in scores(&turned, &seeds, &options).iter().zip(&expect) {
            prop_assert!((found - expect).abs() < 1e-6);
        }
    }
}

/// Genres of titles: strengths 1.
fn genres(of: &[&[u32]], hubs: usize) -> Plain {
    let titles = of.iter().zip(0..);
    let edges = titles.flat_map(|(genres, item)| genres.iter().map(move |g| edge(item, *g, 1.0)));
    Plain { weight: 1.0, hubs, edges: edges.collect() }
}

/// Plain overlap.
fn overlap() -> Options {
    Options { hub_exponent: 0.0, ..Options::default() }
}

#[test]
fn overlap_is_the_share_of_the_seeds_attributes() {
    // Not symmetric: all that title 1 has, title 0 has too, but not the other way round.
    let graph = graph(3, &[genres(&[&[0, 1, 2, 3], &[0], &[4]], 5)]);
    assert_eq!(scores(&graph, &[(0, 1.0)], &overlap()), [1.0, 0.25, 0.0]);
    assert_eq!(scores(&graph, &[(1, 1.0)], &overlap()), [1.0, 1.0, 0.0]);
}

#[test]
fn weights_of_layers_and_seeds_are_shares() {
    let genre = Plain { weight: 3.0, ..genres(&[&[0], &[0], &[1]], 2) };
    let director = Plain { weight: 1.0, ..genres(&[&[0], &[1], &[0]], 2) };
    let graph = graph(3, &[genre, director]);
    assert_eq!(scores(&graph, &[(0, 9.0)], &overlap()), [1.0, 0.75, 0.25]);
    // Twice the same seed is one of twice the weight; what has no weight or is not there says nothing.
    let seeds = [(0, 1.0), (1, 2.0), (0, 1.0), (2, 0.0), (1, f32::NAN), (99, 5.0)];
    assert_eq!(scores(&graph, &seeds, &overlap()), [0.875, 0.875, 0.125]);
    assert_eq!(scores(&graph, &[(99, 1.0)], &overlap()), [0.0; 3]);
}

#[test]
fn a_hub_of_everything_does_not_swamp_what_few_share() {
    // Hub 0 is on all titles; hub 1 on the seed and title 1 only.
    let of: Vec<&[u32]> = vec![&[0, 1], &[0, 1], &[0], &[0], &[0], &[0], &[0], &[0], &[0]];
    let graph = graph(9, &[genres(&of, 2)]);
    let share_of_rare = |hub_exponent| {
        let found = scores(&graph, &[(0, 1.0)], &Options { hub_exponent, ..Options::default() });
        (found[1] - found[2]) / found[1]
    };
    assert_eq!(share_of_rare(0.0), 0.5);
    assert!(share_of_rare(0.5) > 0.67 && share_of_rare(1.0) > 0.81);
}

#[test]
fn of_hubs_the_strongest_edges_are_walked_within_the_budget() {
    // One viewer each, of falling strength; the hub's titles beyond the third are never reached.
    let edges: Vec<Edge> = (0..10).map(|item| edge(item, 0, 1.0 - item as f32 * 0.1)).collect();
    let graph = graph(10, &[Plain { weight: 1.0, hubs: 1, edges }]);
    let reached = |options: &Options| -> BTreeSet<usize> {
        let found = scores(&graph, &[(9, 1.0)], options);
        found.iter().enumerate().filter(|(_, s)| **s > 0.0).map(|(item, _)| item).collect()
    };
    assert_eq!(reached(&Options { fan_out: 3, ..overlap() }), BTreeSet::from([0, 1, 2]));
    assert_eq!(reached(&Options { budget: 2, ..overlap() }), BTreeSet::from([0, 1]));
    assert_eq!(reached(&overlap()).len(), 10);
}

#[test]
fn whoever_shares_more_seeds_speaks_first() {
    // Viewer 0 saw both seeds and title 2, viewer 1 one of them and title 3.
    let viewers = genres(&[&[0], &[0, 1], &[0], &[1]], 2);
    let graph = graph(4, &[viewers]);
    let seeds = [(0, 1.0), (1, 1.0)];
    let found = scores(&graph, &seeds, &Options { budget: 3, ..overlap() });
    assert!(found[2] > 0.0 && found[3] == 0.0, "{found:?}");
    let found = scores(&graph, &seeds, &overlap());
    assert!(found[2] > found[3] && found[3] > 0.0, "{found:?}");
}

#[test]
fn what_was_seen_is_not_offered_whether_it_is_a_seed_or_not() {
    let graph = graph(5, &[genres(&[&[0], &[0], &[0], &[0], &[1]], 2)]);
    let mut allowed = RowSet::full(5);
    // 0 is the seed; 2 was seen long before.
    for seen in [0, 2] {
        allowed.remove(seen);
    }
    let best = top_k(&scores(&graph, &[(0, 1.0)], &overlap()), &allowed, 5, 0.0);
    assert_eq!(best.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn edges_that_make_no_graph_are_refused() {
    let check = |edges: &[Edge], expect: &str| {
        let error = Layer::new(2, 2, edges).expect_err("refused");
        assert_eq!(error.to_string(), expect);
    };
    let fine = edge(0, 0, 1.0);
    check(
        &[edge(2, 0, 1.0)],
        "edge of strength 1 between title 2 and hub 0: there is no such title",
    );
    check(
        &[fine, edge(1, 2, 0.5)],
        "edge of strength 0.5 between title 1 and hub 2: there is no such hub",
    );
    let strength = "the strength is not above 0 and at most 1";
    for bad in [0.0, -1.0, 1.5, f32::NAN] {
        let edge = edge(1, 1, bad);
        check(&[edge], &format!("edge of strength {bad} between title 1 and hub 1: {strength}"));
    }
    check(
        &[fine, edge(0, 0, 0.5)],
        "edge of strength 0.5 between title 0 and hub 0: it is given twice",
    );
    assert_eq!(Layer::new(2, 2, &[fine]).map(|layer| layer.edges()), Ok(1));
}

#[test]
fn a_hub_that_is_taken_out_leads_nowhere() {
    let layers = [
        Plain { weight: 1.0, hubs: 2, edges: vec![edge(0, 0, 1.0), edge(1, 0, 1.0)] },
        Plain {
            weight: 1.0,
            hubs: 2,
            edges: vec![edge(0, 1, 1.0), edge(2, 1, 0.5), edge(0, 0, 1.0)],
        },
    ];
    let whole = graph(3, &layers);
    let (seeds, options) = ([(0, 1.0)], Options::default());
    assert!(scores(&whole, &seeds, &options)[2] > 0.0);
    let without = whole.without(1, &HashSet::from([1]));
    assert_eq!(without.edges(), whole.edges() - 2);
    let scores = scores(&without, &seeds, &options);
    assert!(scores[1] > 0.0 && scores[2] == 0.0, "{scores:?}");
    assert!(without.walk(&seeds, &options).paths(2).is_empty());
}
