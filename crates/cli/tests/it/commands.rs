//! Every command once: its help, what it prints, its exit codes.

use serde_json::Value;

use crate::prepared;
use crate::process::Folder;

#[test]
fn help() {
    let folder = Folder::new();
    for command in [
        "",
        "demo",
        "serve",
        "import",
        "import-vectors",
        "export",
        "train",
        "recommend",
        "similar",
        "migrate",
        "token create",
        "keys create",
        "keys list",
        "keys revoke",
        "doctor",
        "evaluate",
        "tune",
        "users",
        "adapters",
    ] {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let ran = folder.sona(&arguments).expect(0);
        let name = format!("help {command}");
        insta::assert_snapshot!(name.trim_end().replace(' ', "_"), ran.stdout);
    }
}

#[test]
fn version() {
    let ran = Folder::new().sona(&["--version"]).expect(0);
    assert_eq!(ran.stdout, format!("sona {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn migrate_lists_what_is_applied_and_can_be_repeated() {
    let folder = Folder::new();
    let first = folder.sona(&["migrate", "--json"]).expect(0).json();
    let migrations = first["migrations"].as_array().expect("a list");
    assert!(!migrations.is_empty());
    for (n, migration) in migrations.iter().enumerate() {
        assert_eq!(migration["number"], n + 1, "{first}");
        assert!(migration["name"].as_str().is_some_and(|name| !name.is_empty()), "{first}");
    }
    assert_eq!(first["database"], "sqlite:sona-data/sona.db");
    assert_eq!(folder.sona(&["migrate", "--json"]).expect(0).json(), first);
    let people = folder.sona(&["migrate"]).expect(0).stdout;
    assert_eq!(people.lines().count(), migrations.len() + 1, "{people}");
}

/// What doctor found on one thing.
fn finding<'a>(report: &'a Value, check: &str) -> (&'a Value, &'a str) {
    let checks = report["checks"].as_array().expect("a list");
    let found = checks.iter().find(|finding| finding["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} in {report:#}"));
    (&found["ok"], found["detail"].as_str().expect("text"))
}

#[test]
fn doctor_on_an_empty_folder_is_content() {
    let folder = Folder::new().with("SONA_SERVER_PORT", "0");
    let report = folder.sona(&["doctor", "--json"]).expect(0).json();
    assert_eq!(report["ok"], true, "{report:#}");
    assert!(finding(&report, "model").1.contains("`sona train` makes one"), "{report:#}");
    assert_eq!(finding(&report, "vectors").1, "searched in memory");
    let people = folder.sona(&["doctor"]).expect(0).stdout;
    assert!(people.lines().all(|line| line.starts_with("ok  ")), "{people}");
}

#[test]
fn doctor_names_a_vector_index_that_does_not_answer() {
    let folder = Folder::new()
        .with("SONA_SERVER_PORT", "0")
        .with("SONA_STORAGE_VECTORS", "qdrant://127.0.0.1:1/films");
    let report = folder.sona(&["doctor", "--json"]).expect(1).json();
    let (ok, detail) = finding(&report, "vectors");
    assert_eq!(ok, false);
    assert!(detail.contains("qdrant://127.0.0.1:1/films is unavailable"), "{detail}");
    assert!(detail.contains("check storage.vectors"), "{detail}");
}

#[test]
fn doctor_counts_and_checks_the_model() {
    let folder = prepared::demo();
    let report = folder.sona(&["doctor", "--json"]).expect(0).json();
    assert!(finding(&report, "database").1.contains("54632 events logged, 3809 users"));
    assert!(finding(&report, "model").1.contains("version 1, 1689 titles"), "{report:#}");
}

#[test]
fn doctor_finds_a_broken_and_a_missing_model_file() {
    let folder = prepared::demo();
    let models = folder.path().join("sona-data/blobs/models/collaborative");
    let file = fs_err::read_dir(models).expect("there").next().expect("one").expect("readable");
    let mut bytes = fs_err::read(file.path()).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(file.path(), bytes).expect("written");
    let report = folder.sona(&["doctor", "--json"]).expect(1).json();
    assert_eq!(report["ok"], false);
    let (ok, detail) = finding(&report, "model");
    assert_eq!(ok, false);
    assert!(detail.contains("version 1 is unusable") && detail.contains("train anew"), "{detail}");
    fs_err::remove_file(file.path()).expect("removed");
    let report = folder.sona(&["doctor", "--json"]).expect(1).json();
    assert!(finding(&report, "model").1.contains("is missing; train anew"), "{report:#}");
}

#[test]
fn an_encoder_is_learned_from_the_catalogue() {
    let folder = prepared::demo();
    let report = folder.sona(&["doctor", "--json"]).expect(0).json();
    assert!(finding(&report, "encoder").1.contains("`sona train encoder` learns one"));
    let told = folder.sona(&["train", "encoder"]).expect(0).stdout;
    assert!(told.starts_with("Trained encoder version 1 in "), "{told}");
    assert!(told.contains("\n1816 titles have a vector of learned-1."), "{told}");
    let like = folder.sona(&["similar", "0468569", "--limit", "1", "--json"]).expect(0).json();
    let sources = like["similar"][0]["sources"].as_array().expect("a list");
    assert!(sources.iter().any(|part| part["source"] == "content"), "{like}");
    let again = folder.sona(&["train", "embeddings", "--json"]).expect(0).json();
    assert_eq!(again["outcome"]["titles"], 1816);
    let report = folder.sona(&["doctor", "--json"]).expect(0).json();
    let (_, detail) = finding(&report, "encoder");
    assert!(detail.contains("version 1, learned from 1816 texts, vectors of 512"), "{detail}");
}

#[test]
fn a_configured_encoder_must_be_there_and_is_not_learned_over() {
    let folder = Folder::new()
        .with("SONA_SERVER_PORT", "0")
        .with("SONA_ENCODER_MODEL", "minilm.onnx")
        .with("SONA_ENCODER_TOKENIZER", "tokenizer.json");
    let told = folder.sona(&["serve"]).expect(1).stderr;
    assert!(told.contains("tokenizer.json"), "{told}");
    let told = folder.sona(&["train", "encoder"]).expect(1).stderr;
    assert!(told.contains("the encoder minilm.onnx is configured"), "{told}");
    let report = folder.sona(&["doctor", "--json"]).expect(1).json();
    assert_eq!(finding(&report, "encoder").0, false);
}

#[test]
fn a_database_that_cannot_be_one_is_told() {
    let folder = Folder::new().with("SONA_STORAGE_DATABASE", "sqlite:.");
    let report = folder.sona(&["doctor", "--json"]).expect(1).json();
    let (ok, detail) = finding(&report, "database");
    assert_eq!(ok, false);
    assert!(detail.contains("check storage.database"), "{detail}");
    for command in [&["migrate"][..], &["train"], &["recommend", "1"], &["serve", "--port", "0"]] {
        let ran = folder.sona(command).expect(1);
        assert!(ran.stderr.contains("storage.database"), "{command:?}: {ran:?}");
    }
}

#[test]
fn doctor_names_a_port_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let folder = Folder::new().with("SONA_SERVER_PORT", &port);
    let report = folder.sona(&["doctor", "--json"]).expect(1).json();
    let (_, detail) = finding(&report, "port");
    assert!(detail.contains(&format!("127.0.0.1:{port} is in use")), "{detail}");
}

#[test]
fn recommend_answers_as_the_api_does() {
    let folder = prepared::demo();
    let sona = folder.start(&["serve"]);
    let body = "-d '{\"user_id\":\"2\",\"limit\":5}' -H 'content-type: application/json'";
    let asked = folder.shell(&format!("curl -s {}/api/v1/recommendations {body}", sona.base));
    let told = folder.sona(&["recommend", "2", "--limit", "5", "--json"]).expect(0).json();
    let (mut asked, mut told) = (asked.expect(0).json(), told);
    for answer in [&mut asked, &mut told] {
        let items = answer["recommendations"].as_array_mut().expect("a list");
        assert_eq!(items.len(), 5);
        for item in items {
            assert!(item["score"].as_f64().is_some(), "{item}");
            assert!(item["explanation"].as_str().is_some_and(|s| !s.is_empty()), "{item}");
            assert!(item["sources"].as_array().is_some_and(|s| !s.is_empty()), "{item}");
        }
        assert_eq!(answer["user_id"], "2");
        assert_eq!(answer["interaction_count"], 17);
    }
    assert_eq!(crate::api::ids(&told), crate::api::ids(&asked));
    let keys = |value: &Value| value.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
    assert_eq!(keys(&told), keys(&asked));
}

#[test]
fn recommend_heeds_its_options() {
    let folder = prepared::demo();
    let all = folder.sona(&["recommend", "2", "--limit", "3", "--json"]).expect(0).json();
    let all = crate::api::ids(&all);
    let rest = folder.sona(&["recommend", "2", "--exclude", &all[0], "--json"]).expect(0).json();
    let rest = crate::api::ids(&rest);
    assert_eq!(rest.len(), 10);
    assert!(!rest.contains(&all[0]) && rest.contains(&all[1]), "{all:?} {rest:?}");
    let mood = ["recommend", "2", "--mood", "scared", "--device", "tv", "--json"];
    assert_eq!(crate::api::ids(&folder.sona(&mood).expect(0).json()).len(), 10);
}

#[test]
fn an_unknown_user_gets_a_cold_list() {
    let folder = prepared::demo();
    let cold = folder.sona(&["recommend", "nobody", "--json"]).expect(0).json();
    assert_eq!((crate::api::ids(&cold).len(), &cold["interaction_count"]), (10, &0.into()));
    let people = folder.sona(&["recommend", "nobody", "--limit", "4"]).expect(0).stdout;
    assert!(people.starts_with("User nobody (no events yet):\n"), "{people}");
    assert_eq!(people.lines().count(), 5, "{people}");
}

#[test]
fn similar_lists_titles_and_knows_what_it_does_not_know() {
    let folder = prepared::demo();
    let like = folder.sona(&["similar", "0468569", "--limit", "3", "--json"]).expect(0).json();
    assert_eq!(like["content_id"], "0468569");
    let titles = like["similar"].as_array().expect("a list");
    assert_eq!(titles.len(), 3);
    assert!(titles.iter().all(|title| title["content_id"] != "0468569"), "{like:#}");
    let people = folder.sona(&["similar", "0468569"]).expect(0).stdout;
    assert!(people.starts_with("Like The Dark Knight:\n"), "{people}");
    let ran = folder.sona(&["similar", "no-such-film"]).expect(3);
    assert!(ran.stderr.contains("no-such-film") && ran.stdout.is_empty(), "{ran:?}");
}

#[test]
fn a_server_can_be_stopped_as_soon_as_it_says_that_it_serves() {
    let folder = prepared::demo();
    for command in ["serve", "demo"] {
        let sona = folder.start(&[command, "--port", "0"]);
        assert_eq!(sona.terminate(), Some(0), "{command}");
    }
}

#[test]
fn an_empty_log_cannot_be_trained_on() {
    let ran = Folder::new().sona(&["train"]).expect(1);
    assert!(ran.stderr.contains("nothing to train on"), "{ran:?}");
}

#[test]
fn a_worse_model_is_rejected_and_the_old_one_stays() {
    let folder = prepared::demo();
    let trained = folder.sona(&["train", "--json"]).expect(0).json();
    assert_eq!(trained["state"], "completed");
    assert_eq!(trained["outcome"]["outcome"], "registered");
    assert_eq!(trained["outcome"]["version"], 2);
    let worse = [("SONA_ALS_REGULARIZATION", "100000")];
    let ran = folder.sona_with(&worse, &["train"]).expect(4);
    assert!(ran.stdout.contains("is rejected, the old one stays"), "{ran:?}");
    let ran = folder.sona_with(&worse, &["train", "--json"]).expect(4).json();
    assert_eq!(ran["outcome"]["outcome"], "rejected");
    let report = folder.sona(&["doctor", "--json"]).expect(0).json();
    assert!(finding(&report, "model").1.contains("version 2"), "{report:#}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = prepared::demo();
    let ran =
        folder.shell(&format!("{} recommend 2 --limit 100 | head -n 1", crate::process::SONA));
    assert_eq!(ran.expect(0).stderr, "");
}
