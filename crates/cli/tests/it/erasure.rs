//! Users erased through the API and from the command line: nothing the process has ever written holds their ids.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Api;
use crate::prepared;
use crate::process::{Folder, PATIENCE, SONA, Sona};

const BY_API: &str = "erased-by-api-5f1c7a90b2";
const BY_COMMAND: &str = "erased-by-command-d83e4471fa";

/// Serves `folder`, everything it has to say in a file there.
fn serve(folder: &Folder) -> Sona {
    let log = fs_err::File::create(folder.path().join("log")).expect("a file");
    let mut command = folder.command(SONA, &["serve"]);
    command.env("SONA_LOG_LEVEL", "debug").stderr(log.into_parts().0);
    Sona::start(command)
}

/// Acts as both users: events in several requests, a profile, a list.
async fn act(api: &Api, titles: &[&str]) {
    for user in [BY_API, BY_COMMAND] {
        for (n, title) in titles.iter().enumerate() {
            let event = json!({"event_id": format!("{user}-{title}"), "user_id": user,
                "content_id": title, "event_type": "watch", "completion_rate": 0.9, "timestamp":
                format!("2025-01-0{}T12:00:00Z", n + 1)});
            assert_eq!(api.post("/api/v1/events/track", &event).await.0, 200);
        }
        let body = json!({"user_id": user, "viewing_events": [{"content_id": "0137523"}]});
        assert_eq!(api.post("/api/v1/profile/update", &body).await.0, 200);
        assert_eq!(api.list(user).await.len(), 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_an_erased_user_is_in_any_file() {
    let folder = prepared::demo();
    let sona = serve(&folder);
    let api = Api::of(&sona);
    act(&api, &["0068646", "0071562"]).await;
    folder.sona(&["train"]).expect(0);
    act(&api, &["0111161", "0468569"]).await;
    assert_ne!(files_with(folder.path(), BY_API), [""; 0], "the search finds what is there");

    let (status, receipt) = api.delete(&format!("/api/v1/users/{BY_API}")).await;
    assert_eq!(status, 200, "{receipt}");
    check(&receipt, BY_API);
    assert_eq!(receipt["removed"]["states"], 1);
    assert_eq!(files_with(folder.path(), BY_API), [""; 0], "while it is served");

    let receipt = folder.sona(&["users", "erase", BY_COMMAND, "--json"]).expect(0).json();
    check(&receipt, BY_COMMAND);
    // The serving process looks at the database every quarter of a second.
    let until = std::time::Instant::now() + PATIENCE;
    while api.interaction_count(BY_COMMAND).await > 0 {
        assert!(std::time::Instant::now() < until, "the serving process does not forget");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for user in [BY_API, BY_COMMAND] {
        assert_eq!(api.interaction_count(user).await, 0);
        let again = folder.sona(&["users", "erase", user, "--json"]).expect(0).json();
        assert_eq!((&again["removed"]["events"], &again["models"]), (&json!(0), &json!([])));
    }
    // What is written behind has had its time, and stopping writes what is left.
    assert_eq!(sona.terminate(), Some(0));
    for user in [BY_API, BY_COMMAND] {
        assert_eq!(files_with(folder.path(), user), [""; 0], "after the end");
    }
    let told = folder.sona(&["users", "erase", "7"]).expect(0).stdout;
    assert!(told.starts_with("Erased user 7: 34 events, 0 profiles.\n"), "{told}");
    assert!(told.contains("no trace") && told.contains("Model versions"), "{told}");
}

fn check(receipt: &Value, user: &str) {
    assert_eq!((&receipt["user_id"], &receipt["files"]), (&json!(user), &json!("none")));
    let removed = &receipt["removed"];
    assert_eq!((&removed["events"], &removed["profiles"]), (&json!(6), &json!(1)), "{receipt}");
    assert_eq!(receipt["models"], json!([2]), "the first was trained without them");
    assert_eq!(receipt["kept_digest"].as_str().map(str::len), Some(64));
}

/// The files below `folder` that hold `text`.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if memchr::memmem::find(&fs_err::read(&path).expect("readable"), text.as_bytes())
            .is_some()
        {
            found.push(path.display().to_string());
        }
    }
    found
}
