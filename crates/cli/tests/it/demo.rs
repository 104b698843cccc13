//! `sona demo` from nothing to lists that change.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::api::{self, Api};
use crate::prepared;
use crate::process::{Folder, PATIENCE, Sona, kill};

/// How many ratings are shipped.
const EVENTS: u64 = 54_632;

/// A printed list: whose, and the titles.
#[derive(Debug, PartialEq)]
struct Shown {
    user: String,
    titles: Vec<String>,
}

/// The lists in what the demo printed.
fn lists(output: &str) -> Vec<Shown> {
    let mut lists: Vec<Shown> = Vec::new();
    for line in output.lines() {
        if let Some((user, _)) = line.strip_prefix("User ").and_then(|l| l.split_once(" (")) {
            if line.ends_with("):") {
                lists.push(Shown { user: user.to_owned(), titles: Vec::new() });
            }
        } else if let Some((number, rest)) = line.trim_start().split_once(". ")
            && number.parse::<u8>().is_ok()
        {
            let (_, title) = rest.split_once("  ").expect("a score before the title");
            let title = title.split("  ").next().unwrap_or_default();
            lists.last_mut().expect("a heading").titles.push(title.to_owned());
        }
    }
    lists
}

/// Checks what `demo --once` printed; returns the title of its event.
fn check_story(output: &str) -> String {
    let [first, other, changed] = &lists(output)[..] else { panic!("not three lists: {output}") };
    assert!([first, other, changed].iter().all(|list| list.titles.len() == 10), "{output}");
    assert_eq!((&first.user, first.user == other.user), (&changed.user, false), "{output}");
    assert_ne!(first.titles, other.titles, "{output}");
    assert_ne!(first.titles, changed.titles, "{output}");
    let event = output.lines().find_map(|line| line.strip_suffix(" and gives it 5 stars."));
    let (_, title) = event.and_then(|line| line.split_once(" watches ")).expect("the event");
    let is_it = |listed: &String| listed.starts_with(&format!("{title} ("));
    assert!(first.titles.iter().any(is_it), "{title} is not on the first list: {output}");
    assert!(!changed.titles.iter().any(is_it), "{title} is still listed: {output}");
    title.to_owned()
}

#[test]
fn once_shows_lists_that_differ_and_change() {
    let folder = Folder::new();
    let output = folder.sona(&["demo", "--once"]).expect(0).stdout;
    assert!(output.contains("Imported 1816 films and 54632 ratings by 3809 users"), "{output}");
    assert!(output.contains("the last one is an hour old"), "{output}");
    let watched = check_story(&output);
    let again = folder.sona(&["demo", "--once"]).expect(0).stdout;
    assert!(again.contains("Reusing the data of an earlier start."), "{again}");
    assert!(!again.contains("Imported") && !again.contains("Trained"), "{again}");
    assert_ne!(check_story(&again), watched, "a watched film was recommended again");
}

#[test]
fn the_data_folder_can_be_chosen() {
    let folder = prepared::demo();
    fs_err::rename(folder.path().join("sona-data"), folder.path().join("films")).expect("moved");
    let output = folder.sona(&["demo", "--once", "--data-dir", "films"]).expect(0).stdout;
    assert!(output.starts_with("Data folder: films\nReusing"), "{output}");
    let list = folder.sona(&["recommend", "374", "--data-dir", "films", "--json"]).expect(0).json();
    assert_eq!(list["model_version"], 1, "{list}");
    folder.sona(&["keys", "list", "--data-dir", "films"]).expect(0);
    assert!(!folder.path().join("sona-data").exists());
}

#[test]
fn the_lines_it_prints_work_when_pasted() {
    let folder = prepared::demo();
    let curl = folder.shell("command -v curl");
    assert_eq!(curl.code, Some(0), "this test needs curl: install it (apt-get install curl)");
    let mut sona = folder.start(&["demo", "--port", "0"]);
    let printed = sona.line_with("Stop with Ctrl-C.");
    let lines: Vec<_> = printed.iter().filter(|line| line.starts_with("  curl ")).collect();
    assert_eq!(lines.len(), 3, "{printed:#?}");
    let answers: Vec<Value> =
        lines.iter().map(|line| folder.shell(line).expect(0).json()).collect();
    let (first, changed) = (api::ids(&answers[0]), api::ids(&answers[2]));
    assert_eq!((first.len(), changed.len()), (5, 5));
    assert_eq!(answers[1]["status"], "accepted", "{}", answers[1]);
    assert!(lines[1].contains(&first[0]), "the event is not about the first title: {}", lines[1]);
    assert!(!changed.contains(&first[0]), "{changed:?}");
    assert_ne!(first[1..], changed[..4], "nothing but the watched title changed");
    assert_eq!(sona.terminate(), Some(0));
}

#[test]
fn a_port_in_use_is_told_before_anything_is_imported() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let ran = folder.sona(&["demo", "--port", &port]).expect(1);
    assert!(ran.stderr.contains(&format!("127.0.0.1:{port} is in use")), "{ran:?}");
    assert_eq!(ran.stdout, "");
    assert!(!folder.path().join("sona-data").exists(), "something was imported");
}

/// How many events each shipped user has, from the file itself.
fn shipped_counts() -> BTreeMap<String, u64> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/events.csv");
    let mut counts = BTreeMap::new();
    let mut file = csv::Reader::from_path(path).expect("the shipped ratings");
    for record in file.records() {
        *counts.entry(record.expect("valid")[0].to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn an_interrupted_start_is_made_good_by_the_next() {
    let folder = Folder::new();
    let url = format!("sqlite:{}", folder.path().join("sona-data/sona.db").display());
    // Killed when so many events are in: before the first, between batches, and while training.
    for events in [0, 5_000, 20_000, EVENTS] {
        let mut child = folder.spawn(&[], &["demo", "--port", "0"]);
        wait_for_events(&url, events).await;
        kill(&mut child);
    }
    let sona = folder.start(&["demo", "--port", "0"]);
    let api = Api::of(&sona);
    check_whole(&api).await;
    sona.kill();
    let report = folder.sona_with(&[("SONA_SERVER_PORT", "0")], &["doctor"]).expect(0).stdout;
    assert!(report.contains("54632 events logged, 3809 users"), "{report}");
}

/// Every event is there once, and lists are made.
async fn check_whole(api: &Api) {
    let counts = shipped_counts();
    assert_eq!(counts.values().sum::<u64>(), EVENTS);
    assert_eq!(api.health().await["applied_cursor"], EVENTS);
    for (user, count) in counts.iter().step_by(20) {
        assert_eq!(api.interaction_count(user).await, *count, "events of {user}");
    }
    assert_eq!(api.list("2").await.len(), 10);
    assert!(api.model_version().await.is_some());
}

/// Returns when the database exists and has at least so many events.
async fn wait_for_events(url: &str, events: u64) {
    let path = url.strip_prefix("sqlite:").expect("a file");
    let wait = async {
        while !std::path::Path::new(path).exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // The schema may be half made by the other process; opening brings it up to date as well.
        let store = sona_store::open(url).await.expect("a database");
        while (store.head().await.expect("readable").0 as u64) < events {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        store.close().await;
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the import goes on");
}

#[test]
fn a_stopped_demo_goes_on_where_it_was() {
    let folder = prepared::demo();
    let start = || -> Sona { folder.start(&["demo", "--port", "0"]) };
    let mut sona = start();
    let printed = sona.line_with("Stop with Ctrl-C.");
    let event = printed.iter().find(|line| line.contains("events/track")).expect("printed");
    let sent = folder.shell(event).expect(0).json();
    sona.kill();
    let mut sona = start();
    let printed = sona.line_with("Stop with Ctrl-C.");
    let next = printed.iter().find(|line| line.contains("events/track")).expect("printed");
    let film = |line: &str| line.split("\"content_id\"").nth(1).map(ToOwned::to_owned);
    assert_ne!(film(event), film(next), "{sent}: the acknowledged event is gone");
    assert_eq!(sona.terminate(), Some(0));
}
