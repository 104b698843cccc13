//! What it costs to know who is asking: one check of a token or an API key, on one thread.
//!
//! `cargo run --release -p sona-server --example identity_cost`

use std::time::Instant;

use sona_domain::{Clock as _, Scopes};
use sona_server::identity::mint::{TokenRequest, create_token};
use sona_server::identity::{Secret, api_key};
use sona_server::{Identity, IdentityOptions};
use sona_testkit::{Backend, TestServer};

const ROUNDS: u32 = 20_000;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "a program for people")]
async fn main() {
    let server = TestServer::start(Backend::Sqlite).await;
    let now = server.clock.now();
    let key_file = |name: &str| format!("{}/tests/it/keys/{name}", env!("CARGO_MANIFEST_DIR"));
    let with_key = |name: &str| IdentityOptions {
        public_key_file: key_file(&format!("{name}.pub.pem")),
        private_key_file: key_file(&format!("{name}.pem")),
        ..IdentityOptions::default()
    };
    let secret = Secret("a secret of thirty-two bytes or more".to_owned());
    let request = TokenRequest {
        subject: "3c9f2a51-7f0e-4d0c-9f2b-0d8c8a3b1c11".to_owned(),
        scopes: Scopes::default(),
        valid_seconds: 3600,
        key_id: None,
    };
    for (name, options) in [
        ("HS256", IdentityOptions { secret, ..IdentityOptions::default() }),
        ("EdDSA", with_key("ed25519")),
        ("RS256", with_key("rsa")),
    ] {
        let options = IdentityOptions {
            issuer: "https://id.example".to_owned(),
            audience: "sona".to_owned(),
            ..options
        };
        let token = create_token(&options, &request, now).await.expect("a token");
        let identity = Identity::open(&options, now).await.expect("identity");
        let started = Instant::now();
        for _ in 0..ROUNDS {
            identity.check_token(&token, now).await.expect("a good token");
        }
        println!("{name:<8} {:6.2} µs", started.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
    }
    let (key, text) =
        api_key::issue(&[7; api_key::RANDOM_BYTES], "k".to_owned(), Scopes::ALL, now, None);
    server.another_store().await.create_key(&key).await.expect("created");
    server.engine.follow().await.expect("followed");
    let options = IdentityOptions { required: true, ..IdentityOptions::default() };
    let identity = Identity::open(&options, now).await.expect("identity");
    let started = Instant::now();
    for _ in 0..ROUNDS {
        identity.check_key(&server.engine, &text).expect("a good key");
    }
    println!("API key  {:6.2} µs", started.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
}
