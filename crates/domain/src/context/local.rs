//! What the clock on the wall says.

use std::fmt;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use super::words::words;
use crate::time::Timestamp;

words! {
    /// A quarter of the day.
    TimeOfDay {
        /// From 6 to 12.
        Morning = "morning",
        /// From 12 to 18.
        Afternoon = "afternoon",
        /// From 18 to 24.
        Evening = "evening",
        /// From 0 to 6.
        Night = "night",
    }
}

words! {
    /// A day of the week.
    Weekday {
        /// Monday.
        Monday = "monday",
        /// Tuesday.
        Tuesday = "tuesday",
        /// Wednesday.
        Wednesday = "wednesday",
        /// Thursday.
        Thursday = "thursday",
        /// Friday.
        Friday = "friday",
        /// Saturday.
        Saturday = "saturday",
        /// Sunday.
        Sunday = "sunday",
    }
}

impl TimeOfDay {
    const fn of_hour(hour: i8) -> Self {
        match hour {
            6..12 => Self::Morning,
            12..18 => Self::Afternoon,
            18..24 => Self::Evening,
            _ => Self::Night,
        }
    }
}

impl Weekday {
    /// Saturday and Sunday.
    pub const fn is_weekend(self) -> bool {
        matches!(self, Self::Saturday | Self::Sunday)
    }
}

/// A time zone of the IANA database, by its name. The database is part of the program.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

impl Zone {
    /// Reads a name such as `Europe/Berlin` or `UTC`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = TimeZoneDatabase::bundled().get(text);
        found.map(Self).map_err(|_| {
            format!("{text:?} is not a time zone of the IANA database, such as Europe/Berlin")
        })
    }

    /// The hour of the day there at an instant, 0..24; `None` beyond the calendar's end.
    pub fn hour(&self, at: Timestamp) -> Option<u8> {
        let at = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        u8::try_from(self.0.to_datetime(at).hour()).ok()
    }

    /// The quarter of the day and the weekday there at an instant; `None` beyond the calendar's end.
    pub fn local(&self, at: Timestamp) -> Option<(TimeOfDay, Weekday)> {
        let at = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        let local = self.0.to_datetime(at);
        let weekday = local.weekday().to_monday_zero_offset();
        let weekday = Weekday::ALL.get(usize::try_from(weekday).ok()?)?;
        Some((TimeOfDay::of_hour(local.hour()), *weekday))
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_on_the_wall_is_the_zones() {
        let at = Timestamp::parse("2026-07-03T22:30:00Z").expect("a time");
        let local = |zone: &str| Zone::parse(zone).expect("a zone").local(at).expect("a day");
        assert_eq!(local("UTC"), (TimeOfDay::Evening, Weekday::Friday));
        // Summer time: two hours ahead.
        assert_eq!(local("Europe/Berlin"), (TimeOfDay::Night, Weekday::Saturday));
        assert_eq!(local("Asia/Kolkata"), (TimeOfDay::Night, Weekday::Saturday));
        assert_eq!(local("America/Los_Angeles"), (TimeOfDay::Afternoon, Weekday::Friday));
    }

    #[test]
    fn a_name_is_kept_and_an_unknown_one_is_refused() {
        for name in ["Europe/Berlin", "UTC"] {
            assert_eq!(Zone::parse(name).expect("a zone").to_string(), name);
        }
        assert!(Zone::parse("Europe/Berln").expect_err("unknown").contains("IANA"));
        assert_eq!(Zone::default().to_string(), "UTC");
    }
}
