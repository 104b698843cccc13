//! Checking tokens: JSON Web Tokens as access tokens (RFC 7519, RFC 8725).
//!
//! The header only chooses among what is configured: its algorithm must be in the allow-list and the key found must
//! be of that algorithm. Times are held against the server's clock.

use std::sync::Arc;

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use sona_domain::{Principal, Scope, Scopes, Timestamp};

use super::jwks::Jwks;
use super::key_material::{IdentityError, public_key, secret};
use super::options::{Algorithm, IdentityOptions};
use super::refusal::Refusal;

/// The longest token looked at, in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// Keys and rules to check tokens with.
pub(super) struct Tokens {
    algorithms: Vec<Algorithm>,
    secret: Option<Arc<DecodingKey>>,
    public: Public,
    issuer: String,
    audience: String,
    leeway_micros: i64,
}

/// Where public keys come from.
enum Public {
    Nowhere,
    File(Algorithm, Arc<DecodingKey>),
    Set(Arc<Jwks>),
}

/// What a token says, as far as it matters here.
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    scope: Option<ScopeClaim>,
    token_type: Option<String>,
}

/// Names with spaces between, or a list of names.
#[derive(Deserialize)]
#[serde(untagged)]
enum ScopeClaim {
    Names(String),
    List(Vec<String>),
}

impl Tokens {
    /// Reads the keys the options name.
    pub(super) async fn open(
        options: &IdentityOptions,
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        let public = if !options.jwks.is_empty() {
            Public::Set(Jwks::open(options, now).await?)
        } else if options.public_key_file.is_empty() {
            Public::Nowhere
        } else {
            let (algorithm, key) = public_key(&options.public_key_file)?;
            Public::File(algorithm, Arc::new(key))
        };
        Ok(Self {
            algorithms: options.algorithms.clone(),
            secret: secret(options)?.map(|secret| Arc::new(DecodingKey::from_secret(&secret))),
            public,
            issuer: options.issuer.clone(),
            audience: options.audience.clone(),
            leeway_micros: i64::from(options.leeway_seconds) * 1_000_000,
        })
    }

    /// What tokens are checked with, in words; an error if keys are missing.
    pub(super) fn describe(&self) -> Result<Vec<String>, String> {
        let mut keys = Vec::new();
        if self.secret.is_some() {
            keys.push("HS256 secret".to_owned());
        }
        match &self.public {
            Public::Nowhere => {}
            Public::File(algorithm, _) => keys.push(format!("{} key", algorithm.as_str())),
            Public::Set(jwks) => keys.push(format!("{} keys of identity.jwks", jwks.state()?)),
        }
        Ok(keys)
    }

    /// Whose token this is, at `now`.
    pub(super) async fn check(&self, token: &str, now: Timestamp) -> Result<Principal, Refusal> {
        if token.len() > MAX_BYTES {
            return Err(Refusal::Malformed);
        }
        let header = decode_header(token).map_err(|error| malformed(&error))?;
        // An extension that must be understood (RFC 7515, 4.1.11), and none is here.
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        let algorithm = Algorithm::of(&header).filter(|found| self.algorithms.contains(found));
        let algorithm = algorithm.ok_or(Refusal::Algorithm)?;
        let key = self.key(&header, algorithm, now).await.ok_or(Refusal::UnknownKey)?;
        let checked = decode::<Claims>(token, &key, &self.rules(algorithm));
        let claims = checked.map_err(|error| refusal_of(&error))?.claims;
        self.check_times(&claims, now)?;
        claims.principal()
    }

    async fn key(
        &self,
        header: &Header,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Option<Arc<DecodingKey>> {
        match (algorithm, &self.public) {
            (Algorithm::HS256, _) => self.secret.clone(),
            (algorithm, Public::File(own, key)) => (*own == algorithm).then(|| key.clone()),
            (algorithm, Public::Set(jwks)) => jwks.key(header.kid.as_deref(), algorithm, now).await,
            (_, Public::Nowhere) => None,
        }
    }

    /// Everything but times, which are not held against the ambient clock.
    fn rules(&self, algorithm: Algorithm) -> Validation {
        let mut rules = Validation::new(algorithm.into());
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_aud = !self.audience.is_empty();
        if !self.audience.is_empty() {
            rules.set_audience(&[&self.audience]);
            rules.required_spec_claims.insert("aud".to_owned());
        }
        if !self.issuer.is_empty() {
            rules.set_issuer(&[&self.issuer]);
            rules.required_spec_claims.insert("iss".to_owned());
        }
        rules
    }

    /// Valid from `nbf` − leeway on, and before `exp` + leeway.
    fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<(), Refusal> {
        let now = now.as_micros();
        let expires = micros(claims.exp.ok_or(Refusal::NoExpiry)?);
        if now >= expires.saturating_add(self.leeway_micros) {
            return Err(Refusal::Expired);
        }
        let starts = claims.nbf.map_or(i64::MIN, micros);
        if now < starts.saturating_sub(self.leeway_micros) {
            return Err(Refusal::NotYetValid);
        }
        Ok(())
    }
}

impl Claims {
    fn principal(&self) -> Result<Principal, Refusal> {
        // Issuers that sign refresh tokens with the same key say so here.
        let access = ["access", "bearer"];
        if self
            .token_type
            .as_ref()
            .is_some_and(|kind| !access.iter().any(|access| kind.eq_ignore_ascii_case(access)))
        {
            return Err(Refusal::TokenType);
        }
        let scopes = match &self.scope {
            None => Scopes::default(),
            Some(ScopeClaim::Names(names)) => Scopes::among(names),
            Some(ScopeClaim::List(names)) => {
                names.iter().filter_map(|name| name.parse::<Scope>().ok()).collect()
            }
        };
        let subject = self.sub.as_deref().ok_or(Refusal::Subject)?;
        Principal::of(subject, scopes).map_err(|_| Refusal::Subject)
    }
}

/// Seconds since the epoch, perhaps with a fraction. Out of range becomes the nearest instant there is.
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}

fn malformed(error: &Error) -> Refusal {
    // An unknown name of an algorithm, `none` among them, is an error of the header's JSON.
    if matches!(error.kind(), ErrorKind::Json(cause) if cause.is_data()) {
        Refusal::Algorithm
    } else {
        Refusal::Malformed
    }
}

fn refusal_of(error: &Error) -> Refusal {
    let kind = error.kind();
    let is_missing = |name| matches!(kind, ErrorKind::MissingRequiredClaim(claim) if claim == name);
    if matches!(kind, ErrorKind::InvalidIssuer) || is_missing("iss") {
        Refusal::Issuer
    } else if matches!(kind, ErrorKind::InvalidAudience) || is_missing("aud") {
        Refusal::Audience
    } else if matches!(kind, ErrorKind::InvalidAlgorithm) {
        Refusal::Algorithm
    } else if matches!(
        kind,
        ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::Utf8(_) | ErrorKind::InvalidToken
    ) {
        Refusal::Malformed
    } else {
        Refusal::Signature
    }
}

impl Algorithm {
    /// Its name in tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::RS256 => "RS256",
            Self::EdDSA => "EdDSA",
        }
    }

    fn of(header: &Header) -> Option<Self> {
        let all = [Self::HS256, Self::RS256, Self::EdDSA];
        all.into_iter().find(|own| jsonwebtoken::Algorithm::from(*own) == header.alg)
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::HS256 => Self::HS256,
            Algorithm::RS256 => Self::RS256,
            Algorithm::EdDSA => Self::EdDSA,
        }
    }
}
