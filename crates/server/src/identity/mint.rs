//! Making tokens, for `sona token create`: whoever has the secret or the private key may.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;
use sona_domain::{Scopes, Timestamp};

use super::Identity;
use super::key_material::{IdentityError, read, secret};
use super::options::{Algorithm, IdentityOptions};
use super::provider;

/// What a token is to say.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// For whom: a user id, or the name of a service.
    pub subject: String,
    /// What its holder may do; none makes it an end user's.
    pub scopes: Scopes,
    /// How long it is valid, in seconds.
    pub valid_seconds: i64,
    /// Which key of a key set it is signed with (`kid`).
    pub key_id: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    iss: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    aud: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
}

/// Makes a token that is valid from `now` on, and makes sure that a server with these options takes it.
pub async fn create_token(
    options: &IdentityOptions,
    request: &TokenRequest,
    now: Timestamp,
) -> Result<String, IdentityError> {
    provider::install();
    let (algorithm, key) = signing_key(options)?;
    let seconds = now.as_micros().div_euclid(1_000_000);
    let claims = Claims {
        sub: &request.subject,
        iat: seconds,
        exp: seconds.saturating_add(request.valid_seconds),
        iss: &options.issuer,
        aud: &options.audience,
        scope: request.scopes.to_string(),
    };
    let mut header = Header::new(algorithm.into());
    header.kid.clone_from(&request.key_id);
    let token = encode(&header, &claims, &key)
        .map_err(|error| IdentityError::NotTaken(format!("it cannot be signed: {error}")))?;
    let identity = Identity::open(options, now).await?;
    match identity.check_token(&token, now).await {
        Ok(_) => Ok(token),
        Err(refusal) => Err(IdentityError::NotTaken(refusal.detail())),
    }
}

/// The private key if one is configured, else the secret.
fn signing_key(options: &IdentityOptions) -> Result<(Algorithm, EncodingKey), IdentityError> {
    let file = &options.private_key_file;
    if !file.is_empty() {
        let key = "identity.private_key_file";
        let pem = read(key, file)?;
        if let Ok(key) = EncodingKey::from_ed_pem(&pem) {
            return Ok((Algorithm::EdDSA, key));
        }
        let problem = "holds no Ed25519 or RSA private key in PEM format".to_owned();
        let wrong = |_| IdentityError::Content { key, file: file.clone(), problem };
        return Ok((Algorithm::RS256, EncodingKey::from_rsa_pem(&pem).map_err(wrong)?));
    }
    let secret = secret(options)?.ok_or(IdentityError::NoSigningKey)?;
    Ok((Algorithm::HS256, EncodingKey::from_secret(&secret)))
}
