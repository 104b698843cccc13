//! Evaluation and tuning on a world where the right answers are known.

use std::sync::Mutex;

use sona_domain::{Content, ContentId, Timestamp};
use sona_engine::evaluate::{
    Builder, Data, LIST, Model, Options, Part, Progress, Protocol, Row, Rows, SplitOptions,
    evaluate,
};
use sona_engine::tune::{Search, Subject, best, to_toml, tune};
use sona_testkit::clock::ManualClock;

const ITEMS: usize = 30;

/// Users walk round a ring of items, each from another place: what comes next is certain, what is popular
/// says nothing.
fn ring(timed: bool) -> Data {
    let mut builder = Builder::default();
    for user in 0..90 {
        for step in 0..10 {
            let item = (user * 7 + step) % ITEMS;
            let at = timed.then(|| Timestamp::from_seconds((user * 1000 + step) as i64));
            let (user, item) = (&format!("user-{user}"), &format!("item-{item}"));
            builder.add(Part::Train, Row { user, item, weight: 0.55, at });
        }
    }
    builder.finish("ring")
}

fn split(protocol: Protocol) -> SplitOptions {
    SplitOptions { protocol, rows: Rows::Test, cut: 0.2, sample: 0, seed: 1 }
}

fn options(data: &Data, protocol: Protocol) -> Options {
    Options {
        split: split(protocol),
        models: Model::of(data),
        resamples: 100,
        keep_lists: true,
        engine: sona_engine::Options::default(),
    }
}

fn clock() -> ManualClock {
    ManualClock::default()
}

#[test]
fn what_follows_is_found_and_what_is_popular_is_not() {
    let data = ring(false);
    let seen = Mutex::new(Vec::new());
    let progress = |step| seen.lock().unwrap().push(step);
    let options = options(&data, Protocol::LastItem);
    let evaluation = evaluate(&data, &options, &clock(), &progress).unwrap();
    let report = &evaluation.report;
    assert_eq!((report.users, report.split.targets), (90, 90));
    let of = |name: &str| report.models.iter().find(|model| model.name == name).unwrap();
    assert_eq!(of("sequence").metrics["hr@5"], 1.0);
    assert_eq!(of("sequence").interval95["hr@5"], [1.0, 1.0]);
    assert!(of("popular").metrics["hr@5"] < 0.6, "{:?}", of("popular").metrics);
    assert!(of("fused").metrics["ndcg@10"] > of("popular").metrics["ndcg@10"]);
    assert!(report.models.iter().all(|model| model.name != "trending"), "there are no times");
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.first(), Some(&Progress::Fitting));
    assert!(seen.contains(&Progress::Ranking { done: 90, of: 90 }));
}

#[test]
fn lists_hold_nothing_the_user_had_and_give_the_reported_numbers() {
    let data = ring(false);
    let options = options(&data, Protocol::LastItem);
    let evaluation = evaluate(&data, &options, &clock(), &|_| {}).unwrap();
    let target = |user: &str| {
        let pair = evaluation.targets.iter().find(|(of, _)| of == user);
        pair.map(|(_, item)| item.clone()).unwrap()
    };
    for (model, lists) in evaluation.report.models.iter().zip(&evaluation.lists) {
        let mut hits = 0.0;
        for list in lists {
            assert!(list.items.len() <= LIST.min(ITEMS - 9), "nine items are known");
            assert!(list.items.is_sorted_by(|a, b| a.1 >= b.1));
            let place = list.items.iter().position(|(item, _)| *item == target(&list.user));
            hits += f64::from(place.is_some_and(|place| place < 10));
        }
        assert_eq!(model.metrics["hr@10"], hits / lists.len() as f64, "{}", model.name);
    }
}

#[test]
fn trending_knows_only_what_was_before() {
    // One item is watched by everybody, but only after most of them were asked about it.
    let mut builder = Builder::default();
    for user in 0..40 {
        let name = &format!("u{user}");
        for (step, item) in ["a", "b", "hit"].iter().enumerate() {
            let at = Some(Timestamp::from_seconds(user * 100 + step as i64));
            builder.add(Part::Train, Row { user: name, item, weight: 0.5, at });
        }
        // Makes the hit of this user part of the log: their target is another item.
        let at = Some(Timestamp::from_seconds(user * 100 + 50));
        let item = &format!("own-{user}");
        builder.add(Part::Train, Row { user: name, item, weight: 0.5, at });
    }
    let at = Some(Timestamp::from_seconds(10));
    builder.add(Part::Train, Row { user: "early", item: "a", weight: 0.5, at });
    builder.add(Part::Train, Row { user: "early", item: "b", weight: 0.5, at });
    let at = Some(Timestamp::from_seconds(20));
    builder.add(Part::Train, Row { user: "early", item: "hit", weight: 0.5, at });
    let data = builder.finish("hit");
    let models = vec!["trending".parse().unwrap()];
    let options = Options { models, ..options(&data, Protocol::LastItem) };
    let evaluation = evaluate(&data, &options, &clock(), &|_| {}).unwrap();
    let early = evaluation.lists[0].iter().find(|list| list.user == "early").unwrap();
    let items: Vec<_> = early.items.iter().map(|(item, _)| item.as_str()).collect();
    assert_eq!(items, ["hit"], "user 0 watched it ten seconds before, nobody else anything new");
}

#[test]
fn the_seed_decides_and_threads_do_not() {
    let data = ring(true);
    let options = options(&data, Protocol::FullRanking);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let report = pool.install(|| evaluate(&data, &options, &clock(), &|_| {})).unwrap().report;
        serde_json::to_string(&report).unwrap()
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn given_negatives_are_the_only_rivals() {
    let mut builder = Builder::default();
    for user in ["u", "v"] {
        for item in ["a", "b", "c"] {
            builder.add(Part::Train, Row { user, item, weight: 0.5, at: None });
        }
    }
    builder.add(Part::Train, Row { user: "w", item: "a", weight: 0.5, at: None });
    builder.add_trial("w", "b", ["x", "y"]);
    let data = builder.finish("trials");
    let options = options(&data, Protocol::SampledNegatives);
    let evaluation = evaluate(&data, &options, &clock(), &|_| {}).unwrap();
    let popular = &evaluation.lists[0][0].items;
    assert_eq!(popular.len(), 1, "c is no rival, x and y have no viewers: {popular:?}");
    assert_eq!(evaluation.report.models[0].metrics["hr@5"], 1.0);
}

#[test]
fn what_the_data_lacks_is_said() {
    let data = ring(false);
    let models = vec!["trending".parse().unwrap()];
    let options = Options { models, ..options(&data, Protocol::LastItem) };
    let error = evaluate(&data, &options, &clock(), &|_| {}).unwrap_err();
    assert_eq!(error.to_string(), "trending needs times, and the data has none");
    let models = vec!["attributes".parse().unwrap()];
    let options = Options { models, ..options };
    let error = evaluate(&data, &options, &clock(), &|_| {}).unwrap_err();
    assert_eq!(error.to_string(), "attributes needs a catalogue, and the data has none");
}

/// The ring, where an item shares something with the one before it and something with the one after.
fn described_ring() -> Data {
    let mut builder = Builder::default();
    for user in 0..90 {
        for step in 0..10 {
            let item = &format!("item-{}", (user * 7 + step) % ITEMS);
            let user = &format!("user-{user}");
            builder.add(Part::Train, Row { user, item, weight: 0.55, at: None });
        }
    }
    for item in 0..ITEMS {
        let id = ContentId::new(format!("item-{item}")).expect("an id");
        let mut content = Content::new(id, "");
        content.themes = [item, (item + 1) % ITEMS].map(|n| n.to_string()).into();
        builder.describe(&content);
    }
    builder.describe(&Content::new(ContentId::new("nobody's").expect("an id"), ""));
    builder.finish("described ring")
}

#[test]
fn what_items_are_and_what_an_embedding_makes_of_it() {
    let data = described_ring();
    let mut options = options(&data, Protocol::LastItem);
    assert!(options.models.iter().any(|model| model.to_string() == "attributes"));
    options.models = ["attributes", "embedding", "fused"].map(|name| name.parse().unwrap()).into();
    options.engine.embedding.width = 16;
    options.engine.embedding.batch = 32;
    options.engine.embedding.learning_rate = 0.02;
    options.engine.fusion.embedding = 0.2;
    let run = || evaluate(&data, &options, &clock(), &|_| {}).unwrap();
    let evaluation = run();
    assert_eq!(evaluation.report.split.items, ITEMS, "what nobody engages with is no item");
    for model in &evaluation.report.models {
        assert!(model.metrics["hr@5"] > 0.9, "{}: {:?}", model.name, model.metrics);
    }
    // Scores are relative to the best allowed one.
    let firsts = evaluation.lists[1].iter().map(|list| list.items[0].1);
    assert!(firsts.into_iter().all(|score| (score - 1.0).abs() < 1e-6));
    assert_eq!(run().lists, evaluation.lists);

    for subject in [Subject::Attributes, Subject::Embedding] {
        let split = split(Protocol::LastItem);
        let engine = options.engine.clone();
        let search = Search { subject, split, trials: 2, budget_seconds: f64::INFINITY, engine };
        let trials = tune(&data, &search, Vec::new(), &clock(), &mut |_| {}).unwrap();
        assert!(best(&trials).unwrap().metric > 0.3, "{subject}: {trials:?}");
        assert!(to_toml(subject, &trials[0]).starts_with(&format!("[{subject}]\n")));
    }
}

#[test]
fn a_search_improves_goes_on_and_is_written_down() {
    let data = ring(false);
    let mut engine = sona_engine::Options::default();
    // Counts only what came before: the one thing that never comes next.
    engine.sequence.backward = 1.0;
    engine.sequence.window = 2;
    engine.sequence.distance_exponent = 2.0;
    engine.sequence.history = 50;
    engine.sequence.history_decay = 1.0;
    let search = |trials| Search {
        subject: Subject::Sequence,
        split: split(Protocol::LastItem),
        trials,
        budget_seconds: f64::INFINITY,
        engine: engine.clone(),
    };
    let mut seen = 0;
    let whole = tune(&data, &search(12), Vec::new(), &clock(), &mut |_| seen += 1).unwrap();
    assert_eq!((whole.len(), seen), (12, 12));
    let found = best(&whole).unwrap();
    assert!(found.metric > whole[0].metric, "{} from {}", found.metric, whole[0].metric);

    let resumed = tune(&data, &search(12), whole[..5].to_vec(), &clock(), &mut |_| {}).unwrap();
    assert_eq!(resumed, whole);

    let text = to_toml(Subject::Sequence, found);
    assert!(text.starts_with("[sequence]\nwindow = "), "{text}");
    assert_eq!(text.lines().count(), 9);
}
