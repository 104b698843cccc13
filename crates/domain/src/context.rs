//! The circumstances of a request: on what device, in what mood.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::violation::{Object, Violations, nearest};

/// What the list will be watched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeviceType {
    /// A television.
    Tv,
    /// A phone.
    Mobile,
    /// A computer.
    Desktop,
    /// A tablet.
    Tablet,
}

impl DeviceType {
    const ALL: [(&str, Self); 4] = [
        ("tv", Self::Tv),
        ("mobile", Self::Mobile),
        ("desktop", Self::Desktop),
        ("tablet", Self::Tablet),
    ];

    /// Reads the wire name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text);
        found
            .map(|(_, device)| device)
            .ok_or_else(|| format!("{text:?} is not one of {}", Self::ALL.map(|d| d.0).join(", ")))
    }

    /// How well a title of this length fits the device, 0..=1.
    ///
    /// Television wants at least half an hour, phones and tablets at most an hour; an unknown length is .7.
    pub fn fit(self, runtime_minutes: Option<u32>) -> f32 {
        match (self, runtime_minutes) {
            (Self::Desktop, _) => 0.9,
            (_, None) => 0.7,
            (Self::Tv, Some(61..)) | (Self::Mobile | Self::Tablet, Some(..30)) => 1.0,
            (Self::Tv | Self::Mobile | Self::Tablet, Some(30..=60)) => 0.8,
            (Self::Tv | Self::Mobile | Self::Tablet, Some(_)) => 0.0,
        }
    }
}

/// Mood words and the genres that serve them.
const MOODS: [(&[&str], &[&str]); 8] = [
    (&["happy", "joyful", "cheerful"], &["comedy", "family", "animation", "animated"]),
    (&["sad", "melancholy", "somber"], &["drama", "romance"]),
    (&["excited", "energetic", "pumped"], &["action", "adventure", "thriller"]),
    (&["relaxed", "calm", "peaceful"], &["documentary", "nature", "lifestyle"]),
    (&["scared", "fearful"], &["horror", "thriller"]),
    (&["romantic", "loving"], &["romance", "drama"]),
    (&["curious", "intrigued"], &["documentary", "mystery", "sci-fi", "science fiction"]),
    (&["nostalgic", "reminiscent"], &["classic", "drama"]),
];

/// A known mood word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mood {
    word: &'static str,
    genres: &'static [&'static str],
}

impl Mood {
    /// Reads a mood word.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = || MOODS.iter().flat_map(|(words, _)| words.iter().copied());
        for (words, genres) in MOODS {
            if let Some(word) = words.iter().find(|word| **word == text) {
                return Ok(Self { word, genres });
            }
        }
        let hint = nearest(text, known()).map(|n| format!(" (did you mean {n:?}?)"));
        let all = known().collect::<Vec<_>>().join(", ");
        Err(format!("{text:?} is not one of {all}{}", hint.unwrap_or_default()))
    }

    /// The word.
    pub const fn word(&self) -> &'static str {
        self.word
    }

    /// How well a title fits, 0..=1: 1 if it carries the mood itself, else the share of its genres that serve it.
    pub fn fit(&self, moods: &[String], genres: &[String]) -> f32 {
        if moods.iter().any(|mood| mood.eq_ignore_ascii_case(self.word)) {
            return 1.0;
        }
        let serving = genres
            .iter()
            .filter(|genre| self.genres.iter().any(|g| genre.eq_ignore_ascii_case(g)))
            .count();
        if genres.is_empty() { 0.0 } else { serving as f32 / genres.len() as f32 }
    }
}

/// The circumstances of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// On what.
    pub device_type: Option<DeviceType>,
    /// In what mood.
    pub mood: Option<Mood>,
}

impl RequestContext {
    /// Reads a context from JSON; every problem is noted under `at`.
    pub fn read(value: &Value, at: &str, problems: &mut Violations) -> Self {
        let Some(mut object) = Object::open(value, at, problems) else { return Self::default() };
        let device_type = object.parsed("device_type", DeviceType::parse);
        let mood = object.parsed("mood", Mood::parse);
        object.finish();
        Self { device_type, mood }
    }

    /// True if nothing is known.
    pub const fn is_empty(&self) -> bool {
        self.device_type.is_none() && self.mood.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_want_lengths() {
        let fits = |device: DeviceType| {
            [None, Some(20), Some(30), Some(60), Some(61)].map(|runtime| device.fit(runtime))
        };
        assert_eq!(fits(DeviceType::Tv), [0.7, 0.0, 0.8, 0.8, 1.0]);
        assert_eq!(fits(DeviceType::Mobile), [0.7, 1.0, 0.8, 0.8, 0.0]);
        assert_eq!(fits(DeviceType::Desktop), [0.9; 5]);
    }

    #[test]
    fn unknown_words_name_the_known_ones() {
        assert!(Mood::parse("hapy").expect_err("unknown").contains("did you mean \"happy\"?"));
        assert!(DeviceType::parse("fridge").expect_err("unknown").contains("tv, mobile"));
    }

    #[test]
    fn a_mood_fits_by_tag_or_by_genre() {
        let happy = Mood::parse("happy").expect("known");
        let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(happy.fit(&words(&["Happy"]), &[]), 1.0);
        assert_eq!(happy.fit(&[], &words(&["Comedy", "War"])), 0.5);
        assert_eq!(happy.fit(&[], &[]), 0.0);
    }
}
