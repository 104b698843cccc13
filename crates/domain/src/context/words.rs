//! Closed lists of words.

/// An enumeration whose values are words on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $word:tt,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub enum $name {
            $($(#[$value_doc])* #[serde(rename = $word)] $value,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// The wire name.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }

            /// Reads the wire name; the error lists all of them.
            pub fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$value),)+
                    _ => Err($crate::context::words::not_one_of(text, [$($word),+])),
                }
            }
        }
    };
}

pub(super) use words;

use crate::violation::nearest;

/// Says which words there are, and which one was probably meant.
pub(super) fn not_one_of(text: &str, known: impl IntoIterator<Item = &'static str>) -> String {
    let known: Vec<_> = known.into_iter().collect();
    let hint = nearest(text, known.iter().copied()).map(|n| format!(" (did you mean {n:?}?)"));
    format!("{text:?} is not one of {}{}", known.join(", "), hint.unwrap_or_default())
}

/// The share of `genres` that are among `serving`, 0..=1; 0 of none.
pub(super) fn share(genres: &[String], serving: &[&str]) -> f32 {
    let serves = |genre: &&String| serving.iter().any(|word| genre.eq_ignore_ascii_case(word));
    let count = genres.iter().filter(serves).count();
    if genres.is_empty() { 0.0 } else { count as f32 / genres.len() as f32 }
}
