//! The neighbours against a plain reading of their definition, and what placing items one by one must keep.

use super::*;
use crate::scores::Scores;
use proptest::prelude::*;

const ITEMS: u32 = 24;

/// Some attributes that most items have and some that few have.
fn attributes() -> impl Strategy<Value = Attributes> {
    let attribute = prop_oneof![0_u32..3, 3_u32..12, 12_u32..40];
    let row = prop::collection::vec(attribute, 0..7);
    prop::collection::vec(row, ITEMS as usize).prop_map(Attributes::from_iter)
}

fn options() -> impl Strategy<Value = Options> {
    let exponents = (0.5_f32..3.0, 0.5_f32..3.0, 0.0_f32..0.5);
    (exponents, 0.05_f32..0.9, 1_usize..12).prop_map(|((r, e, p), least_cosine, history)| Options {
        rarity_exponent: r,
        least_cosine,
        similarity_exponent: e,
        history,
        popularity_exponent: p,
        ..Options::default()
    })
}

/// `s_ij` of all pairs in dense double precision.
fn cosines(attributes: &Attributes, exponent: f32) -> Vec<Vec<f64>> {
    let items: Vec<&[u32]> = (0..attributes.items() as u32).map(|i| attributes.of(i)).collect();
    let n = items.iter().filter(|row| !row.is_empty()).count() as f64;
    let vector = |row: &&[u32]| -> Vec<f64> {
        let df = |a: u32| items.iter().filter(|row| row.contains(&a)).count() as f64;
        let x = |a: u32| (n / df(a)).ln().powf(f64::from(exponent));
        let mut x: Vec<f64> = (0..40).map(|a| if row.contains(&a) { x(a) } else { 0.0 }).collect();
        let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        x.iter_mut().filter(|_| length > 0.0).for_each(|x| *x /= length);
        x
    };
    let vectors: Vec<_> = items.iter().map(vector).collect();
    let dot = |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum();
    vectors.iter().map(|a| vectors.iter().map(|b| dot(a, b)).collect()).collect()
}

fn rows(near: &Near) -> Vec<Vec<(u32, f32)>> {
    (0..near.items() as u32).map(|item| near.neighbours(item).to_vec()).collect()
}

proptest! {
    #[test]
    fn neighbours_follow_the_definition(attributes in attributes(), options in options()) {
        let expect = cosines(&attributes, options.rarity_exponent);
        let near = Near::new(attributes, options.clone());
        for i in 0..ITEMS {
            for j in 0..ITEMS {
                let cosine = expect[i as usize][j as usize];
                prop_assert!((f64::from(near.cosine(i, j)) - cosine).abs() < 1e-5);
                let row = near.neighbours(i);
                let got = row.iter().find(|(row, _)| *row == j).map(|(_, weight)| *weight);
                let least = f64::from(options.least_cosine);
                if (cosine - least).abs() > 1e-5 {
                    prop_assert_eq!(got.is_some(), i != j && cosine > least);
                }
                if let Some(weight) = got {
                    let expect = cosine.powf(f64::from(options.similarity_exponent));
                    prop_assert!((f64::from(weight) - expect).abs() < 1e-5);
                }
            }
            prop_assert!(near.neighbours(i).is_sorted_by(|a, b| a.0 < b.0));
        }
    }

    #[test]
    fn score_follows_the_formula_and_is_the_sum_of_its_evidence(
        attributes in attributes(),
        options in options(),
        recent in prop::collection::vec(0_u32..ITEMS + 3, 0..15),
        viewers in prop::collection::vec(prop_oneof![0_u32..50, 1_000_u32..2_000], 10..30),
    ) {
        let near = Near::new(attributes, options.clone());
        let mut scores = Scores::default();
        near.score(&[1, 2, 3], &viewers, &mut scores);
        near.score(&recent, &viewers, &mut scores);
        for j in 0..ITEMS {
            let viewed = f64::from(viewers.get(j as usize).copied().unwrap_or(0)) + 1.0;
            let mut expect = 0.0;
            for (k, i) in recent.iter().take(options.history).enumerate() {
                let g = near.neighbours(*i).iter().find(|(row, _)| *row == j);
                expect += f64::from(options.history_decay).powi(k as i32)
                    * g.map_or(0.0, |(_, weight)| f64::from(*weight))
                    * viewed.powf(f64::from(options.popularity_exponent));
            }
            let got = f64::from(scores.of(j));
            prop_assert!((got - expect).abs() < 1e-5 * (1.0 + expect), "{got} against {expect}");
            let evidence = near.evidence(&recent, j, &viewers);
            let sum: f64 = evidence.iter().map(|(_, part)| f64::from(*part)).sum();
            prop_assert!((sum - expect).abs() < 1e-5 * (1.0 + expect), "{sum} against {expect}");
            prop_assert!(evidence.is_sorted_by(|a, b| a.1 >= b.1));
        }
    }

    #[test]
    fn changing_an_item_there_and_back_changes_nothing(
        attributes in attributes(),
        options in options(),
        item in 0_u32..ITEMS,
        other in prop::collection::vec(0_u32..60, 0..6),
    ) {
        let before = Near::new(attributes.clone(), options);
        let mut near = before.clone();
        near.set(item, other.clone());
        let mut row = near.neighbours(item).iter();
        let both = row.all(|(other, weight)| near.neighbours(*other).contains(&(item, *weight)));
        prop_assert!(both, "who is near an item has it near");
        near.set(item, attributes.of(item).to_vec());
        prop_assert_eq!(rows(&near), rows(&before));
    }

    #[test]
    fn items_placed_one_by_one_are_where_a_new_fit_has_them(
        attributes in attributes(),
        options in options(),
        order in Just((0..ITEMS).collect::<Vec<u32>>()).prop_shuffle(),
    ) {
        // The rarities are those of the fit, so all attributes are known to it before any item moves.
        let whole = Near::new(attributes.clone(), options);
        let mut near = whole.clone();
        for item in &order {
            near.set(*item, Vec::new());
        }
        prop_assert_eq!(near.pairs(), 0);
        for item in &order {
            near.set(*item, attributes.of(*item).to_vec());
        }
        prop_assert_eq!(near, whole);
    }

    #[test]
    fn a_row_keeps_the_strongest_and_the_newest_of_equals(
        attributes in attributes(),
        options in options(),
        neighbours in 1_usize..6,
        order in Just((0..ITEMS).collect::<Vec<u32>>()).prop_shuffle(),
    ) {
        let whole = Near::new(attributes.clone(), options.clone());
        let cut = Near::new(attributes.clone(), Options { neighbours, ..options });
        let mut placed = cut.clone();
        for item in &order {
            placed.set(*item, Vec::new());
        }
        for item in &order {
            placed.set(*item, attributes.of(*item).to_vec());
        }
        for item in 0..ITEMS {
            let mut expect = whole.neighbours(item).to_vec();
            expect.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
            expect.truncate(neighbours);
            expect.sort_by_key(|(row, _)| *row);
            prop_assert_eq!(cut.neighbours(item), expect.as_slice());
        }
        prop_assert_eq!(rows(&placed), rows(&cut), "nobody left, so nobody had to come back");
    }
}

#[test]
fn a_new_item_is_served_at_once() {
    let known = Attributes::from_iter([vec![0, 1], vec![0, 2], vec![3], vec![3, 4]]);
    let mut near = Near::new(known, Options::default());
    near.set(6, vec![4, 9]);
    assert_eq!((near.items(), near.neighbours(5), near.neighbours(99)), (7, &[][..], &[][..]));
    let mut scores = Scores::default();
    near.score(&[3], &[], &mut scores);
    assert!(scores.of(6) > 0.0, "{scores:?}");
    assert_eq!(near.shared(3, 6).collect::<Vec<_>>(), [4]);
    // An attribute that was not there counts as rare as one that a single item has.
    let (known, new) = (4.0_f32.ln().powi(2), 4.0_f32.ln().powi(2));
    let older = 2.0_f32.ln().powi(2);
    let expect = known * known / (known.hypot(new) * known.hypot(older));
    assert!((near.cosine(3, 6) - expect).abs() < 1e-6);
}

#[test]
fn what_all_items_have_says_nothing() {
    let near = Near::new(Attributes::from_iter([vec![0], vec![0], vec![0]]), Options::default());
    assert_eq!((near.pairs(), near.cosine(0, 1)), (0, 0.0));
    let nothing = Near::new(Attributes::new(3), Options::default());
    assert_eq!((nothing.pairs(), nothing.items()), (0, 3));
}

#[test]
fn attributes_are_counted_once_an_item() {
    let mut attributes = Attributes::from_iter([vec![2, 0, 2], vec![2], vec![]]);
    assert_eq!((attributes.of(0), attributes.count()), (&[0, 2][..], 3));
    assert_eq!(attributes.rarity(), [2.0_f32.ln(), 2.0_f32.ln(), 0.0]);
    attributes.set(4, vec![5]);
    assert_eq!((attributes.items(), attributes.of(3), attributes.of(9)), (5, &[][..], &[][..]));
}

#[test]
fn threads_do_not_matter() {
    let attributes: Attributes =
        (0..400_u32).map(|i| vec![i % 7, 10 + i % 31, 50 + i % 97]).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Near::new(attributes.clone(), Options::default()))
    };
    assert_eq!(with(1), with(3));
}
