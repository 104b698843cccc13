//! The columns Sona knows, and the names files give them.

use std::fmt;
use std::str::FromStr;

use sona_domain::violation::nearest;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Who.
    User,
    /// With what; in a file of catalogue entries, the entry's id.
    Item,
    /// A rating on the file's scale.
    Rating,
    /// The type of the event.
    EventType,
    /// When it happened.
    Time,
    /// The event's own name.
    EventId,
    /// How much was watched, 0 to 1.
    Completion,
    /// Whether it was not the first time.
    Rewatch,
    /// Whether the user said "not for me".
    Dismissed,
    /// Circumstances, a JSON object.
    Context,
    /// The list it was done with.
    Recommendation,
    /// The title.
    Title,
    /// The title in its own language.
    OriginalTitle,
    /// What kind of thing it is.
    ContentType,
    /// A few sentences.
    Overview,
    /// Year of release.
    Year,
    /// Length in minutes.
    Runtime,
    /// 0 to 1.
    Popularity,
    /// Genres.
    Genres,
    /// Themes, keywords, tags.
    Themes,
    /// More themes, from a second column.
    MoreThemes,
    /// Moods.
    Moods,
    /// People who directed it.
    Directors,
    /// People who play in it.
    Cast,
    /// People who wrote it.
    Writers,
    /// People who produced it.
    Producers,
    /// People with their roles, a JSON list.
    Credits,
    /// Not shown before.
    AvailableFrom,
    /// Not shown from then on.
    AvailableUntil,
    /// Whether it is hidden.
    Hidden,
}

/// Each field's own name first, then the others it is known by; compared in lower case without `_`, `-` and spaces.
const NAMES: &[(Field, &[&str])] = &[
    (Field::User, &["user", "userid", "uid", "customerid", "reviewerid", "visitorid", "memberid"]),
    (
        Field::Item,
        &[
            "item",
            "contentid",
            "itemid",
            "id",
            "iid",
            "movieid",
            "productid",
            "asin",
            "filmid",
            "trackid",
            "bookid",
        ],
    ),
    (Field::Rating, &["rating", "value", "score", "stars", "overall", "points"]),
    (Field::EventType, &["type", "eventtype", "event", "action", "behavior", "behaviour"]),
    (Field::Time, &["time", "timestamp", "ts", "datetime", "date", "unixreviewtime", "createdat"]),
    (Field::EventId, &["eventid"]),
    (Field::Completion, &["completion", "completionrate"]),
    (Field::Rewatch, &["rewatch", "isrewatch"]),
    (Field::Dismissed, &["dismissed"]),
    (Field::Context, &["context"]),
    (Field::Recommendation, &["recommendation", "recommendationid"]),
    (Field::Title, &["title", "name", "movietitle"]),
    (Field::OriginalTitle, &["originaltitle"]),
    (Field::ContentType, &["contenttype"]),
    (Field::Overview, &["overview", "description", "plot", "summary"]),
    (Field::Year, &["year", "releaseyear"]),
    (Field::Runtime, &["runtime", "runtimeminutes"]),
    (Field::Popularity, &["popularity"]),
    (Field::Genres, &["genres", "genre", "class", "categories", "category"]),
    (Field::Themes, &["themes", "theme"]),
    (Field::MoreThemes, &["keywords", "keyword", "tags"]),
    (Field::Moods, &["moods", "mood"]),
    (Field::Directors, &["directors", "director"]),
    (Field::Cast, &["cast", "actors", "actor"]),
    (Field::Writers, &["writers", "writer"]),
    (Field::Producers, &["producers", "producer"]),
    (Field::Credits, &["credits"]),
    (Field::AvailableFrom, &["availablefrom"]),
    (Field::AvailableUntil, &["availableuntil"]),
    (Field::Hidden, &["hidden"]),
];

impl Field {
    /// The field a column of this name usually holds.
    pub fn of_column(name: &str) -> Option<Self> {
        let plain: String = name
            .chars()
            .filter(|c| !matches!(c, '_' | '-' | ' '))
            .flat_map(char::to_lowercase)
            .collect();
        NAMES.iter().find(|(_, names)| names.contains(&plain.as_str())).map(|(field, _)| *field)
    }

    /// Its own name.
    pub fn as_str(self) -> &'static str {
        let found = NAMES.iter().find(|(field, _)| *field == self);
        found.map_or("", |(_, names)| names[0])
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Field {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::of_column(text).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(field, _)| field.as_str()).collect();
            let hint = nearest(text, names.iter().copied())
                .map(|near| format!(" (did you mean {near:?}?)"))
                .unwrap_or_default();
            format!("{text:?} is no field: {}{hint}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_loosely_and_mean_one_thing() {
        for name in ["userId", "user_id", "USER ID", "user"] {
            assert_eq!(Field::of_column(name), Some(Field::User));
        }
        assert_eq!(Field::of_column("wikipedia"), None);
        let all: Vec<_> = NAMES.iter().flat_map(|(_, names)| names.iter()).collect();
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(all.len(), distinct.len());
        assert!("usr".parse::<Field>().expect_err("no field").contains("did you mean \"user\""));
    }
}
