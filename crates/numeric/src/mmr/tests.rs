//! The selection against one that compares everything anew each time.

use super::*;
use crate::matrix::cosine;
use proptest::prelude::*;

/// Relevance, vector and attributes.
type Scene = Vec<(f32, Option<Vec<f32>>, Vec<u32>)>;

fn selected(scene: &Scene, options: &Options) -> Vec<Selected> {
    let relevance: Vec<f32> = scene.iter().map(|(relevance, ..)| *relevance).collect();
    select(&relevance, |at| scene[at].1.as_deref(), |at| &scene[at].2, options)
}

fn similarity(scene: &Scene, a: usize, b: usize) -> f32 {
    match (&scene[a].1, &scene[b].1) {
        (Some(a), Some(b)) => cosine(a, b).max(0.0),
        _ => 0.0,
    }
}

/// Plain loops: every round looks at everybody and everything selected.
fn reference(scene: &Scene, options: &Options) -> Vec<(usize, f32)> {
    let mut list: Vec<(usize, f32)> = Vec::new();
    let mut cap = options.cap.unwrap_or(usize::MAX);
    while list.len() < options.limit.min(scene.len()) {
        let mut best: Option<(usize, f32, f32)> = None;
        for at in (0..scene.len()).filter(|at| list.iter().all(|(other, _)| other != at)) {
            let is_full = |attribute: &u32| {
                list.iter().filter(|(other, _)| scene[*other].2.contains(attribute)).count() >= cap
            };
            if scene[at].2.iter().any(is_full) {
                continue;
            }
            let relevance = if scene[at].0.is_nan() { 0.0 } else { scene[at].0.clamp(0.0, 1.0) };
            let similar = list.iter().map(|(other, _)| similarity(scene, at, *other));
            let penalty = (1.0 - options.lambda) * similar.fold(0.0, f32::max);
            let worth = options.lambda * relevance - penalty;
            if best.is_none_or(|(_, most, _)| worth > most) {
                best = Some((at, worth, penalty));
            }
        }
        match best {
            Some((at, _, penalty)) => list.push((at, penalty)),
            None => cap += 1,
        }
    }
    list
}

fn indices(list: &[Selected]) -> Vec<usize> {
    list.iter().map(|selected| selected.index).collect()
}

/// Vectors along few axes, so that cosines are exact and ties are frequent.
fn candidate() -> impl Strategy<Value = (f32, Option<Vec<f32>>, Vec<u32>)> {
    let relevance = prop_oneof![
        8 => (0_u8..=8).prop_map(|eighths| f32::from(eighths) / 8.0),
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, -3.0]),
    ];
    let axis = (0_usize..4, prop::sample::select(vec![-2.0_f32, 0.0, 1.0, 4.0]));
    let vector = axis.prop_map(|(axis, length)| {
        let mut vector = vec![0.0; 4];
        vector[axis] = length;
        vector
    });
    let attributes = prop::collection::btree_set(0_u32..5, 0..3);
    let attributes = attributes.prop_map(|attributes| attributes.into_iter().collect());
    (relevance, prop::option::weighted(0.8, vector), attributes)
}

proptest! {
    #[test]
    fn agrees_with_comparing_everything(
        scene in prop::collection::vec(candidate(), 0..25),
        quarters in 0_u8..=4,
        limit in 0_usize..30,
        cap in prop::option::of(0_usize..4),
    ) {
        let options = Options { lambda: f32::from(quarters) / 4.0, limit, cap };
        let found = selected(&scene, &options);
        let mut expect = reference(&scene, &options);
        if quarters == 4 {
            for (_, penalty) in &mut expect {
                *penalty = 0.0;
            }
        }
        let found: Vec<_> = found.iter().map(|s| (s.index, s.penalty)).collect();
        prop_assert_eq!(found, expect);
    }

    #[test]
    fn every_list_is_whole_and_within_its_caps_while_it_can(
        scene in prop::collection::vec(candidate(), 1..40),
        lambda in 0.0_f32..=1.0,
        cap in 1_usize..5,
    ) {
        let options = Options { lambda, limit: 12, cap: Some(cap) };
        let found = selected(&scene, &options);
        prop_assert_eq!(found.len(), scene.len().min(12));
        let mut once = indices(&found);
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), found.len());
        for selected in &found {
            prop_assert!((0.0..=1.0 - lambda + 1e-6).contains(&selected.penalty));
        }
        // Whoever breaks a cap came when nobody was left who does not.
        let mut counts = [0_usize; 5];
        for (at, selected) in found.iter().enumerate() {
            let fits = |index: usize| scene[index].2.iter().all(|a| counts[*a as usize] < cap);
            if !fits(selected.index) {
                let taken = &indices(&found)[..at];
                prop_assert!((0..scene.len()).all(|index| taken.contains(&index) || !fits(index)));
            }
            for attribute in &scene[selected.index].2 {
                counts[*attribute as usize] += 1;
            }
        }
    }
}

fn angle(degrees: f32) -> Vec<f32> {
    vec![degrees.to_radians().cos(), degrees.to_radians().sin()]
}

#[test]
fn worked_example() {
    let none = Vec::new;
    let scene: Scene = vec![
        (1.0, Some(angle(0.0)), none()),
        (0.9, Some(angle(0.0)), none()),
        (0.8, Some(angle(60.0)), none()),
        (0.5, None, none()),
        (0.4, Some(angle(180.0)), none()),
    ];
    let list = selected(&scene, &Options { lambda: 0.5, limit: 5, cap: None });
    // .5·.8 − .5·.5 = .15, then .25 without a vector beats .2 and −.05.
    assert_eq!(indices(&list), [0, 3, 4, 2, 1]);
    let penalties = [0.0, 0.0, 0.0, 0.25, 0.5];
    for (selected, expect) in list.iter().zip(penalties) {
        assert!((selected.penalty - expect).abs() < 1e-6, "{list:?}");
    }
    let all = Options { lambda: 1.0, limit: 9, cap: None };
    assert_eq!(indices(&selected(&scene, &all)), [0, 1, 2, 3, 4]);
    assert!(selected(&scene, &all).iter().all(|selected| selected.penalty == 0.0));
    let unknown = Options { lambda: f32::NAN, ..all };
    assert_eq!(selected(&scene, &unknown), selected(&scene, &all));
}

#[test]
fn caps_hold_until_the_list_would_stay_short() {
    let of = |attributes: &[u32]| (0.5, None, attributes.to_vec());
    let scene = vec![of(&[1]), of(&[1]), of(&[1, 2]), of(&[2]), of(&[1]), of(&[])];
    let with = |cap| indices(&selected(&scene, &Options { lambda: 0.7, limit: 6, cap: Some(cap) }));
    assert_eq!(with(1), [0, 3, 5, 1, 2, 4]);
    assert_eq!(with(2), [0, 1, 3, 5, 2, 4]);
    assert_eq!(with(9), [0, 1, 2, 3, 4, 5]);
    assert_eq!(with(0), [5, 0, 3, 1, 2, 4]);
}

#[test]
fn distance_is_the_mean_over_pairs() {
    let vectors = [Some(angle(0.0)), Some(angle(90.0)), None, Some(vec![f32::NAN, 1.0])];
    let vectors: Vec<_> = vectors.iter().map(Option::as_deref).collect();
    assert_eq!(intra_list_distance(&vectors[..1]), None);
    let same = [vectors[0], vectors[0]];
    assert!(intra_list_distance(&same).unwrap().abs() < 1e-6);
    assert!((intra_list_distance(&vectors).unwrap() - 1.0).abs() < 1e-6);
    let opposite = [Some(angle(0.0)), Some(angle(180.0)), Some(angle(180.0))];
    let opposite: Vec<_> = opposite.iter().map(Option::as_deref).collect();
    assert!((intra_list_distance(&opposite).unwrap() - 4.0 / 3.0).abs() < 1e-6);
}
