//! API keys as they are kept: everything but the secret.

use serde::Serialize;

use crate::identity::Scopes;
use crate::time::Timestamp;

/// The longest name of a key, in bytes.
pub const MAX_NAME_BYTES: usize = 100;

/// An API key. The secret itself is known to its holder alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// The public part: names the key in lists and in the key's text.
    pub key_id: String,
    /// What it is for, in its maker's words.
    pub name: String,
    /// What its holder may do; at least one scope.
    #[serde(serialize_with = "as_list")]
    pub scopes: Scopes,
    /// SHA-256 of the secret.
    #[serde(skip)]
    pub digest: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused, if ever.
    pub expires_at: Option<Timestamp>,
    /// Since when it is refused.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, give or take a minute.
    pub last_used_at: Option<Timestamp>,
}

/// Whether a key is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKeyState {
    /// It is.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl ApiKey {
    /// Whether the key is taken at `now`.
    pub fn state(&self, now: Timestamp) -> ApiKeyState {
        if self.revoked_at.is_some() {
            ApiKeyState::Revoked
        } else if self.expires_at.is_some_and(|end| now >= end) {
            ApiKeyState::Expired
        } else {
            ApiKeyState::Active
        }
    }
}

impl ApiKeyState {
    /// In one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What is wrong with a key's name, if anything.
pub fn name_problem(name: &str) -> Option<String> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Some(format!(
            "a name has 1 to {MAX_NAME_BYTES} bytes, this one has {}",
            name.len()
        ));
    }
    let control = name.chars().any(char::is_control);
    control.then(|| "a name must not contain control characters".to_owned())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn as_list<S: serde::Serializer>(scopes: &Scopes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(scopes.iter().map(crate::identity::Scope::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_when_it_says_or_is_revoked() {
        let at = Timestamp::from_seconds;
        let mut key = ApiKey {
            key_id: "k".to_owned(),
            name: "n".to_owned(),
            scopes: Scopes::ALL,
            digest: [7; 32],
            created_at: at(0),
            expires_at: Some(at(10)),
            revoked_at: None,
            last_used_at: None,
        };
        assert_eq!(key.state(at(9)), ApiKeyState::Active);
        assert_eq!(key.state(at(10)), ApiKeyState::Expired);
        key.revoked_at = Some(at(5));
        assert_eq!(key.state(at(9)), ApiKeyState::Revoked);
        assert_eq!(key.state(at(11)), ApiKeyState::Revoked);
        let shown = serde_json::to_string(&key).expect("JSON");
        assert!(!shown.contains("digest") && shown.contains(r#""events:write","#), "{shown}");
    }

    #[test]
    fn names_are_short_lines() {
        assert_eq!(name_problem("the shop's importer"), None);
        for name in ["", "a\nb", &"x".repeat(101)] {
            assert!(name_problem(name).is_some(), "{name:?}");
        }
    }
}
