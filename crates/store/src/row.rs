//! What both twins need to turn values into columns and back. No SQL.

use serde::Serialize;

use crate::error::{Error, Result};

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

/// Floats as the bytes of a column: 32 bits each, little-endian.
pub(crate) fn bytes_of(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|float| float.to_le_bytes()).collect()
}

/// The floats in the bytes of the column `place`.
pub(crate) fn floats_of(bytes: &[u8], place: &'static str) -> Result<Vec<f32>> {
    let (floats, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        let detail = format!("{} bytes are not a list of 32-bit floats", bytes.len());
        return Err(Error::Corrupt { place, detail });
    }
    Ok(floats.iter().map(|float| f32::from_le_bytes(*float)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_every_bit() {
        let bits = |floats: &[f32]| floats.iter().map(|float| float.to_bits()).collect::<Vec<_>>();
        let floats = [0.0, -0.0, 0.1, f32::MIN_POSITIVE, 1e-45, f32::MAX, -1.0 / 3.0];
        let back = floats_of(&bytes_of(&floats), "t.c").expect("whole floats");
        assert_eq!(bits(&back), bits(&floats));
        assert!(floats_of(&[0; 5], "t.c").is_err());
    }
}
