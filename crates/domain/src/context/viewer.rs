//! Who watches: how old they are, and where they live.

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// How old the user is.
    AgeRange {
        /// Less than 18 years.
        Under18 = "under_18",
        /// 18 to 24 years.
        From18 = "18-24",
        /// 25 to 34 years.
        From25 = "25-34",
        /// 35 to 44 years.
        From35 = "35-44",
        /// 45 to 54 years.
        From45 = "45-54",
        /// 55 to 64 years.
        From55 = "55-64",
        /// 65 years or more.
        From65 = "65_and_over",
    }
}

/// A country by its two letters (ISO 3166-1 alpha-2), such as `DE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region([u8; 2]);

impl Region {
    /// Reads two letters, small ones too. Which pairs are assigned to a country is not checked.
    ///
    /// # Errors
    /// Says what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => {
                Err(format!("{text:?} is not a country's two letters (ISO 3166-1), such as \"DE\""))
            }
        }
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.to_string()
    }
}

impl TryFrom<String> for Region {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_two_letters() {
        let german = Region::parse("de").expect("a region");
        assert_eq!((german.to_string().as_str(), Region::parse("DE")), ("DE", Ok(german)));
        for wrong in ["", "D", "DEU", "D1", "ÄÖ", "é"] {
            let said = Region::parse(wrong).expect_err("no region");
            assert!(said.contains("ISO 3166-1"), "{said}");
        }
    }
}
