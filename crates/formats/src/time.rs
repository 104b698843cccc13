//! Times as files write them.

use sona_domain::Timestamp;

use crate::options::TimeUnit;

/// Largest count that is taken for seconds (the year 5138), then for milliseconds and microseconds, when nobody
/// said what it counts.
const SECONDS: f64 = 1e11;
const MILLISECONDS: f64 = 1e14;
const MICROSECONDS: f64 = 1e17;

/// Reads a count since 1970 in `unit` (or the unit its size suggests), RFC 3339, `2026-01-31 20:15:00` (UTC) or
/// `2026-01-31` (midnight UTC).
pub(crate) fn timestamp(text: &str, unit: Option<TimeUnit>) -> Result<Timestamp, String> {
    if let Ok(count) = text.parse::<i64>() {
        return whole(count, unit).ok_or_else(|| out_of_range(text));
    }
    if let Ok(count) = text.parse::<f64>() {
        return fractional(count, unit).ok_or_else(|| out_of_range(text));
    }
    calendar(text).ok_or_else(|| {
        format!(
            "{text:?} is no time: expected seconds since 1970, 2026-01-31T20:15:00Z, 2026-01-31 20:15:00 or 2026-01-31"
        )
    })
}

fn whole(count: i64, unit: Option<TimeUnit>) -> Option<Timestamp> {
    let micros = match unit.unwrap_or_else(|| likely(count as f64)) {
        TimeUnit::Seconds => count.checked_mul(1_000_000)?,
        TimeUnit::Milliseconds => count.checked_mul(1000)?,
        TimeUnit::Microseconds => count,
        TimeUnit::Nanoseconds => count.div_euclid(1000),
    };
    in_range(micros)
}

fn fractional(count: f64, unit: Option<TimeUnit>) -> Option<Timestamp> {
    let factor = match unit.unwrap_or_else(|| likely(count)) {
        TimeUnit::Seconds => 1e6,
        TimeUnit::Milliseconds => 1e3,
        TimeUnit::Microseconds => 1.0,
        TimeUnit::Nanoseconds => 1e-3,
    };
    let micros = (count * factor).round();
    if micros.abs() < 9e18 { in_range(micros as i64) } else { None }
}

/// Only times that can be written as a date.
fn in_range(micros: i64) -> Option<Timestamp> {
    jiff::Timestamp::from_microsecond(micros).ok().map(|_| Timestamp::from_micros(micros))
}

fn likely(count: f64) -> TimeUnit {
    match count.abs() {
        small if small < SECONDS => TimeUnit::Seconds,
        middle if middle < MILLISECONDS => TimeUnit::Milliseconds,
        large if large < MICROSECONDS => TimeUnit::Microseconds,
        _ => TimeUnit::Nanoseconds,
    }
}

fn calendar(text: &str) -> Option<Timestamp> {
    if let Ok(at) = Timestamp::parse(text) {
        return Some(at);
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
}

fn out_of_range(text: &str) -> String {
    format!(
        "{text:?} is no time between the years -9999 and 9999; say what it counts with --time-unit"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_one_instant() {
        let same = [
            "1362062838",
            "1362062838.0",
            "1.362062838E9",
            "1362062838000",
            "1362062838000000",
            "1362062838000000000",
            "2013-02-28T14:47:18Z",
            "2013-02-28T15:47:18+01:00",
            "2013-02-28 14:47:18",
            "2013-02-28T14:47:18",
        ];
        for text in same {
            assert_eq!(timestamp(text, None), Ok(Timestamp::from_seconds(1_362_062_838)), "{text}");
        }
        let midnight = timestamp("2013-02-28", None).map(|at| at.to_string());
        assert_eq!(midnight.as_deref(), Ok("2013-02-28T00:00:00Z"));
    }

    #[test]
    fn the_unit_can_be_told() {
        let at = timestamp("5000", Some(TimeUnit::Milliseconds));
        assert_eq!(at, Ok(Timestamp::from_seconds(5)));
    }

    #[test]
    fn what_is_no_time() {
        for text in ["", "soon", "NaN", "inf", "1e300", "999999999999999999999999", "2013-13-01"] {
            assert!(timestamp(text, None).is_err(), "{text}");
        }
        assert!(timestamp("9000000000000000000", Some(TimeUnit::Seconds)).is_err());
    }
}
