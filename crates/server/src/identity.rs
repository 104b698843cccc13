//! Who is asking: tokens (JWT) and API keys, the routes they open, and the door itself.
//!
//! ```text
//! request ─▶ host (own names only, without identity) ─▶ guard (who? may they?) ─▶ caller (for whom?) ─▶ handler
//!                                          token ◀──┤
//!                                        api_key ◀──┘
//! ```
//!
//! Rules are `domain::identity`'s; here is how they are proven and enforced. What a refusal says is in [`refusal`].

pub mod api_key;
pub mod mint;
pub mod options;
pub mod refusal;

pub(crate) mod access;
pub(crate) mod caller;
pub(crate) mod guard;
pub(crate) mod host;

mod jwks;
mod key_material;
mod provider;
mod token;

use sona_domain::{Principal, Timestamp};
use sona_engine::Engine;

pub use key_material::IdentityError;
pub use options::{Algorithm, IdentityOptions, Secret};
pub use refusal::Refusal;

use guard::Credential;
use token::Tokens;

/// How callers prove who they are; without keys to prove it with, everybody is anyone.
pub struct Identity {
    tokens: Option<Tokens>,
}

impl Identity {
    /// No identity: everybody on this machine may do everything.
    pub fn none() -> Self {
        Self { tokens: None }
    }

    /// Reads the keys `options` name. A key set that cannot be fetched at the moment is no error.
    pub async fn open(options: &IdentityOptions, now: Timestamp) -> Result<Self, IdentityError> {
        let problems = options.problems();
        if !problems.is_empty() {
            return Err(IdentityError::Options(problems.join("; ")));
        }
        if !options.is_configured() {
            return Ok(Self::none());
        }
        provider::install();
        Ok(Self { tokens: Some(Tokens::open(options, now).await?) })
    }

    /// True if callers must say who they are.
    pub fn is_configured(&self) -> bool {
        self.tokens.is_some()
    }

    /// What callers are believed, in words; an error if keys are missing at the moment.
    pub fn describe(&self) -> Result<String, String> {
        let Some(tokens) = &self.tokens else {
            return Ok("none: only this machine is answered, and may do everything".to_owned());
        };
        let mut ways = tokens.describe()?;
        ways.push("API keys".to_owned());
        Ok(ways.join(", "))
    }

    /// Whose token this is, at `now`.
    pub async fn check_token(&self, token: &str, now: Timestamp) -> Result<Principal, Refusal> {
        match &self.tokens {
            Some(tokens) => tokens.check(token, now).await,
            None => Ok(Principal::Anyone),
        }
    }

    /// Whose API key this is.
    pub fn check_key(&self, engine: &Engine, text: &str) -> Result<Principal, Refusal> {
        if !self.is_configured() {
            return Ok(Principal::Anyone);
        }
        let key = api_key::check(engine, text)?;
        Ok(Principal::Service { subject: key.key_id.clone(), scopes: key.scopes })
    }

    /// Whose credential this is.
    async fn check(
        &self,
        engine: &Engine,
        credential: Credential<'_>,
    ) -> Result<Principal, Refusal> {
        match credential {
            Credential::Token(token) => self.check_token(token, engine.now()).await,
            Credential::ApiKey(text) => self.check_key(engine, text),
        }
    }
}
