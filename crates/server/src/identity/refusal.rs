//! Why a caller is turned away, and what they are told: enough to put it right, nothing about anybody else.

use std::fmt::Write;

use sona_domain::Access;

use crate::error::{ApiError, Code};

/// Why a caller is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No token and no API key came along.
    Missing,
    /// What came along is neither a token nor an API key.
    Malformed,
    /// The token's algorithm is not taken.
    Algorithm,
    /// The token's key is not known.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// The token has no `exp`.
    NoExpiry,
    /// The token's time is over.
    Expired,
    /// The token's time has not come.
    NotYetValid,
    /// The token is of another issuer.
    Issuer,
    /// The token is for somebody else.
    Audience,
    /// The token's `sub` is missing or no user id.
    Subject,
    /// The token is no access token.
    TokenType,
    /// There is no such API key.
    ApiKey,
    /// The API key's time is over.
    ApiKeyExpired,
    /// The API key was revoked.
    ApiKeyRevoked,
    /// The caller may not do this.
    Access(Access),
    /// An end user named somebody else.
    ForeignUser,
}

impl Refusal {
    /// One of each, for the metrics to start at zero.
    pub(crate) const ALL: [Self; 17] = [
        Self::Missing,
        Self::Malformed,
        Self::Algorithm,
        Self::UnknownKey,
        Self::Signature,
        Self::NoExpiry,
        Self::Expired,
        Self::NotYetValid,
        Self::Issuer,
        Self::Audience,
        Self::Subject,
        Self::TokenType,
        Self::ApiKey,
        Self::ApiKeyExpired,
        Self::ApiKeyRevoked,
        Self::Access(Access::Identified),
        Self::ForeignUser,
    ];

    /// Its name in the metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Subject => "subject",
            Self::TokenType => "token_type",
            Self::ApiKey => "api_key",
            Self::ApiKeyExpired => "api_key_expired",
            Self::ApiKeyRevoked => "api_key_revoked",
            Self::Access(_) => "access",
            Self::ForeignUser => "foreign_user",
        }
    }

    /// True if the caller is not known, false if they are and may not.
    fn is_of_the_caller(self) -> bool {
        !matches!(self, Self::Access(_) | Self::ForeignUser)
    }

    /// What the caller is told.
    pub fn detail(self) -> String {
        let text = match self {
            Self::Missing => "send `authorization: Bearer` with a token or an API key",
            Self::Malformed => {
                "send one token (JWT) or API key, as `authorization: Bearer …` or, an API key, as `x-api-key: …`"
            }
            Self::Algorithm => "the token's algorithm is not taken here",
            Self::UnknownKey => "the key the token was signed with is not known here",
            Self::Signature => "the token's signature is wrong",
            Self::NoExpiry => "the token must say until when it is valid (`exp`)",
            Self::Expired => "the token has expired (`exp`)",
            Self::NotYetValid => "the token is not valid yet (`nbf`)",
            Self::Issuer => "the token is of an issuer that is not taken here (`iss`)",
            Self::Audience => "the token is for another audience (`aud`)",
            Self::Subject => "the token's subject must be a user id (`sub`)",
            Self::TokenType => "the token must be an access token (`token_type`)",
            Self::ApiKey => "there is no such API key",
            Self::ApiKeyExpired => "the API key has expired",
            Self::ApiKeyRevoked => "the API key was revoked",
            Self::ForeignUser => "an end user may act for themselves only",
            Self::Access(access) => return describe(access),
        };
        text.to_owned()
    }

    /// The value of `WWW-Authenticate` (RFC 6750).
    fn challenge(self) -> String {
        let mut challenge = "Bearer realm=\"sona\"".to_owned();
        if self == Self::Missing {
            return challenge;
        }
        let error = if self.is_of_the_caller() { "invalid_token" } else { "insufficient_scope" };
        let _ = write!(challenge, ", error=\"{error}\"");
        if let Self::Access(access) = self
            && let Some(scope) = access.scope()
        {
            let _ = write!(challenge, ", scope=\"{scope}\"");
        }
        challenge
    }
}

/// Who may, in one sentence.
pub(crate) fn describe(access: Access) -> String {
    match access {
        Access::Public => "anybody may".to_owned(),
        Access::Identified => "whoever says who they are may".to_owned(),
        Access::AnyService => "a service may, with any scope; an end user may not".to_owned(),
        Access::OwnOr(scope) => {
            format!("an end user may, for themselves; a service needs the scope `{scope}`")
        }
        Access::Only(scope) => {
            format!("a service with the scope `{scope}` may; an end user may not")
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let code = if refusal.is_of_the_caller() { Code::Unauthenticated } else { Code::Forbidden };
        Self::new(code, refusal.detail()).with_challenge(refusal.challenge())
    }
}
