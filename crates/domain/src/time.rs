//! Instants and the clock that hands them out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Microseconds in one second.
const MICROS: i64 = 1_000_000;

/// An instant: microseconds since 1970-01-01T00:00:00Z. On the wire an RFC 3339 string in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(value_type = String, format = DateTime, example = "2026-01-31T20:15:00Z"))]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 date and time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an RFC 3339 time such as 2026-01-31T20:15:00Z")]
pub struct TimestampError {
    text: String,
}

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS))
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339; the offset is applied and forgotten, digits below a microsecond are cut.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        text.parse::<jiff::Timestamp>()
            .map(|at| Self(at.as_microsecond()))
            .map_err(|_| TimestampError { text: text.to_owned() })
    }

    /// `seconds` later (earlier if negative).
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MICROS)))
    }

    /// Seconds from `earlier` to `self`; negative if `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / MICROS as f64
    }

    /// Hour of the day in UTC, 0..=23.
    pub const fn hour_utc(self) -> usize {
        (self.0.div_euclid(3600 * MICROS).rem_euclid(24)) as usize
    }

    /// Day of the week in UTC, 0 = Monday .. 6 = Sunday.
    pub const fn weekday_utc(self) -> usize {
        // Day 0 of the epoch was a Thursday.
        ((self.0.div_euclid(86_400 * MICROS) + 3).rem_euclid(7)) as usize
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> String {
        at.to_string()
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;
    fn try_from(text: String) -> Result<Self, TimestampError> {
        Self::parse(&text)
    }
}

/// Whoever needs the time asks a clock; tests and replays bring their own.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_offsets_and_prints_utc() {
        let at = Timestamp::parse("2026-01-31T22:15:00.5+02:00").expect("valid");
        assert_eq!(at.to_string(), "2026-01-31T20:15:00.5Z");
        assert!(Timestamp::parse("yesterday").is_err());
        assert!(Timestamp::parse("2026-01-31").is_err());
    }

    #[test]
    fn calendar_fields() {
        let thursday = Timestamp::from_seconds(0);
        assert_eq!((thursday.weekday_utc(), thursday.hour_utc()), (3, 0));
        let before = Timestamp::from_seconds(-1);
        assert_eq!((before.weekday_utc(), before.hour_utc()), (2, 23));
    }
}
