//! The section `[identity]` of the configuration: how callers prove who they are.

use std::fmt;

use axum::http::Uri;
use serde::{Deserialize, Serialize};

/// The shortest HS256 secret taken, in bytes: as long as the hash, below which the secret is the weaker part.
pub const MIN_SECRET_BYTES: usize = 32;

/// How callers prove who they are. While no key is set and `required` is false, there is no identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityOptions {
    /// Demands a token or an API key of every caller, also where no key for tokens is set.
    pub required: bool,
    /// The HS256 secret, at least [`MIN_SECRET_BYTES`] bytes.
    pub secret: Secret,
    /// A file with the HS256 secret; a line break at its end does not count.
    pub secret_file: String,
    /// A PEM file with the Ed25519 or RSA public key.
    pub public_key_file: String,
    /// A JSON Web Key Set: a file, or an `https://` URL.
    pub jwks: String,
    /// A PEM file with the private key that tokens are made with; the server never reads it.
    pub private_key_file: String,
    /// The algorithms taken; a token of any other is refused whatever key is set.
    pub algorithms: Vec<Algorithm>,
    /// The `iss` every token must have; empty: any or none.
    pub issuer: String,
    /// The `aud` every token must have, perhaps among others; empty: any or none.
    pub audience: String,
    /// How far the clocks of issuer and server may differ, in seconds.
    pub leeway_seconds: u32,
    /// The key set is read anew when it is this old, in seconds.
    pub jwks_refresh_seconds: u32,
    /// A token of an unknown key has the key set read anew, but never sooner than this after the last try, in
    /// seconds.
    pub jwks_cooldown_seconds: u32,
}

/// A signature algorithm of JSON Web Tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256: issuer and server share a secret.
    HS256,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    RS256,
    /// Ed25519.
    EdDSA,
}

/// A text that is not shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "[secret]" })
    }
}

impl Default for IdentityOptions {
    fn default() -> Self {
        Self {
            required: false,
            secret: Secret::default(),
            secret_file: String::new(),
            public_key_file: String::new(),
            jwks: String::new(),
            private_key_file: String::new(),
            algorithms: vec![Algorithm::HS256, Algorithm::RS256, Algorithm::EdDSA],
            issuer: String::new(),
            audience: String::new(),
            leeway_seconds: 60,
            jwks_refresh_seconds: 600,
            jwks_cooldown_seconds: 30,
        }
    }
}

impl IdentityOptions {
    /// True if callers must say who they are.
    pub fn is_configured(&self) -> bool {
        self.required || self.has_secret() || self.has_public_keys()
    }

    /// What contradicts itself, each with the keys it is about.
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |wrong: bool, problem: String| found.extend(wrong.then_some(problem));
        let one_of = "identity.secret and identity.secret_file are both set: keep one".to_owned();
        check(!self.secret.0.is_empty() && !self.secret_file.is_empty(), one_of);
        let one_of = "identity.public_key_file and identity.jwks are both set: keep one".to_owned();
        check(!self.public_key_file.is_empty() && !self.jwks.is_empty(), one_of);
        let bytes = self.secret.0.len();
        check((1..MIN_SECRET_BYTES).contains(&bytes), too_short("identity.secret", bytes));
        check(
            self.has_secret() && !self.algorithms.contains(&Algorithm::HS256),
            "identity.secret or secret_file is set, but identity.algorithms leaves HS256 out"
                .to_owned(),
        );
        let asymmetric = [Algorithm::RS256, Algorithm::EdDSA];
        check(
            self.has_public_keys() && !asymmetric.iter().any(|a| self.algorithms.contains(a)),
            "identity.public_key_file or jwks is set, but identity.algorithms leaves RS256 and EdDSA out"
                .to_owned(),
        );
        check(
            is_url(&self.jwks) && !is_safe_url(&self.jwks),
            "identity.jwks must be a file, an https:// URL, or an http:// URL of this machine"
                .to_owned(),
        );
        found
    }

    pub(crate) fn has_secret(&self) -> bool {
        !self.secret.0.is_empty() || !self.secret_file.is_empty()
    }

    pub(crate) fn has_public_keys(&self) -> bool {
        !self.public_key_file.is_empty() || !self.jwks.is_empty()
    }
}

/// What to say of a secret of too few bytes.
pub(crate) fn too_short(place: &str, bytes: usize) -> String {
    format!(
        "{place} has {bytes} bytes; HS256 needs at least {MIN_SECRET_BYTES} \
         (`openssl rand -hex 32` makes a good one)"
    )
}

/// True for what is fetched rather than read from a file.
pub(crate) fn is_url(source: &str) -> bool {
    source.contains("://")
}

/// Keys that come over an open network could be anybody's.
fn is_safe_url(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    match (url.scheme_str(), url.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => super::host::is_loopback_name(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut IdentityOptions)) -> String {
        let mut options = IdentityOptions::default();
        change(&mut options);
        options.problems().join("; ")
    }

    #[test]
    fn contradictions_are_named() {
        assert_eq!(problems(|_| {}), "");
        let long = "x".repeat(MIN_SECRET_BYTES);
        assert_eq!(problems(|o| o.secret.0.clone_from(&long)), "");
        assert!(problems(|o| long[1..].clone_into(&mut o.secret.0)).contains("31 bytes"));
        let both = problems(|o| {
            o.secret.0.clone_from(&long);
            "file".clone_into(&mut o.secret_file);
        });
        assert!(both.contains("both set"), "{both}");
        let left_out = problems(|o| {
            o.secret.0.clone_from(&long);
            o.algorithms = vec![Algorithm::EdDSA];
        });
        assert!(left_out.contains("leaves HS256 out"), "{left_out}");
    }

    #[test]
    fn key_sets_come_from_files_or_safely() {
        for safe in [
            "keys.json",
            "/etc/keys.json",
            "https://id.example/jwks",
            "http://localhost:1/x",
            "http://127.0.0.1/x",
            "http://[::1]:9/x",
        ] {
            assert_eq!(problems(|o| safe.clone_into(&mut o.jwks)), "", "{safe}");
        }
        for unsafe_ in
            ["http://id.example/jwks", "ftp://id.example/jwks", "file:///etc/keys", "https://"]
        {
            assert!(
                problems(|o| unsafe_.clone_into(&mut o.jwks)).contains("identity.jwks"),
                "{unsafe_}"
            );
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let options = IdentityOptions { secret: Secret("hush".to_owned()), ..Default::default() };
        assert!(!format!("{options:?}").contains("hush"));
    }
}
