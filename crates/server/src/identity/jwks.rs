//! A JSON Web Key Set, read from a file or fetched, kept, and read anew when a token names a key it lacks.
//!
//! Tokens with made-up key ids must not turn into requests to the issuer: between two tries lies the cool-down, and
//! of many callers one tries while the others wait for what it finds. When the source fails, the last good keys
//! stay. Only RSA and Ed25519 keys for signatures are taken; a symmetric key in a public set would be no secret.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::{StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use rustls::CertificateError;
use serde_json::Value;
use sona_domain::Timestamp;

use super::key_material::IdentityError;
use super::options::{Algorithm, IdentityOptions, is_url};

/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest key set, in bytes, and the most keys in it.
const MAX_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 100;

/// The shortest modulus, in characters of base64: 2048 bits.
const MIN_MODULUS_CHARS: usize = 342;

/// The keys of an issuer.
pub(super) struct Jwks {
    source: Source,
    refresh_seconds: i64,
    cooldown_seconds: i64,
    known: ArcSwap<KeySet>,
    /// Held by whoever tries; says when the last try began.
    tries: tokio::sync::Mutex<Option<Timestamp>>,
    /// Why the last try failed.
    problem: Mutex<Option<String>>,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

enum Source {
    File(String),
    Url(Box<HttpClient>, Uri),
}

#[derive(Default)]
struct KeySet {
    keys: Vec<PublicKey>,
    read_at: Option<Timestamp>,
}

struct PublicKey {
    key_id: Option<String>,
    algorithm: Algorithm,
    key: Arc<DecodingKey>,
}

impl Jwks {
    /// The keys at `options.jwks`, read once; a source that fails is tried again when a token comes.
    pub(super) async fn open(
        options: &IdentityOptions,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        let jwks = Arc::new(Self {
            source: Source::of(&options.jwks)?,
            refresh_seconds: options.jwks_refresh_seconds.into(),
            cooldown_seconds: options.jwks_cooldown_seconds.into(),
            known: ArcSwap::default(),
            tries: tokio::sync::Mutex::default(),
            problem: Mutex::default(),
        });
        jwks.read_anew(now).await;
        Ok(jwks)
    }

    /// How many keys there are, or why there are none or only old ones.
    pub(super) fn state(&self) -> Result<usize, String> {
        match &*self.problem.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(problem) => Err(problem.clone()),
            None => Ok(self.known.load().keys.len()),
        }
    }

    /// The key a token names. A token that names none gets the only key of its algorithm, if there is only one.
    pub(super) async fn key(
        self: &Arc<Self>,
        key_id: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Option<Arc<DecodingKey>> {
        let known = self.known.load();
        if let Some(key) = known.find(key_id, algorithm) {
            let may_try = || self.tries.try_lock().is_ok_and(|tried| self.may_try(*tried, now));
            if known.is_old(now, self.refresh_seconds) && may_try() {
                let jwks = self.clone();
                tokio::spawn(async move { jwks.read_anew(now).await });
            }
            return Some(key);
        }
        drop(known);
        self.read_anew(now).await;
        self.known.load().find(key_id, algorithm)
    }

    /// False within the cool-down.
    fn may_try(&self, tried: Option<Timestamp>, now: Timestamp) -> bool {
        tried.is_none_or(|at| now >= at.plus_seconds(self.cooldown_seconds))
    }

    /// Reads the keys again unless that was tried within the cool-down. Waits for a try under way.
    async fn read_anew(&self, now: Timestamp) {
        let mut tried = self.tries.lock().await;
        if !self.may_try(*tried, now) {
            return;
        }
        *tried = Some(now);
        let read = match &self.source {
            Source::File(path) => fs_err::read(path).map_err(|error| error.to_string()),
            Source::Url(client, url) => fetch(client, url).await,
        };
        let problem = match read.and_then(|bytes| parse(&bytes)) {
            Ok(keys) => {
                self.known.store(Arc::new(KeySet { keys, read_at: Some(now) }));
                None
            }
            Err(problem) => {
                tracing::warn!(%problem, "identity.jwks cannot be read; the last good keys stay");
                Some(problem)
            }
        };
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

impl Source {
    fn of(place: &str) -> Result<Self, IdentityError> {
        if !is_url(place) {
            return Ok(Self::File(place.to_owned()));
        }
        let url = place.parse().map_err(|error| {
            IdentityError::Options(format!("identity.jwks: {place:?} is no URL: {error}"))
        })?;
        Ok(Self::Url(Box::new(client()?), url))
    }
}

impl KeySet {
    fn find(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<Arc<DecodingKey>> {
        let mut fitting = self.keys.iter().filter(|key| {
            key.algorithm == algorithm && (key_id.is_none() || key.key_id.as_deref() == key_id)
        });
        let first = fitting.next()?;
        let only = fitting.next().is_none();
        only.then(|| first.key.clone())
    }

    fn is_old(&self, now: Timestamp, seconds: i64) -> bool {
        self.read_at.is_none_or(|at| now >= at.plus_seconds(seconds))
    }
}

/// Trusts what the machine trusts. Follows no redirects: keys come from where the configuration says.
fn client() -> Result<HttpClient, IdentityError> {
    let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(|source| {
        IdentityError::File { key: "identity.jwks needs root certificates", source }
    })?;
    let connector = connector.https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

async fn fetch(client: &HttpClient, url: &Uri) -> Result<Vec<u8>, String> {
    let fetched = async {
        let response = client.get(url.clone()).await.map_err(|error| refusal(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answers {}", response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        Ok(body.map_err(|error| chain(&*error))?.to_bytes().to_vec())
    };
    let fetched = tokio::time::timeout(TIMEOUT, fetched).await;
    let fetched = fetched.unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")));
    fetched.map_err(|problem| format!("{url}: {problem}"))
}

/// Why no answer came, and what to do if nobody this machine trusts signed for the issuer.
fn refusal(error: &(dyn Error + 'static)) -> String {
    let unknown = causes(error).filter_map(tls_error).any(|error| {
        use CertificateError::{BadSignature, UnknownIssuer};
        matches!(error, rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature))
    });
    let advice = ": its authority is not among this machine's roots; SSL_CERT_FILE can name a file with others";
    format!("{}{}", chain(error), if unknown { advice } else { "" })
}

/// The TLS error that an I/O error, or one within it, carries: they do not name it as their source.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.downcast_ref().or_else(|| tls_error(carried?))
}

/// An error with its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The keys in a set that can check signatures; others are passed over, as RFC 7517 asks.
fn parse(bytes: &[u8]) -> Result<Vec<PublicKey>, String> {
    let set: Value = serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))?;
    let keys = set["keys"].as_array().ok_or("no JSON Web Key Set: there is no list `keys`")?;
    if keys.len() > MAX_KEYS {
        return Err(format!("{} keys; at most {MAX_KEYS} are taken", keys.len()));
    }
    let keys = keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok());
    let keys: Vec<_> = keys.filter_map(|key: Jwk| public_key(&key)).collect();
    if keys.is_empty() {
        return Err("no Ed25519 key and no RSA key of at least 2048 bits in the set".to_owned());
    }
    Ok(keys)
}

fn public_key(jwk: &Jwk) -> Option<PublicKey> {
    let parameters = &jwk.algorithm;
    let algorithm = if let AlgorithmParameters::RSA(rsa) = parameters {
        (rsa.n.len() >= MIN_MODULUS_CHARS).then_some(Algorithm::RS256)?
    } else if let AlgorithmParameters::OctetKeyPair(pair) = parameters {
        (pair.curve == EllipticCurve::Ed25519).then_some(Algorithm::EdDSA)?
    } else {
        return None;
    };
    let common = &jwk.common;
    let signs = common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
    let named = common.key_algorithm.is_none_or(|named| named.to_string() == algorithm.as_str());
    let key = Arc::new(DecodingKey::from_jwk(jwk).ok()?);
    (signs && named).then(|| PublicKey { key_id: common.key_id.clone(), algorithm, key })
}
