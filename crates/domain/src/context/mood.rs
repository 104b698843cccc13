//! In what mood.

use super::words::{not_one_of, share};

/// Mood words and the genres that serve them.
const MOODS: [(&[&str], &[&str]); Mood::KINDS] = [
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
    /// Its place in `MOODS`.
    kind: usize,
}

impl Mood {
    /// How many moods there are; several words may name one.
    pub const KINDS: usize = 8;

    /// Reads a mood word; the error lists all of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        for (kind, (words, _)) in MOODS.iter().enumerate() {
            if let Some(word) = words.iter().find(|word| **word == text) {
                return Ok(Self { word, kind });
            }
        }
        Err(not_one_of(text, MOODS.iter().flat_map(|(words, _)| words.iter().copied())))
    }

    /// The word.
    pub const fn word(&self) -> &'static str {
        self.word
    }

    /// Which mood it names, below [`Mood::KINDS`].
    pub const fn kind(&self) -> usize {
        self.kind
    }

    /// How well a title fits, 0..=1: 1 if it carries the mood itself, else the share of its genres that serve it.
    pub fn fit(&self, moods: &[String], genres: &[String]) -> f32 {
        if moods.iter().any(|mood| mood.eq_ignore_ascii_case(self.word)) {
            return 1.0;
        }
        share(genres, MOODS[self.kind].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mood_fits_by_tag_or_by_genre() {
        let happy = Mood::parse("happy").expect("known");
        let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(happy.fit(&words(&["Happy"]), &[]), 1.0);
        assert_eq!(happy.fit(&[], &words(&["Comedy", "War"])), 0.5);
        assert_eq!(happy.fit(&[], &[]), 0.0);
        assert_eq!(happy.kind(), Mood::parse("joyful").expect("known").kind());
    }
}
