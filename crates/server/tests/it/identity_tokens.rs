//! Which tokens are believed.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use sona_domain::Timestamp;
use sona_server::identity::{Algorithm as Taken, Secret};
use sona_server::{Identity, IdentityOptions};
use sona_testkit::{Answer, Backend, TestServer};

use crate::tokens::{
    Key, SECRET, ask, claims, end_user, key_bytes, key_file, now, secret_server, sign, whose,
    with_secret,
};

/// Identity by a public key.
fn with_key(name: &str) -> IdentityOptions {
    IdentityOptions { public_key_file: key_file(name), ..IdentityOptions::default() }
}

async fn server(identity: IdentityOptions) -> TestServer {
    TestServer::with_identity(Backend::Sqlite, identity).await
}

#[tokio::test]
async fn every_algorithm_is_taken_with_its_key() {
    for (identity, key) in [
        (with_secret(), Key::Secret(SECRET.as_bytes())),
        (with_key("ed25519.pub.pem"), Key::Ed25519("ed25519.pem")),
        (with_key("rsa.pub.pem"), Key::Rsa("rsa.pem")),
    ] {
        let server = server(identity).await;
        let token = sign(&server, key, None, &claims(&server, "ada"));
        assert_eq!(whose(&server, &token).await, Ok("ada".to_owned()));
        // A key id means nothing where there is one key.
        let token = sign(&server, key, Some("any"), &claims(&server, "ada"));
        assert_eq!(whose(&server, &token).await, Ok("ada".to_owned()));
    }
}

#[tokio::test]
async fn a_secret_can_come_from_a_file() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(file.path(), format!("{SECRET}\n")).expect("written");
    let secret_file = file.path().display().to_string();
    let server = server(IdentityOptions { secret_file, ..IdentityOptions::default() }).await;
    assert_eq!(whose(&server, &end_user(&server, "ada")).await, Ok("ada".to_owned()));
}

/// Claims that are refused, and a word of what is said.
#[tokio::test]
async fn claims_are_held_to_the_configuration() {
    let identity = IdentityOptions {
        issuer: "https://id.example".to_owned(),
        audience: "sona".to_owned(),
        ..with_secret()
    };
    let server = server(identity).await;
    let good = json!({"sub": "ada", "exp": now(&server) + 600, "iss": "https://id.example", "aud": "sona"});
    let sign = |claims: &Value| sign(&server, Key::Secret(SECRET.as_bytes()), None, claims);
    let with = |field: &str, value: Value| {
        let mut claims = good.clone();
        claims[field] = value;
        claims
    };
    let without = |field: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().expect("claims").remove(field);
        claims
    };
    for fine in [
        good.clone(),
        with("aud", json!(["other", "sona"])),
        with("nbf", json!(now(&server))),
        with("exp", json!((now(&server) + 5) as f64 + 0.5)),
        with("token_type", json!("access")),
        with("token_type", json!("Bearer")),
        with("iat", json!(now(&server) + 9)),
        with("email", json!("ada@example.org")),
    ] {
        assert_eq!(whose(&server, &sign(&fine)).await, Ok("ada".to_owned()), "{fine}");
    }
    for (wrong, says) in [
        (without("exp"), "(`exp`)"),
        (with("exp", json!(null)), "(`exp`)"),
        (with("exp", json!("soon")), "send one token"),
        (with("exp", json!(-1)), "expired"),
        (with("exp", json!(now(&server) - 60)), "expired"),
        (with("nbf", json!(now(&server) + 61)), "(`nbf`)"),
        (without("iss"), "(`iss`)"),
        (with("iss", json!("https://id.example/")), "(`iss`)"),
        (with("iss", json!(7)), "(`iss`)"),
        (without("aud"), "(`aud`)"),
        (with("aud", json!("Sona")), "(`aud`)"),
        (with("aud", json!([])), "(`aud`)"),
        (with("aud", json!(["other"])), "(`aud`)"),
        (without("sub"), "(`sub`)"),
        (with("sub", json!("")), "(`sub`)"),
        (with("sub", json!("a\nb")), "(`sub`)"),
        (with("sub", json!(7)), "send one token"),
        (with("token_type", json!("refresh")), "(`token_type`)"),
    ] {
        let refused = whose(&server, &sign(&wrong)).await.expect_err("refused");
        assert!(refused.contains(says), "{wrong}: {refused}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute_and_no_more() {
    let server = secret_server().await;
    let (start, end) = (now(&server) + 1_000, now(&server) + 2_000);
    let claims = json!({"sub": "ada", "nbf": start, "exp": end});
    let token = sign(&server, Key::Secret(SECRET.as_bytes()), None, &claims);
    let micros = |seconds: i64| seconds * 1_000_000;
    for (at, says) in [
        (micros(start - 60) - 1, Some("(`nbf`)")),
        (micros(start - 60), None),
        (micros(end + 60) - 1, None),
        (micros(end + 60), Some("expired")),
    ] {
        server.clock.set(Timestamp::from_micros(at));
        let found = whose(&server, &token).await.err();
        assert_eq!(found.is_some(), says.is_some(), "{at}: {found:?}");
        assert!(found.is_none_or(|found| says.is_some_and(|says| found.contains(says))), "{at}");
    }
}

/// A public key is no secret: a token "signed" with it by HMAC must not be believed.
#[tokio::test]
async fn a_public_key_is_no_secret() {
    for name in ["rsa.pub.pem", "ed25519.pub.pem"] {
        let server = server(with_key(name)).await;
        let pem = key_bytes(name);
        for secret in [pem.clone(), pem.trim_ascii_end().to_vec()] {
            let forged = sign(&server, Key::Secret(&secret), None, &claims(&server, "ada"));
            let refused = whose(&server, &forged).await.expect_err("refused");
            assert!(refused.contains("not known here"), "{refused}");
        }
        // Also where a secret is configured besides.
        let both = IdentityOptions { secret: Secret(SECRET.to_owned()), ..with_key(name) };
        let server = self::server(both).await;
        let forged = sign(&server, Key::Secret(&pem), None, &claims(&server, "ada"));
        let refused = whose(&server, &forged).await.expect_err("refused");
        assert!(refused.contains("signature"), "{refused}");
    }
}

#[tokio::test]
async fn only_allowed_algorithms_are_taken() {
    let only = |algorithm, identity| IdentityOptions { algorithms: vec![algorithm], ..identity };
    let both = IdentityOptions { secret: Secret(SECRET.to_owned()), ..with_key("ed25519.pub.pem") };
    let narrow = IdentityOptions { algorithms: vec![Taken::EdDSA, Taken::HS256], ..both };
    let server = server(narrow).await;
    let rsa = sign(&server, Key::Rsa("rsa.pem"), None, &claims(&server, "ada"));
    assert!(whose(&server, &rsa).await.expect_err("refused").contains("algorithm"));
    assert_eq!(whose(&server, &end_user(&server, "ada")).await, Ok("ada".to_owned()));
    // A key of one kind does not serve another algorithm that is allowed.
    let server = self::server(only(Taken::RS256, with_key("rsa.pub.pem"))).await;
    let ed = sign(&server, Key::Ed25519("ed25519.pem"), None, &claims(&server, "ada"));
    assert!(whose(&server, &ed).await.expect_err("refused").contains("algorithm"));
    let server = self::server(with_key("rsa.pub.pem")).await;
    assert!(whose(&server, &ed).await.expect_err("refused").contains("not known here"));
    let stranger = sign(&server, Key::Rsa("rsa.pem"), None, &claims(&server, "ada"));
    assert_eq!(whose(&server, &stranger).await, Ok("ada".to_owned()));
}

/// A part of a token: base64url without padding.
fn part(json: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = json.as_bytes().chunks(3).flat_map(|bytes| {
        let group = bytes.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - bytes.len()));
        (0..=bytes.len()).map(move |n| DIGITS[(group >> (18 - 6 * n)) as usize & 63] as char)
    });
    digits.collect()
}

#[tokio::test]
async fn unsigned_and_odd_tokens_are_refused() {
    let server = secret_server().await;
    let good = end_user(&server, "ada");
    let parts: Vec<_> = good.split('.').collect();
    let (payload, signature) = (parts[1], parts[2]);
    for algorithm in ["none", "None", "NONE", "HS512", "ES256", "hs256", ""] {
        let header = part(&format!("{{\"alg\":\"{algorithm}\",\"typ\":\"JWT\"}}"));
        for token in [format!("{header}.{payload}."), format!("{header}.{payload}.{signature}")] {
            let refused = whose(&server, &token).await.expect_err("refused");
            assert!(refused.contains("algorithm"), "{algorithm}: {refused}");
        }
    }
    let crit = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::HS256) };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let crit = encode(&crit, &claims(&server, "ada"), &key).expect("a token");
    let long = "x".repeat(9_000);
    for odd in [
        "a",
        "a.b",
        "a.b.c",
        "..",
        "a.b.c.d",
        &format!("{good}.{signature}"),
        &format!("{}.{payload}.{signature}", part("[]")),
        &format!("{}.{payload}.{signature}", part("{\"alg\":")),
        &crit,
        &long,
    ] {
        let refused = whose(&server, odd).await.expect_err("refused");
        assert!(refused.contains("one token") || refused.contains("algorithm"), "{odd}: {refused}");
    }
}

/// Changing any character of the payload or the signature breaks a token.
#[tokio::test]
async fn a_tampered_token_is_refused() {
    let server = secret_server().await;
    let identity = Identity::open(&with_secret(), sona_domain::Clock::now(&*server.clock)).await;
    let identity = identity.expect("identity");
    let good = end_user(&server, "ada");
    let at = sona_domain::Clock::now(&*server.clock);
    assert!(identity.check_token(&good, at).await.is_ok());
    // The last character holds bits that are not used.
    for n in 0..good.len() - 1 {
        let mut bytes = good.clone().into_bytes();
        bytes[n] = if bytes[n] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("ASCII");
        assert!(identity.check_token(&changed, at).await.is_err(), "{n}: {changed}");
    }
}

#[tokio::test]
async fn a_token_of_another_key_is_refused() {
    let server = server(with_key("ed25519.pub.pem")).await;
    let other = sign(&server, Key::Ed25519("ed25519-other.pem"), None, &claims(&server, "ada"));
    assert!(whose(&server, &other).await.expect_err("refused").contains("signature"));
    let server = secret_server().await;
    let secret = b"another secret of at least 32 bytes";
    let other = sign(&server, Key::Secret(secret), None, &claims(&server, "ada"));
    assert!(whose(&server, &other).await.expect_err("refused").contains("signature"));
}

#[tokio::test]
async fn a_scope_makes_a_service_and_others_do_not() {
    let server = secret_server().await;
    let with = |scope: Value| {
        let mut claims = claims(&server, "shop");
        claims["scope"] = scope;
        sign(&server, Key::Secret(SECRET.as_bytes()), None, &claims)
    };
    for scope in [json!(""), json!("openid profile"), json!(["email"]), json!(null)] {
        assert_eq!(whose(&server, &with(scope)).await, Ok("shop".to_owned()));
    }
    for scope in [json!("openid recommendations:read"), json!(["recommendations:read"])] {
        let answer = Answer::to(ask(&server).bearer_auth(with(scope))).await;
        assert_eq!(answer.status, 422, "a service says for whom: {}", answer.text);
        assert!(answer.text.contains("/user_id"), "{}", answer.text);
    }
}

#[tokio::test]
async fn whoever_shows_nothing_is_told_how() {
    let server = secret_server().await;
    let answer = Answer::to(ask(&server)).await;
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"sona\"");
    insta::assert_json_snapshot!(answer.json().1);
    let basic = ask(&server).basic_auth("ada", Some("secret"));
    let answer = Answer::to(basic).await;
    assert_eq!(answer.status, 401);
    let nowhere = Answer::to(server.request(Method::GET, "/nothing")).await;
    assert_eq!(nowhere.status, 404);
    let wrong = server.request(Method::DELETE, "/api/v1/recommendations");
    let answer = Answer::to(wrong).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
}

#[tokio::test]
async fn refusals_are_counted_by_reason() {
    let server = secret_server().await;
    Answer::to(ask(&server)).await;
    whose(&server, "a.b.c").await.expect_err("refused");
    whose(&server, "sona_1_2").await.expect_err("refused");
    let foreign = ask(&server).json(&json!({"user_id": "bob"}));
    Answer::to(foreign.bearer_auth(end_user(&server, "ada"))).await;
    let scope = crate::tokens::service(&server, "models:write");
    let metrics = server.request(Method::GET, "/metrics").bearer_auth(scope);
    let text = Answer::to(metrics).await.text;
    for (reason, count) in
        [("missing", 1), ("malformed", 1), ("api_key", 1), ("foreign_user", 1), ("expired", 0)]
    {
        let line = format!("sona_refusals_total{{reason=\"{reason}\"}} {count}");
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn what_cannot_be_set_up_says_why() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(file.path(), "short\n").expect("written");
    let short = file.path().display().to_string();
    let none = IdentityOptions::default;
    for (identity, says) in [
        (IdentityOptions { secret: Secret("short".to_owned()), ..none() }, "at least 32"),
        (
            IdentityOptions { secret_file: short.clone(), ..none() },
            "identity.secret_file has 5 bytes",
        ),
        (IdentityOptions { secret_file: "/no/such/file".to_owned(), ..none() }, "/no/such/file"),
        (with_key("rsa.pem"), "holds a private key"),
        (with_key("rsa-1024.pub.pem"), "fewer than 2048 bits"),
        (IdentityOptions { public_key_file: short, ..none() }, "no Ed25519 or RSA public key"),
        (IdentityOptions { jwks: "x".to_owned(), ..with_key("rsa.pub.pem") }, "keep one"),
        (IdentityOptions { jwks: "http://id.example/keys".to_owned(), ..none() }, "https://"),
    ] {
        let opened = Identity::open(&identity, Timestamp::from_seconds(0)).await;
        let error = opened.err().expect("refused").to_string();
        assert!(error.contains(says), "{error}");
    }
}
