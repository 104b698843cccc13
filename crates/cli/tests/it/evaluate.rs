//! `sona evaluate` and `sona tune` on files, and the independent check of what they report.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::process::Folder;

/// Users walk round a ring of items: what comes next is certain.
fn ring() -> String {
    let mut lines = String::new();
    for user in 0..60 {
        let _ = write!(lines, "u{user}");
        for step in 0..8 {
            let _ = write!(lines, " {}", (user * 7 + step) % 24);
        }
        lines.push('\n');
    }
    lines
}

fn folder_with_ring() -> Folder {
    let folder = Folder::new();
    fs_err::write(folder.path().join("ring.txt"), ring()).expect("writable");
    folder
}

#[test]
fn a_report_says_what_orders_fused_lists() {
    let folder = folder_with_ring();
    let said = |more: &[&str]| {
        let models = ["evaluate", "--data", "ring.txt", "--models"];
        folder.sona(&[&models[..], more].concat()).expect(0).stdout
    };
    let few = said(&["fused"]);
    assert!(few.contains("no ranker: 60 choices to learn from, and it needs 200"), "{few}");
    assert!(!said(&["weighted"]).contains("ranker"));
    fs_err::write(folder.path().join("few.toml"), "[ranker]\nleast_choices = 30\n")
        .expect("writable");
    let ranked = said(&["fused", "--config", "few.toml"]);
    assert!(ranked.contains("the ranker learned from 60 choices"), "{ranked}");
}

#[test]
fn an_independent_program_finds_the_same_numbers() {
    let folder = folder_with_ring();
    let arguments = [
        "evaluate",
        "--data",
        "ring.txt",
        "--scores",
        "top.txt",
        "--targets",
        "held-out.txt",
        "--json",
    ];
    let report = folder.sona(&arguments).expect(0).json();
    assert_eq!(report["protocol"], "last-item");
    assert_eq!(report["data"], "ring.txt (sequences (user item item …))");
    let names: Vec<_> =
        report["models"].as_array().expect("a list").iter().map(|m| &m["name"]).collect();
    let sources = ["popular", "sequence", "embedding", "collaborative", "recent", "item-item"];
    assert_eq!(names, [&sources[..], &["graph", "weighted", "fused"]].concat());
    assert_eq!(report["models"][1]["metrics"]["hr@5"], 1.0, "{report:#}");
    // Who reads of fused lists is told what ordered them.
    assert_eq!(report["ranker"]["is_fitted"], false, "{report:#}");
    assert_eq!(report["ranker"]["choices"], 60, "{report:#}");
    fs_err::write(folder.path().join("report.json"), report.to_string()).expect("writable");

    let checker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/quality/check_scores.py");
    let lists = |model: &str| format!("{model}=top.{model}.txt");
    let checker = checker.to_str().expect("UTF-8");
    let check = |lists: &[String]| {
        let lists = lists.join(" ");
        folder.shell(&format!(
            "python3 {checker} report.json held-out.txt {lists} --sequences ring.txt"
        ))
    };
    let all: Vec<_> = names.iter().map(|name| lists(name.as_str().expect("a name"))).collect();
    let said = check(&all).expect(0).stdout;
    assert!(said.contains("fused: 10 metrics over 60 users agree"), "{said}");

    // The checker is no rubber stamp: a number moved by a thousandth is found out.
    let mut moved = report.clone();
    let metric = &mut moved["models"][8]["metrics"]["ndcg@10"];
    *metric = (metric.as_f64().expect("a number") - 0.001).into();
    fs_err::write(folder.path().join("report.json"), moved.to_string()).expect("writable");
    let refused = check(&[lists("fused")]).expect(1).stderr;
    assert!(refused.contains("fused ndcg@10"), "{refused}");
}

#[test]
fn a_table_for_people_says_what_was_done() {
    let folder = folder_with_ring();
    let table =
        folder.sona(&["evaluate", "--data", "ring.txt", "--models", "sequence,fused-sequence"]);
    let table = table.expect(0).stdout;
    assert!(table.starts_with("ring.txt (sequences"), "{table}");
    assert!(table.contains("60 users asked for 60 items; fitted on 360 pairs"), "{table}");
    assert!(table.contains("\nfused-sequence "), "{table}");
}

/// Half of the users go through the titles one after the other, the others in strides, and all go astray now and then; one
/// rating a minute.
fn walks() -> String {
    const USERS: usize = 50;
    let mut lines = "user,item,rating,timestamp\n".to_owned();
    for step in 0..40 {
        for user in 0..USERS {
            let start = user * 7 + user / 6;
            let way = if user % 2 == 0 { start + step } else { start + step * 4 + step / 20 };
            let astray = step * step * 31 + user * user * 17 + step * user;
            let place = if (step * 7 + user * 13) % 3 == 0 { astray } else { way };
            let at = 1_750_000_000 + 60 * (step * USERS + user);
            let _ = writeln!(lines, "u{user},t{},5,{at}", place % 80);
        }
    }
    lines
}

#[test]
fn what_adapters_change_is_told_by_tenths_of_users() {
    let folder = Folder::new()
        .with("SONA_RANKER_LEAST_CHOICES", "50")
        .with("SONA_RANKER_SHARE", "0.5")
        .with("SONA_RANKER_TREES", "0");
    fs_err::write(folder.path().join("walks.csv"), walks()).expect("writable");
    let arguments =
        ["evaluate", "--data", "walks.csv", "--protocol", "time-split", "--resamples", "50"];
    let with = |more: &[&str]| folder.sona(&[&arguments[..], more].concat()).expect(0);
    let report = with(&["--models", "fused,fused+adapter", "--json"]).json();
    let [fused, adapted] = ["fused", "fused+adapter"].map(|name| {
        let models = report["models"].as_array().expect("a list").iter();
        let model = models.clone().find(|model| model["name"] == name).expect("asked for");
        model["slices"]["users_with_an_adapter"].clone()
    });
    let deciles = report["deciles"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(deciles.len(), 10);
    let sum = |of: &dyn Fn(&Value) -> f64| deciles.iter().map(of).sum::<f64>();
    let number = |value: &Value| value.as_f64().expect("a number");
    assert_eq!(sum(&|one| number(&one["users"])), number(&fused["users"]));
    let targets = number(&fused["targets"]);
    assert_eq!(sum(&|one| number(&one["targets"])), targets);
    // Together they are what the slice says of all.
    let ndcg = |slice: &Value| number(&slice["metrics"]["ndcg@10"]);
    let without = sum(&|one| number(&one["targets"]) * number(&one["fused"])) / targets;
    assert!((without - ndcg(&fused)).abs() < 1e-9, "{report:#}");
    let change = sum(&|one| number(&one["targets"]) * number(&one["change"]["mean"])) / targets;
    assert!((change - (ndcg(&adapted) - ndcg(&fused))).abs() < 1e-9, "{report:#}");
    assert!(change != 0.0, "adapters had a part in lists: {report:#}");

    let table = with(&["--models", "fused,fused+adapter"]).stdout;
    let (_, tenths) = table.split_once("users with an adapter in tenths").expect("they are told");
    assert_eq!(tenths.lines().count(), 12, "{table}");
    let alone = with(&["--models", "fused", "--json"]).json();
    assert!(alone["deciles"].is_null(), "{alone:#}");
}

#[test]
fn what_a_catalogue_says_is_read() {
    let folder = folder_with_ring();
    let path = folder.path().join("set");
    fs_err::create_dir(&path).expect("writable");
    fs_err::rename(folder.path().join("ring.txt"), path.join("ring.txt")).expect("writable");
    let near = |item: u32| format!("\"{item}\": [{}, {}]", item / 2, 100 + item.div_ceil(2) % 12);
    let map = format!("{{{}}}", (0..24).map(near).collect::<Vec<_>>().join(", "));
    fs_err::write(path.join("ring_item2attributes.json"), map).expect("writable");
    let models = ["evaluate", "--data", "set", "--models", "attributes,content", "--json"];
    let report = folder.sona(&models).expect(0).json();
    assert_eq!(report["models"][0]["name"], "attributes");
    assert_eq!(report["models"][0]["metrics"]["hr@10"], 1.0, "{report:#}");
    assert_eq!(report["models"][1]["name"], "content");
    assert!(report["models"][1]["metrics"]["hr@10"].as_f64() > Some(0.5), "{report:#}");
    assert_eq!(report["models"][1]["slices"]["cold_users"]["users"], 0, "{report:#}");
    let tune = ["tune", "attributes", "--data", "set", "--trials", "2"];
    let said = folder.sona(&tune).expect(0).stdout;
    assert!(said.contains("[attributes]\nrarity_exponent = "), "{said}");
}

#[test]
fn given_test_sides_and_negatives() {
    let folder = Folder::new();
    let write =
        |name: &str, text: &str| fs_err::write(folder.path().join(name), text).expect("writable");
    write("train.csv", "user,item\na,1\na,2\nb,1\nb,2\nb,3\nc,2\nc,3\n");
    write("test.csv", "user,item\na,3\nc,1\n");
    write("negatives.tsv", "(a,3)\t1\t4\n(c,1)\t4\t5\n");
    let given =
        ["evaluate", "--data", "train.csv", "--test", "test.csv", "--models", "popular", "--json"];
    let report = folder.sona(&given).expect(0).json();
    assert_eq!((&report["protocol"], &report["users"]), (&"full-ranking".into(), &2.into()));
    assert_eq!(report["models"][0]["metrics"]["recall@20"], 1.0, "{report:#}");
    let given = [
        "evaluate",
        "--data",
        "train.csv",
        "--negatives",
        "negatives.tsv",
        "--models",
        "popular",
        "--json",
    ];
    let report = folder.sona(&given).expect(0).json();
    assert_eq!(report["protocol"], "sampled-negatives");
    assert_eq!(report["models"][0]["metrics"]["ndcg@10"], 1.0, "{report:#}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = folder_with_ring();
    let error = |arguments: &[&str], code: i32| folder.sona(arguments).expect(code).stderr;
    let said = error(&["evaluate", "--data", "nothing.csv"], 1);
    assert!(said.contains("nothing.csv"), "{said}");
    let said = error(&["evaluate", "--data", "ring.txt", "--models", "als"], 2);
    assert!(said.contains("there is no model \"als\"; there are collaborative, recent"), "{said}");
    let said = error(&["evaluate", "--data", "ring.txt", "--models", "trending"], 1);
    assert!(said.contains("trending needs times"), "{said}");
    let said = error(&["evaluate", "--data", "ring.txt", "--cut", "2"], 2);
    assert!(said.contains("a share lies between 0 and 1"), "{said}");
}

#[test]
fn a_search_goes_on_and_its_result_is_a_configuration() {
    let folder = folder_with_ring();
    let tune = |trials: &str| {
        let arguments = ["tune", "sequence", "--data", "ring.txt", "--trials", trials];
        folder.sona(&arguments).expect(0).stdout
    };
    let first = tune("3");
    assert!(first.contains("Written to sona-tune-sequence.toml"), "{first}");
    let second = tune("6");
    assert!(second.starts_with("Going on after 3 trials"), "{second}");
    let trials =
        fs_err::read_to_string(folder.path().join("sona-tune-sequence.jsonl")).expect("written");
    assert_eq!(trials.lines().count(), 1 + 6);

    let arguments = [
        "evaluate",
        "--data",
        "ring.txt",
        "--models",
        "sequence",
        "--config",
        "sona-tune-sequence.toml",
    ];
    folder.sona(&arguments).expect(0);

    let arguments = ["tune", "sequence", "--data", "ring.txt", "--seed", "2"];
    let refused = folder.sona(&arguments).expect(1).stderr;
    assert!(refused.contains("another search (seed was 1, now it is 2)"), "{refused}");
}

#[test]
fn how_trees_are_grown_is_tuned_on_the_same_choices() {
    let folder = folder_with_ring();
    let tune = |config: &[&str], code: i32| {
        let arguments = ["tune", "ranker", "--data", "ring.txt", "--trials", "3"];
        folder.sona(&[&arguments[..], config].concat()).expect(code)
    };
    let refused = tune(&[], 1).stderr;
    let few = "the data holds 60 choices to learn from; a ranker needs 200";
    assert!(refused.contains(few), "{refused}");
    let lines = "[ranker]\nleast_choices = 30\nmin_leaf_rows = 5\n";
    fs_err::write(folder.path().join("few.toml"), lines).expect("writable");
    let config = ["--config", "few.toml", "--out", "grown.toml"];
    let said = tune(&config, 0).stdout;
    assert!(said.contains("after 3 trials"), "{said}");
    let found = fs_err::read_to_string(folder.path().join("grown.toml")).expect("written");
    assert!(found.contains("[ranker]\ntrees = "), "{found}");
    let trials = fs_err::read_to_string(folder.path().join("grown.jsonl")).expect("written");
    let leaves: std::collections::BTreeSet<_> = trials
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a trial"))
        .map(|trial| trial["values"]["ranker.leaves"].to_string())
        .collect();
    assert!(leaves.len() > 1, "{trials}");
}

#[test]
fn weights_are_tuned_in_time() {
    let folder = Folder::new().with("SONA_RANKER_TREES", "0");
    fs_err::write(folder.path().join("walks.csv"), walks()).expect("writable");
    let tune = ["tune", "weighted", "--data", "walks.csv", "--protocol", "time-split"];
    let tune = |trials: &str| {
        let limits = ["--train-every", "0", "--trials", trials];
        folder.sona(&[&tune[..], &limits].concat()).expect(0).stdout
    };
    let first = tune("1");
    assert!(first.contains("time-split, validation rows, seed 1; ndcg@10 0."), "{first}");
    let evaluate = ["evaluate", "--data", "walks.csv", "--protocol", "time-split", "--validation"];
    let models = ["--models", "weighted", "--train-every", "0", "--json"];
    let report = folder.sona(&[&evaluate[..], &models].concat()).expect(0).json();
    let found = report["models"][0]["metrics"]["ndcg@10"].as_f64().expect("a number");
    assert!(first.contains(&format!("ndcg@10 {found:.4} ")), "{first} {found}");
    let second = tune("2");
    assert!(second.starts_with("Going on after 1 trials"), "{second}");
}
