//! Who is asking, and what they may do. Pure functions: how a caller proves who they are is decided elsewhere.
//!
//! The one rule: a caller with at least one [`Scope`] is a *service*; one without any is an *end user* and acts for
//! their own subject only.

use std::fmt;
use std::str::FromStr;

use crate::id::UserId;

/// What a service may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Send events of any user.
    EventsWrite,
    /// Ask for the lists of any user.
    RecommendationsRead,
    /// Change the catalogue.
    ContentWrite,
    /// Read and change what is known of any user, and remove users.
    UsersAdmin,
    /// Train models and choose the one served.
    ModelsWrite,
    /// Set up experiments.
    ExperimentsWrite,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 6] = [
        Self::EventsWrite,
        Self::RecommendationsRead,
        Self::ContentWrite,
        Self::UsersAdmin,
        Self::ModelsWrite,
        Self::ExperimentsWrite,
    ];

    /// Its name in tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::RecommendationsRead => "recommendations:read",
            Self::ContentWrite => "content:write",
            Self::UsersAdmin => "users:admin",
            Self::ModelsWrite => "models:write",
            Self::ExperimentsWrite => "experiments:write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No scope has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope; the scopes are {all}", all = Scopes::ALL)]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// A set of scopes. As text: their names with spaces between, always in the order of [`Scope::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope.
    pub const ALL: Self = Self((1 << Scope::ALL.len()) - 1);

    /// True if `scope` is in the set.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// True if there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }

    /// The scopes among names with spaces between. Other names are passed over: tokens carry scopes of other
    /// services too, such as `openid`.
    pub fn among(names: &str) -> Self {
        names.split_ascii_whitespace().filter_map(|name| name.parse::<Scope>().ok()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | (1 << scope as u8)))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.iter().enumerate() {
            write!(f, "{}{scope}", if n == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Anybody on this machine: no identity is configured. May do everything.
    Anyone,
    /// An end user, for whom alone they may act.
    EndUser(UserId),
    /// A service. It may name any user where it has the scope.
    Service {
        /// Its name, for the log.
        subject: String,
        /// What it may do.
        scopes: Scopes,
    },
}

impl Principal {
    /// Whom a proven subject with these scopes is: see the module's one rule. An end user's subject must be a
    /// user id.
    pub fn of(subject: &str, scopes: Scopes) -> Result<Self, crate::id::IdError> {
        Ok(if scopes.is_empty() {
            Self::EndUser(UserId::new(subject)?)
        } else {
            Self::Service { subject: subject.to_owned(), scopes }
        })
    }

    /// True if this caller may act for `user`, provided the [`Access`] of what they do was granted.
    pub fn acts_for(&self, user: &UserId) -> bool {
        match self {
            Self::Anyone | Self::Service { .. } => true,
            Self::EndUser(own) => own == user,
        }
    }
}

/// Who may do something at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches the server.
    Public,
    /// Whoever says who they are.
    Identified,
    /// Services, with any scope.
    AnyService,
    /// End users for themselves, and services with the scope for any user.
    OwnOr(Scope),
    /// Services with the scope.
    Only(Scope),
}

impl Access {
    /// True if `principal` may do it. Whether an end user acts for themselves is [`Principal::acts_for`].
    pub fn admits(self, principal: &Principal) -> bool {
        match principal {
            Principal::Anyone => true,
            Principal::EndUser(_) => {
                matches!(self, Self::Public | Self::Identified | Self::OwnOr(_))
            }
            Principal::Service { scopes, .. } => {
                self.scope().is_none_or(|scope| scopes.contains(scope))
            }
        }
    }

    /// The scope that lets a service in, if a particular one does.
    pub fn scope(self) -> Option<Scope> {
        match self {
            Self::OwnOr(scope) | Self::Only(scope) => Some(scope),
            Self::Public | Self::Identified | Self::AnyService => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_user() -> Principal {
        Principal::of("ada", Scopes::among("openid profile")).expect("a user id")
    }

    fn service(scopes: &str) -> Principal {
        Principal::of("shop", Scopes::among(scopes)).expect("a service")
    }

    #[test]
    fn scopes_are_read_and_written_alike() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(Scopes::among(scope.as_str()).iter().collect::<Vec<_>>(), [scope]);
        }
        assert_eq!(Scopes::among(&Scopes::ALL.to_string()), Scopes::ALL);
        assert_eq!(
            Scopes::among("users:admin  events:write").to_string(),
            "events:write users:admin"
        );
        let error = "events:read".parse::<Scope>().expect_err("no scope").to_string();
        assert!(error.contains("events:read") && error.contains("experiments:write"), "{error}");
    }

    #[test]
    fn a_caller_is_a_service_exactly_with_a_scope() {
        assert!(matches!(end_user(), Principal::EndUser(user) if user.as_str() == "ada"));
        assert!(matches!(service("email events:write"), Principal::Service { .. }));
        assert!(Principal::of("", Scopes::default()).is_err());
    }

    #[test]
    fn end_users_act_for_themselves_only() {
        let (ada, bob) = (UserId::new("ada").expect("an id"), UserId::new("bob").expect("an id"));
        assert!(end_user().acts_for(&ada) && !end_user().acts_for(&bob));
        assert!(service("events:write").acts_for(&bob) && Principal::Anyone.acts_for(&bob));
    }

    #[test]
    fn access_in_full() {
        use Access::{AnyService, Identified, Only, OwnOr, Public};
        let (own, only) = (OwnOr(Scope::EventsWrite), Only(Scope::EventsWrite));
        let table = [
            (Principal::Anyone, [true, true, true, true, true]),
            (end_user(), [true, true, false, true, false]),
            (service("events:write"), [true, true, true, true, true]),
            (service("users:admin"), [true, true, true, false, false]),
        ];
        for (principal, expected) in table {
            let found = [Public, Identified, AnyService, own, only].map(|a| a.admits(&principal));
            assert_eq!(found, expected, "{principal:?}");
        }
    }
}
