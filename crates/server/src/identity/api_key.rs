//! API keys as their holders have them: `sona_ID_SECRET`, both parts random, in hexadecimal.
//!
//! The secret is 256 random bits. Nobody guesses those, so a plain SHA-256 is kept: a slow hash protects what
//! people choose, and would cost every request.

use std::fmt::Write;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sona_domain::{ApiKey, ApiKeyState, Scopes, Timestamp};
use sona_engine::Engine;
use subtle::ConstantTimeEq;

use super::refusal::Refusal;

/// What every key starts with; finds leaked ones.
pub const PREFIX: &str = "sona_";

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// Random bytes a new key is made from.
pub const RANDOM_BYTES: usize = ID_BYTES + SECRET_BYTES;

/// A new key: what is kept, and the text that is shown once.
pub fn issue(
    random: &[u8; RANDOM_BYTES],
    name: String,
    scopes: Scopes,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> (ApiKey, String) {
    let (id, secret) = random.split_at(ID_BYTES);
    let (key_id, secret) = (hex(id), hex(secret));
    let text = format!("{PREFIX}{key_id}_{secret}");
    let key = ApiKey {
        key_id,
        name,
        scopes,
        digest: digest(&secret),
        created_at,
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    (key, text)
}

/// The key `text` is, if it is taken. Ids that do not exist and wrong secrets are told apart by nothing.
pub(super) fn check(engine: &Engine, text: &str) -> Result<Arc<ApiKey>, Refusal> {
    let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
    let (key_id, secret) = parts.ok_or(Refusal::ApiKey)?;
    let key = engine.api_key(key_id);
    let kept = key.as_ref().map_or([0; 32], |key| key.digest);
    let right = digest(secret).ct_eq(&kept);
    let key = key.filter(|_| right.into()).ok_or(Refusal::ApiKey)?;
    match key.state(engine.now()) {
        ApiKeyState::Active => {}
        ApiKeyState::Expired => return Err(Refusal::ApiKeyExpired),
        ApiKeyState::Revoked => return Err(Refusal::ApiKeyRevoked),
    }
    engine.note_key_use(key_id);
    Ok(key)
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_text() {
        let random = std::array::from_fn(|n| n as u8);
        let now = Timestamp::from_seconds(1);
        let (key, text) = issue(&random, "n".to_owned(), Scopes::ALL, now, None);
        assert_eq!(key.key_id, "0001020304050607");
        let secret = text.strip_prefix("sona_0001020304050607_").expect("prefix and id");
        assert_eq!((secret.len(), &secret[..6]), (64, "08090a"));
        assert_eq!(key.digest, <[u8; 32]>::from(Sha256::digest(secret)));
    }
}
