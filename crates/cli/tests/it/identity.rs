//! Tokens and API keys as an operator makes them, and a server that asks for them.

use std::time::Instant;

use serde_json::{Value, json};

use crate::prepared;
use crate::process::{Folder, PATIENCE, Ran, Sona};

const SECRET: &str = "an operator's secret of 32 bytes or more";

/// A folder whose configuration has a secret.
fn with_secret() -> Folder {
    Folder::new().with("SONA_IDENTITY_SECRET", SECRET)
}

/// A key file of the server's tests.
pub(crate) fn key_file(name: &str) -> String {
    format!("{}/../server/tests/it/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Asks a server for a list; status and body.
pub(crate) fn ask(folder: &Folder, sona: &Sona, credential: &str, body: &Value) -> (String, Value) {
    let line = format!(
        "curl -s -w '\\n%{{http_code}}' {}/api/v1/recommendations -H 'content-type: application/json' \
         -H 'authorization: Bearer {credential}' -d '{body}'",
        sona.base
    );
    let ran = folder.shell(&line).expect(0);
    let (body, status) = ran.stdout.rsplit_once('\n').expect("a status");
    (status.to_owned(), serde_json::from_str(body).expect("JSON"))
}

/// Waits until something is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "it never became so");
    }
}

pub(crate) fn token(folder: &Folder, arguments: &[&str]) -> String {
    let ran = folder.sona(&[&["token", "create"], arguments].concat()).expect(0);
    assert_eq!(ran.stderr, "");
    ran.stdout.trim_end().to_owned()
}

#[test]
fn a_server_with_identity_answers_any_address_and_asks_who_is_there() {
    let folder = with_secret();
    let mut sona = folder.start(&["serve", "--host", "0.0.0.0", "--port", "0"]);
    let said = sona.line_with("Identity: ").pop();
    assert_eq!(said.as_deref(), Some("Identity: HS256 secret, API keys."));
    let (status, problem) = ask(&folder, &sona, "", &json!({}));
    assert_eq!(
        (status.as_str(), &problem["type"]),
        ("401", &json!("urn:sona:problem:unauthenticated"))
    );
    let ada = token(&folder, &["--subject", "ada"]);
    let (status, list) = ask(&folder, &sona, &ada, &json!({}));
    assert_eq!((status.as_str(), &list["user_id"]), ("200", &json!("ada")));
    let (status, _) = ask(&folder, &sona, &ada, &json!({"user_id": "bob"}));
    assert_eq!(status, "403");
    let shop = ["--subject", "shop", "--scope", "events:write,recommendations:read"];
    let (status, list) = ask(&folder, &sona, &token(&folder, &shop), &json!({"user_id": "bob"}));
    assert_eq!((status.as_str(), &list["user_id"]), ("200", &json!("bob")));
}

#[test]
fn without_identity_a_server_says_so_in_one_line() {
    let mut sona = Folder::new().start(&["serve", "--port", "0"]);
    let said = sona.line_with("Identity: ").pop().expect("the line");
    assert_eq!(said, "Identity: none: only this machine is answered, and may do everything.");
}

#[test]
fn the_demo_is_for_whoever_sits_there() {
    let folder = prepared::demo().with("SONA_IDENTITY_SECRET", SECRET);
    let sona = folder.start(&["demo", "--port", "0"]);
    assert_eq!(ask(&folder, &sona, "", &json!({"user_id": "2"})).0, "200");
    let ran = folder.sona_with(&[("SONA_SERVER_HOST", "0.0.0.0")], &["demo", "--port", "0"]);
    assert!(ran.expect(1).stderr.contains("refusing to answer"), "only this machine");
}

#[test]
fn tokens_are_made_with_every_kind_of_key() {
    let keys = |public: &str, private: &str| {
        Folder::new()
            .with("SONA_IDENTITY_PUBLIC_KEY_FILE", &key_file(public))
            .with("SONA_IDENTITY_PRIVATE_KEY_FILE", &key_file(private))
    };
    let file = with_secret();
    let in_file = file.path().join("secret");
    fs_err::write(&in_file, format!("{SECRET}\n")).expect("written");
    let in_file = Folder::new().with("SONA_IDENTITY_SECRET_FILE", &in_file.display().to_string());
    let set = Folder::new()
        .with("SONA_IDENTITY_JWKS", "keys.json")
        .with("SONA_IDENTITY_PRIVATE_KEY_FILE", &key_file("ed25519.pem"));
    let key = fs_err::read_to_string(key_file("ed25519.jwk.json")).expect("the key is there");
    fs_err::write(set.path().join("keys.json"), format!("{{\"keys\": [{key}]}}")).expect("written");
    for folder in [
        with_secret(),
        in_file,
        keys("ed25519.pub.pem", "ed25519.pem"),
        keys("rsa.pub.pem", "rsa.pem"),
        set,
    ] {
        let made = token(&folder, &["--subject", "ada", "--key-id", "ed"]);
        assert_eq!(made.split('.').count(), 3, "{made}");
    }
    // A key that does not fit is found when the token is made, not when it is first used.
    let ran =
        keys("ed25519-other.pub.pem", "ed25519.pem").sona(&["token", "create", "--subject", "a"]);
    assert!(ran.expect(1).stderr.contains("would not be taken"), "another public key");
}

#[test]
fn a_token_says_what_it_is_in_json() {
    let ran = with_secret().sona(&[
        "token",
        "create",
        "--subject",
        "shop",
        "--scope",
        "users:admin",
        "--scope",
        "events:write",
        "--expires",
        "30d",
        "--json",
    ]);
    let made = ran.expect(0).json();
    assert_eq!(made["subject"], "shop");
    assert_eq!(made["scopes"], json!(["events:write", "users:admin"]));
    assert!(made["token"].as_str().is_some_and(|token| token.starts_with("ey")), "{made}");
    assert!(made["expires_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{made}");
}

#[test]
fn what_cannot_be_made_says_why() {
    let refused = |folder: &Folder, arguments: &[&str], code| -> Ran {
        let ran = folder.sona(arguments).expect(code);
        assert_eq!(ran.stdout, "");
        ran
    };
    let none = Folder::new();
    let ran = refused(&none, &["token", "create", "--subject", "ada"], 1);
    assert!(ran.stderr.contains("set identity.secret"), "{ran:?}");
    let folder = with_secret();
    for (arguments, says) in [
        (
            &["token", "create", "--subject", "a", "--scope", "events:read"][..],
            "the scopes are events:write",
        ),
        (&["token", "create", "--subject", "a", "--expires", "soon"], "90s, 15m, 12h or 30d"),
        (&["token", "create"], "--subject"),
        (&["keys", "create", "--name", "n"], "--scope"),
        (&["keys", "create", "--name", "", "--scope", "users:admin"], "1 to 100 bytes"),
    ] {
        let ran = refused(&folder, arguments, 2);
        assert!(ran.stderr.contains(says), "{arguments:?}: {ran:?}");
    }
    let ran = refused(&folder, &["token", "create", "--subject", ""], 1);
    assert!(ran.stderr.contains("subject must be a user id"), "{ran:?}");
}

#[test]
fn a_key_is_made_used_listed_and_revoked() {
    let folder = Folder::new().with("SONA_IDENTITY_REQUIRED", "true");
    let sona = folder.start(&["serve", "--port", "0"]);
    let arguments = ["keys", "create", "--name", "the shop", "--scope", "recommendations:read"];
    let ran = folder.sona(&arguments).expect(0);
    let key = ran.stdout.trim_end();
    let id = key.strip_prefix("sona_").and_then(|rest| rest.split('_').next()).expect("an id");
    assert!(ran.stderr.contains("this once") && ran.stderr.contains(id), "{ran:?}");
    let body = json!({"user_id": "bob"});
    // The server notices a new key with its next look at the database.
    until(|| ask(&folder, &sona, key, &body).0 == "200");
    let listed = folder.sona(&["keys", "list", "--json"]).expect(0);
    assert!(!listed.stdout.contains(key) && !listed.stdout.contains("digest"), "{listed:?}");
    let listed = listed.json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["key_id"], id);
    assert_eq!(listed[0]["name"], "the shop");
    assert_eq!(listed[0]["state"], "active");
    assert_eq!(listed[0]["scopes"], json!(["recommendations:read"]));
    folder.sona(&["keys", "revoke", id]).expect(0);
    until(|| ask(&folder, &sona, key, &body).0 != "200");
    let (status, problem) = ask(&folder, &sona, key, &body);
    assert_eq!((status.as_str(), &problem["detail"]), ("401", &json!("the API key was revoked")));
    let people = folder.sona(&["keys", "list"]).expect(0).stdout;
    assert!(
        people.starts_with(&format!("{id}  revoked  the shop  [recommendations:read]")),
        "{people}"
    );
    let ran = folder.sona(&["keys", "revoke", "nothing"]).expect(3);
    assert!(
        ran.stderr.contains("there is no key") || ran.stderr.contains("There is no key"),
        "{ran:?}"
    );
}

#[test]
fn keys_nobody_asks_for_are_pointed_out() {
    let folder = Folder::new();
    let arguments =
        ["keys", "create", "--name", "n", "--scope", "users:admin", "--expires", "90d", "--json"];
    let ran = folder.sona(&arguments).expect(0);
    assert!(ran.stderr.contains("identity.required"), "{ran:?}");
    let made = ran.json();
    assert!(made["key"].as_str().is_some_and(|key| key.len() == 86), "{made}");
    assert!(made["expires_at"].is_string(), "{made}");
}

#[test]
fn doctor_looks_at_identity() {
    let said = |folder: &Folder, code| {
        let report = folder.sona(&["doctor", "--json"]).expect(code).json();
        let checks = report["checks"].as_array().expect("a list").clone();
        let found = checks.into_iter().find(|check| check["check"] == "identity").expect("a check");
        (found["ok"] == true, found["detail"].as_str().expect("text").to_owned())
    };
    let folder = || Folder::new().with("SONA_SERVER_PORT", "0");
    let (ok, detail) = said(&folder(), 0);
    assert!(ok && detail.starts_with("none"), "{detail}");
    let (ok, detail) = said(&folder().with("SONA_IDENTITY_SECRET", SECRET), 0);
    assert_eq!((ok, detail.as_str()), (true, "HS256 secret, API keys"));
    let (ok, detail) = said(&folder().with("SONA_IDENTITY_PUBLIC_KEY_FILE", "missing.pem"), 1);
    assert!(!ok && detail.contains("missing.pem"), "{detail}");
    let (ok, detail) = said(&folder().with("SONA_IDENTITY_JWKS", "http://127.0.0.1:1/keys"), 1);
    assert!(!ok && detail.contains("127.0.0.1:1"), "{detail}");
    let set = folder().with("SONA_IDENTITY_JWKS", "keys.json");
    let key = fs_err::read_to_string(key_file("rsa.jwk.json")).expect("the key is there");
    fs_err::write(set.path().join("keys.json"), format!("{{\"keys\": [{key}]}}")).expect("written");
    let (ok, detail) = said(&set, 0);
    assert!(ok && detail.contains("any issuer and audience is taken"), "{detail}");
}
