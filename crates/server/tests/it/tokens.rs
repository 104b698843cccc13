//! Tokens for tests: signed as an issuer would, with keys that lie beside this file.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sona_domain::Clock as _;
use sona_server::IdentityOptions;
use sona_server::identity::Secret;
use sona_testkit::{Answer, Backend, TestServer};

/// The secret of [`with_secret`].
pub(crate) const SECRET: &str = "thirty-two bytes and a little more";

/// Where a key lies.
pub(crate) fn key_file(name: &str) -> String {
    format!("{}/tests/it/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What a key file holds.
pub(crate) fn key_bytes(name: &str) -> Vec<u8> {
    fs_err::read(key_file(name)).expect("the key is there")
}

/// Identity by HS256.
pub(crate) fn with_secret() -> IdentityOptions {
    IdentityOptions { secret: Secret(SECRET.to_owned()), ..IdentityOptions::default() }
}

/// A server that believes tokens signed with [`SECRET`].
pub(crate) async fn secret_server() -> TestServer {
    TestServer::with_identity(Backend::Sqlite, with_secret()).await
}

/// A key to sign with.
#[derive(Clone, Copy)]
pub(crate) enum Key<'a> {
    Secret(&'a [u8]),
    Ed25519(&'a str),
    Rsa(&'a str),
}

/// A token as an issuer makes it. The server must run before the first token is made: it brings the cryptography.
pub(crate) fn sign(_: &TestServer, key: Key<'_>, key_id: Option<&str>, claims: &Value) -> String {
    let (algorithm, key) = match key {
        Key::Secret(secret) => (Algorithm::HS256, EncodingKey::from_secret(secret)),
        Key::Ed25519(file) => {
            (Algorithm::EdDSA, EncodingKey::from_ed_pem(&key_bytes(file)).expect("a key"))
        }
        Key::Rsa(file) => {
            (Algorithm::RS256, EncodingKey::from_rsa_pem(&key_bytes(file)).expect("a key"))
        }
    };
    let header = Header { kid: key_id.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, claims, &key).expect("a token")
}

/// The server's time, in seconds.
pub(crate) fn now(server: &TestServer) -> i64 {
    server.clock.now().as_micros() / 1_000_000
}

/// What a plain token says: valid for ten minutes.
pub(crate) fn claims(server: &TestServer, subject: &str) -> Value {
    json!({"sub": subject, "exp": now(server) + 600})
}

/// A plain token of an end user.
pub(crate) fn end_user(server: &TestServer, subject: &str) -> String {
    sign(server, Key::Secret(SECRET.as_bytes()), None, &claims(server, subject))
}

/// A token of a service.
pub(crate) fn service(server: &TestServer, scopes: &str) -> String {
    let mut claims = claims(server, "a-service");
    claims["scope"] = scopes.into();
    sign(server, Key::Secret(SECRET.as_bytes()), None, &claims)
}

/// A request for a list that names nobody.
pub(crate) fn ask(server: &TestServer) -> RequestBuilder {
    server.request(Method::POST, "/api/v1/recommendations").json(&json!({"limit": 1}))
}

/// Whose list a token's holder gets, or why none.
pub(crate) async fn whose(server: &TestServer, token: &str) -> Result<String, String> {
    let answer = Answer::to(ask(server).bearer_auth(token)).await;
    let (status, body) = answer.json();
    if status == 200 {
        return Ok(body["user_id"].as_str().expect("an id").to_owned());
    }
    assert_eq!(status, 401, "{body}");
    assert!(token.len() < 9 || !answer.text.contains(token), "the token is not echoed");
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge, "Bearer realm=\"sona\", error=\"invalid_token\"");
    Err(body["detail"].as_str().expect("text").to_owned())
}
