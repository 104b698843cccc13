//! Splits: which items are asked for, and what may be fitted on.

use super::*;
use crate::evaluate::data::{Builder, Part, Row};

fn data(users: &[&[&str]]) -> Data {
    let mut builder = Builder::default();
    for (user, items) in users.iter().enumerate() {
        for item in *items {
            let user = &format!("u{user}");
            builder.add(Part::Train, Row { user, item, weight: 1.0, at: None });
        }
    }
    builder.finish("test")
}

fn options(protocol: Protocol, rows: Rows) -> SplitOptions {
    SplitOptions { protocol, rows, cut: 0.15, known: 2, sample: 0, seed: 1 }
}

fn names(data: &Data, engagements: &[Engagement]) -> String {
    engagements.iter().map(|e| data.items[e.item as usize].as_str()).collect()
}

#[test]
fn last_item_holds_two_back_and_validation_one_more() {
    let data = data(&[&["a", "b", "c", "d", "e"], &["a", "b", "c"], &["a", "b"]]);
    let target = |case: &Case| data.items[case.targets[0] as usize].clone();

    let test = Split::new(&data, &options(Protocol::LastItem, Rows::Test)).unwrap();
    assert_eq!(test.cases.len(), 2);
    assert_eq!(test.fit.iter().map(|fit| names(&data, fit)).collect::<Vec<_>>(), ["abc", "a", ""]);
    assert_eq!(
        (names(&data, &test.cases[0].history), target(&test.cases[0])),
        ("abcd".into(), "e".into())
    );

    let validation = Split::new(&data, &options(Protocol::LastItem, Rows::Validation)).unwrap();
    assert_eq!(validation.cases.len(), 1);
    assert_eq!(names(&data, &validation.fit[0]), "ab");
    assert_eq!(target(&validation.cases[0]), "d");
}

#[test]
fn users_who_are_asked_cold_are_not_fitted_on() {
    let users = vec![&["a", "b", "c", "d"][..]; 200];
    let data = data(&users);
    let test = Split::new(&data, &options(Protocol::ColdStart, Rows::Test)).unwrap();
    let validation = Split::new(&data, &options(Protocol::ColdStart, Rows::Validation)).unwrap();
    assert!((15..50).contains(&test.cases.len()), "{} of 200 at 15 %", test.cases.len());
    let asked = |split: &Split| split.cases.iter().map(|c| c.user).collect::<Vec<_>>();
    for case in test.cases.iter().chain(&validation.cases) {
        assert_eq!(names(&data, &case.history), "ab");
        assert_eq!(data.items[case.targets[0] as usize], "c");
        assert!(validation.fit[case.user as usize].is_empty());
    }
    assert!(asked(&test).iter().all(|user| test.fit[*user as usize].is_empty()));
    assert!(asked(&test).iter().all(|user| !asked(&validation).contains(user)));
}

#[test]
fn a_cut_is_repeatable_and_leaves_everybody_something() {
    let many: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let data = data(&[&many, &["a"]]);
    let options = options(Protocol::FullRanking, Rows::Test);
    let split = Split::new(&data, &options).unwrap();
    let gone = split.cases[0].targets.len();
    assert!((15..50).contains(&gone), "{gone} of 200 at 15 %");
    assert_eq!(split.fit[0].len() + gone, 200);
    assert_eq!(split.fit[1].len(), 1);
    let again = Split::new(&data, &options).unwrap();
    assert_eq!(split.cases[0].targets, again.cases[0].targets);
    let other = Split::new(&data, &SplitOptions { seed: 2, ..options }).unwrap();
    assert_ne!(split.cases[0].targets, other.cases[0].targets);
}

#[test]
fn a_given_test_side_counts_and_its_repeats_do_not() {
    let mut builder = Builder::default();
    for (part, item) in [(Part::Train, "a"), (Part::Test, "a"), (Part::Test, "b")] {
        builder.add(part, Row { user: "u", item, weight: 1.0, at: None });
    }
    let data = builder.finish("given");
    let split = Split::new(&data, &options(Protocol::FullRanking, Rows::Test)).unwrap();
    assert_eq!(split.cases[0].targets.len(), 1);
}

#[test]
fn a_sample_is_drawn_by_the_seed() {
    let users: Vec<&[&str]> = vec![&["a", "b", "c"]; 50];
    let data = data(&users);
    let drawn = |seed| {
        let options = SplitOptions { sample: 10, seed, ..options(Protocol::LastItem, Rows::Test) };
        let mut users: Vec<_> =
            Split::new(&data, &options).unwrap().cases.iter().map(|case| case.user).collect();
        users.sort_unstable();
        users
    };
    assert_eq!(drawn(1).len(), 10);
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn what_is_missing_is_said() {
    let data = data(&[&["a", "b"]]);
    let error = |protocol| Split::new(&data, &options(protocol, Rows::Test)).unwrap_err();
    assert!(error(Protocol::SampledNegatives).contains("negatives"));
    assert!(error(Protocol::LastItem).contains("too few items"));
}
