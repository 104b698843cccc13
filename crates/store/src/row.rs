//! What both twins need to turn values into columns and back. No SQL.

use serde::Serialize;

/// `limit` as SQL takes it.
pub(crate) fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// `value` as JSON text.
///
/// Only for values that are JSON by their type: strings, numbers known to be finite, lists and string-keyed maps of them.
pub(crate) fn json_text<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("strings, numbers, lists and maps are JSON")
}
