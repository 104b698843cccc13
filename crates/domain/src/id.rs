//! Opaque identifiers.
//!
//! An id is any UTF-8 string of 1 to 255 bytes without control characters; UUIDs are the usual case.
//! Sona never looks inside one. Cloning is cheap (a reference count).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// The longest id, in bytes.
pub const MAX_ID_BYTES: usize = 255;

/// Why a string cannot be an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The string has no bytes.
    #[error("an id must not be empty")]
    Empty,
    /// The string is longer than [`MAX_ID_BYTES`].
    #[error("an id has at most {MAX_ID_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// The string holds a control character such as a line break or NUL.
    #[error("an id must not contain control characters")]
    Control,
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        Err(IdError::Empty)
    } else if text.len() > MAX_ID_BYTES {
        Err(IdError::TooLong(text.len()))
    } else if text.chars().any(char::is_control) {
        Err(IdError::Control)
    } else {
        Ok(())
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 255))]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps `text`.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                check(text)?;
                Ok(Self(text.into()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// Names a user.
    UserId
);
id!(
    /// Names a catalogue entry.
    ContentId
);
id!(
    /// Names an event; a second event with the same id is the same event.
    EventId
);

id!(
    /// Names a list that was answered; what is done with a title of the list may quote it.
    RecommendationId
);

/// Whoever names new things (lists, events without an id, jobs) asks an id source; tests bring their own.
pub trait IdSource: Send + Sync + 'static {
    /// A name nobody has used: 1 to 100 bytes without control characters.
    fn fresh(&self) -> String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_an_id() {
        assert_eq!(UserId::new(""), Err(IdError::Empty));
        assert_eq!(UserId::new("a\nb"), Err(IdError::Control));
        assert_eq!(UserId::new("é".repeat(128)), Err(IdError::TooLong(256)));
        assert!(UserId::new("x".repeat(255)).is_ok());
        assert!(ContentId::new("映画-1").is_ok());
    }

    #[test]
    fn json_is_a_plain_checked_string() {
        let id: UserId = serde_json::from_str("\"u1\"").expect("a valid id");
        assert_eq!(serde_json::to_string(&id).expect("a string"), "\"u1\"");
        assert!(serde_json::from_str::<UserId>("\"\"").is_err());
    }
}
