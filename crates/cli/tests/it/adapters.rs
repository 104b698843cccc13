//! `sona adapters` on a database with a user who has three versions, a base layer, and no ranker.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sona_domain::model::NewModelVersion;
use sona_domain::{
    AdapterName, AdapterOrigin, ContentId, Event, EventId, EventType, NewAdapter, Timestamp, UserId,
};
use sona_formats::adapters::{BaseLayer, Learned, UserWeights};
use sona_store::{Parent, Saved, Store};

use crate::process::Folder;

const RANK: usize = 2;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_750_000_000 + seconds)
}

fn weights(events: u64) -> Vec<u8> {
    let n = 2 * RANK;
    let weights = UserWeights {
        base_version: 1,
        rank: RANK,
        outputs: 2,
        scale: 4.0,
        iterations: events,
        learned: Learned::Lists {
            solution: vec![0.25 * events as f64; n],
            precision: vec![0.5; n * (n + 1) / 2],
            right: vec![0.5; n],
            gain: 1.5,
            unsolved: 0,
        },
    };
    weights.encode().expect("well formed")
}

fn event(user: &str) -> Event {
    Event {
        event_id: EventId::new(format!("of {user}")).expect("an id"),
        user_id: UserId::new(user).expect("an id"),
        content_id: ContentId::new("t").expect("an id"),
        event_type: EventType::new("watch").expect("a type"),
        completion_rate: None,
        rating: None,
        is_rewatch: false,
        dismissed: false,
        context: None,
        recommendation_id: None,
        timestamp: at(0),
    }
}

async fn open(folder: &Folder) -> Arc<dyn Store> {
    let database = folder.path().join("sona-data/sona.db");
    sona_store::open(&format!("sqlite:{}", database.display())).await.expect("opens")
}

/// A folder where user 42 has three versions, of which the last is served, and user 7 none.
async fn prepared() -> Folder {
    let folder = Folder::new();
    folder.sona(&["migrate"]).expect(0);
    let store = open(&folder).await;
    let blobs = format!("file:{}", folder.path().join("sona-data/blobs").display());
    let blobs = sona_store::blobs::open_blobs(&blobs).await.expect("opens");
    store.append(&[event("42"), event("7")], at(0)).await.expect("appended");
    let base = BaseLayer {
        layout: r#"["one","two","three"]"#.to_owned(),
        rank: RANK,
        inputs: 3,
        users: 20,
        rows: vec![0.5; RANK * 3],
    };
    let bytes = base.encode().expect("well formed");
    let model = NewModelVersion {
        model_name: sona_engine::BASE_LAYER_NAME.to_owned(),
        blob_key: "models/base-layer/1.safetensors".to_owned(),
        size_bytes: bytes.len() as i64,
        sha256: sona_engine::artifact::checksum(&bytes),
        metadata: serde_json::Map::new(),
        job_id: None,
    };
    blobs.put(&model.blob_key, bytes.into()).await.expect("put");
    store.register_model(&model, at(0)).await.expect("registered");
    let moved = store.set_current_model(&model.model_name, None, 1, at(0)).await;
    assert!(moved.expect("answered"));
    for version in 1..=3 {
        let new = NewAdapter {
            user_id: UserId::new("42").expect("an id"),
            adapter_name: AdapterName::default(),
            base_version: 1,
            origin: AdapterOrigin::Learned,
            training_iterations: 10 * version,
            weights: weights(10 * version),
        };
        let saved = store.save_adapter(&new, Parent::Any, at(version as i64)).await;
        assert_eq!(saved.expect("answered"), Saved::Version(version as i64));
    }
    store.close().await;
    folder
}

fn adapters(folder: &Folder, line: &str) -> crate::process::Ran {
    let arguments: Vec<_> = ["adapters"].into_iter().chain(line.split(' ')).collect();
    folder.sona(&arguments)
}

fn listed(folder: &Folder, user: &str) -> Vec<Value> {
    let listed = adapters(folder, &format!("list {user} --json")).expect(0).json();
    let versions = listed["adapters"].as_array().expect("a list").iter();
    let versions = versions.inspect(|version| {
        assert_eq!((&version["rank"], &version["gain"]), (&json!(2), &json!(1.5)), "{version}");
    });
    versions.map(|version| json!([version["version"], version["is_served"]])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_shown_served_and_deleted() {
    let folder = prepared().await;
    let table = adapters(&folder, "list 42").expect(0).stdout;
    assert!(
        table.starts_with("NAME     VERSION  PARENT  BASE  ORIGIN    RANK  EVENTS     GAIN"),
        "{table}"
    );
    let served: Vec<_> = table.lines().filter(|line| line.ends_with("served")).collect();
    assert_eq!(served.len(), 1, "{table}");
    assert!(
        served[0].starts_with("default        3       2     1  learned      2      30    1.500"),
        "{table}"
    );
    let shown = adapters(&folder, "show 42").expect(0).stdout;
    for part in ["version 3: served", "rank 2, 2 contexts", "30 events", "1.500 nats"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let refused = adapters(&folder, "rollback 42 --served 1").expect(1).stderr;
    assert!(refused.contains("version 3 is served"), "{refused}");
    let told = adapters(&folder, "rollback 42").expect(0).stdout;
    assert_eq!(told, "User 42: adapter default is rolled back. Version 2 is served.\n");
    let done = adapters(&folder, "serve 42 1 --json").expect(0).json();
    assert_eq!(done["served_version"], 1);
    assert!(adapters(&folder, "rollback 42").expect(1).stderr.contains("no version before 1"));
    adapters(&folder, "pin 42 2").expect(0);
    for (version, why) in [(1, "served"), (2, "pinned")] {
        let kept = adapters(&folder, &format!("delete 42 {version}")).expect(1).stderr;
        assert!(kept.contains(why), "{kept}");
    }
    adapters(&folder, "unpin 42 2").expect(0);
    adapters(&folder, "delete 42 2").expect(0);
    assert_eq!(listed(&folder, "42"), [json!([3, false]), json!([1, true])]);
    assert!(adapters(&folder, "show 42 2").expect(3).stderr.contains("no version 2"));
    adapters(&folder, "delete 42").expect(2);
    let told = adapters(&folder, "delete 42 --all").expect(0).stdout;
    assert_eq!(told, "User 42: adapter default is deleted. 2 versions were deleted.\n");
    adapters(&folder, "show 42").expect(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_version_is_listed_as_one() {
    let folder = prepared().await;
    let mut cut = weights(40);
    cut.truncate(100);
    let new = NewAdapter {
        user_id: UserId::new("42").expect("an id"),
        adapter_name: AdapterName::default(),
        base_version: 1,
        origin: AdapterOrigin::Imported,
        training_iterations: 40,
        weights: cut,
    };
    let store = open(&folder).await;
    store.save_adapter(&new, Parent::Any, at(9)).await.expect("answered");
    store.close().await;
    let table = adapters(&folder, "list 42").expect(0).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[1].contains("-      40        -     100"), "{table}");
    assert!(lines[1].contains("served, damaged: "), "{table}");
    assert!(lines[2].contains("2      30    1.500"), "{table}");
    let listed = adapters(&folder, "list 42 --json").expect(0).json();
    let first = &listed["adapters"][0];
    assert!(first["damage"].is_string() && first["rank"].is_null(), "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opts_out_keeps_nothing() {
    let folder = prepared().await;
    let report = adapters(&folder, "report --json").expect(0).json();
    assert_eq!((&report["stored"]["total_adapters"], &report["opted_out"]), (&json!(3), &json!(0)));
    assert_eq!(adapters(&folder, "opt-out 42 --json").expect(0).json()["deleted"], 3);
    let told = adapters(&folder, "list 42").expect(0).stdout;
    assert!(told.starts_with("User 42 wants no adapter since 2"), "{told}");
    assert!(adapters(&folder, "report").expect(0).stdout.contains("1 users have opted out."));
    adapters(&folder, "opt-in 42").expect(0);
    assert_eq!(listed(&folder, "42"), [Value::Null; 0]);
    assert!(adapters(&folder, "list 42").expect(0).stdout.contains("no adapter yet"));
    let told = adapters(&folder, "reset 42").expect(0).stdout;
    assert!(told.starts_with("User 42: all adapters are deleted"), "{told}");
    let refused = adapters(&folder, "train 42 --force").expect(1).stderr;
    assert!(refused.contains("no ranker yet"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn adapters_move_as_a_tar_or_a_folder() {
    let folder = prepared().await;
    adapters(&folder, "export 42 --to 42.tar").expect(0);
    adapters(&folder, "export 42 1 --to one").expect(0);
    let done = adapters(&folder, "import 7 --from 42.tar --json").expect(0).json();
    assert_eq!(done["served_version"], 1);
    adapters(&folder, "export 7 --to 7.tar").expect(0);
    let read = |name: &str| fs_err::read(folder.path().join(name)).expect("readable");
    assert_eq!(read("42.tar"), read("7.tar"), "bit by bit");
    // Without the statistics the weights are what is believed at first.
    fs_err::remove_file(folder.path().join("one/sona.safetensors")).expect("there");
    adapters(&folder, "import 7 --from one --served 1").expect(0);
    let shown = adapters(&folder, "show 7 --json").expect(0).json();
    let facts =
        json!([shown["version"], shown["origin"], shown["training_iterations"], shown["gain"]]);
    assert_eq!(facts, json!([2, "imported", 10, 0.0]));
    adapters(&folder, "export 7 --to again").expect(0);
    let model = Path::new("adapter_model.safetensors");
    let matrix = |name: &str| fs_err::read(folder.path().join(name).join(model)).expect("there");
    assert_eq!(matrix("one"), matrix("again"));
    fs_err::remove_file(folder.path().join("one/adapter_config.json")).expect("there");
    let refused = adapters(&folder, "import 7 --from one").expect(1).stderr;
    assert!(refused.contains("adapter_config.json is missing"), "{refused}");
    adapters(&folder, "import 99 --from 42.tar").expect(3);
}
