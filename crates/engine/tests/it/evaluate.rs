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
    SplitOptions { protocol, rows: Rows::Test, cut: 0.2, known: 2, sample: 0, seed: 1 }
}

fn options(data: &Data, protocol: Protocol) -> Options {
    Options {
        split: split(protocol),
        models: Model::of(data, &sona_engine::Options::default().fusion),
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
    assert_eq!(of("sequence").summary.metrics["hr@5"], 1.0);
    assert_eq!(of("sequence").summary.interval95["hr@5"], [1.0, 1.0]);
    assert!(of("popular").summary.metrics["hr@5"] < 0.6, "{:?}", of("popular").summary.metrics);
    assert!(of("fused").summary.metrics["ndcg@10"] > of("popular").summary.metrics["ndcg@10"]);
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
        assert_eq!(model.summary.metrics["hr@10"], hits / lists.len() as f64, "{}", model.name);
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
    assert_eq!(evaluation.report.models[0].summary.metrics["hr@5"], 1.0);
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
        assert!(model.summary.metrics["hr@5"] > 0.9, "{}: {:?}", model.name, model.summary.metrics);
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
fn what_texts_say_is_learned_from_the_data_or_read_with_the_configured_encoder() {
    let data = described_ring();
    let mut options = options(&data, Protocol::LastItem);
    assert!(options.models.iter().all(|model| model.to_string() != "content"), "it has no weight");
    options.models = ["content", "fused", "fused-content"].map(|name| name.parse().unwrap()).into();
    options.engine.fusion.content = 0.2;
    let run = |options: &Options| evaluate(&data, options, &clock(), &|_| {}).unwrap();
    let evaluation = run(&options);
    let content = &evaluation.report.models[0];
    assert!(content.summary.metrics["hr@10"] > 0.5, "{:?}", content.summary.metrics);
    assert_ne!(evaluation.lists[1], evaluation.lists[2], "it takes part in the fused list");
    assert_eq!(run(&options).lists, evaluation.lists);

    // An encoder that was learned from other texts, as a file: other vectors, other lists.
    let folder = tempfile::tempdir().expect("a folder");
    let texts: Vec<_> = (0..ITEMS).map(|item| format!("{item}")).collect();
    let learning = sona_encoder::learn::Options::default();
    let learned = sona_encoder::learn::learn(&texts, None, &learning).expect("learned");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs_err::write(&path, bytes).expect("writable");
        path.display().to_string()
    };
    options.engine.encoder.model = write("model.onnx", &learned.model);
    options.engine.encoder.tokenizer = write("tokenizer.json", &learned.tokenizer);
    assert_ne!(run(&options).lists[0], evaluation.lists[0]);

    let split = split(Protocol::LastItem);
    let (subject, engine) = (Subject::Content, options.engine.clone());
    let search = Search { subject, split, trials: 3, budget_seconds: f64::INFINITY, engine };
    let trials = tune(&data, &search, Vec::new(), &clock(), &mut |_| {}).unwrap();
    assert!(to_toml(subject, &trials[0]).starts_with("[content]\nsimilarity_threshold = "));
    assert!(trials.iter().any(|trial| trial.metric != trials[0].metric), "{trials:?}");

    options.engine.encoder.model = "no-such.onnx".to_owned();
    let error = evaluate(&data, &options, &clock(), &|_| {}).unwrap_err();
    assert!(error.to_string().contains("no-such.onnx"), "{error}");
}

#[test]
fn without_a_catalogue_content_says_nothing() {
    let data = ring(false);
    let mut options = options(&data, Protocol::LastItem);
    options.engine.fusion.content = 0.2;
    options.models = vec!["fused".parse().unwrap()];
    let with = evaluate(&data, &options, &clock(), &|_| {}).unwrap();
    options.models = vec!["fused-content".parse().unwrap()];
    assert_eq!(evaluate(&data, &options, &clock(), &|_| {}).unwrap().lists, with.lists);
    options.models = vec!["content".parse().unwrap()];
    let error = evaluate(&data, &options, &clock(), &|_| {}).unwrap_err();
    assert_eq!(error.to_string(), "content needs a catalogue, and the data has none");
}

#[test]
fn where_little_is_known_is_measured_apart() {
    let mut builder = Builder::default();
    let mut add = |user: &str, items: &[&str]| {
        for item in items {
            builder.add(Part::Train, Row { user, item, weight: 0.5, at: None });
        }
    };
    for user in 0..20 {
        add(&format!("u{user}"), &["a", "b", "c", "d", "e", "f", "g", "h"]);
    }
    add("brief", &["a", "b", "c"]);
    add("odd", &["a", "b", "c", "d", "e", "f", "nobody's", "mine"]);
    let data = builder.finish("little");
    let mut options = options(&data, Protocol::LastItem);
    options.models = vec!["popular".parse().unwrap()];
    let report = evaluate(&data, &options, &clock(), &|_| {}).unwrap().report;
    let slices = &report.models[0].slices;

    let brief = &slices.cold_users;
    assert_eq!((report.users, brief.users, brief.targets), (22, 1, 1));
    // Had "a" and "b"; "c" to "f" have been met by everybody else, who lack "h".
    assert_eq!(brief.summary.metrics["hr@5"], 1.0);
    assert_eq!(brief.summary.interval95["hr@5"], [1.0, 1.0]);

    // "h" is everybody's last item and "mine" one user's: neither is in what is fitted on.
    let cold = &slices.cold_items;
    assert_eq!((cold.users, cold.targets, cold.summary.metrics["hr@20"]), (21, 21, 0.0));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["models"][0]["slices"]["cold_items"]["metrics"]["hr@20"], 0.0);

    // Of several targets only those that few have met count.
    let mut builder = Builder::default();
    for user in 0..5 {
        let user = &format!("u{user}");
        builder.add(Part::Train, Row { user, item: "a", weight: 0.5, at: None });
    }
    builder.add(Part::Train, Row { user: "v", item: "b", weight: 0.5, at: None });
    for item in ["a", "new"] {
        builder.add(Part::Test, Row { user: "v", item, weight: 0.5, at: None });
    }
    let data = builder.finish("given");
    options.split.protocol = Protocol::FullRanking;
    let report = evaluate(&data, &options, &clock(), &|_| {}).unwrap().report;
    let (all, cold) = (&report.models[0].summary, &report.models[0].slices.cold_items);
    assert_eq!((all.metrics["recall@10"], cold.summary.metrics["recall@10"]), (0.5, 0.0));
    assert_eq!((cold.users, cold.targets), (1, 1));
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
