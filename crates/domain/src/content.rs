//! A catalogue entry: anything with an id that can be recommended.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::ContentId;
use crate::time::Timestamp;
use crate::violation::{Object, Violations, bounded};

/// Most entries in one list field of a content entry.
const MAX_LIST: usize = 200;

/// What kind of thing an entry is: `film`, `series`, `episode`, … Lower case, 1 to 20 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(value_type = String, max_length = 20, example = "film"))]
pub struct ContentType(String);

impl ContentType {
    /// Checks and wraps `text`.
    pub fn new(text: &str) -> Result<Self, String> {
        let fits = (1..=20).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{text:?} is not 1 to 20 of a-z, 0-9 and _"))
        }
    }

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ContentType {
    fn default() -> Self {
        Self("film".to_owned())
    }
}

/// What a person did for a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RoleType {
    /// Plays in it.
    Actor,
    /// Directed it.
    Director,
    /// Wrote it.
    Writer,
    /// Produced it.
    Producer,
}

impl RoleType {
    /// All roles, in the order they are listed to people.
    pub const ALL: [Self; 4] = [Self::Actor, Self::Director, Self::Writer, Self::Producer];

    /// The wire and database name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Director => "director",
            Self::Writer => "writer",
            Self::Producer => "producer",
        }
    }

    /// Reads the wire name.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not one of actor, director, writer, producer"))
    }
}

/// One person's part in a title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Credit {
    /// The person, at most 200 characters.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 200))]
    pub person_name: String,
    /// What they did.
    pub role_type: RoleType,
    /// Whom they play, for actors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 200))]
    pub character_name: Option<String>,
    /// Billing order within the role, 0 first.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(maximum = 1_000_000))]
    pub order_index: u32,
}

/// A catalogue entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Content {
    /// Its name in every call.
    pub content_id: ContentId,
    /// What kind of thing it is; `film` if not given.
    #[serde(default)]
    pub content_type: ContentType,
    /// The title people see, 1 to 500 characters.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 500))]
    pub title: String,
    /// The title in its own language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 500))]
    pub original_title: Option<String>,
    /// A few sentences on it, at most 20,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 20_000))]
    pub overview: Option<String>,
    /// Year of release, 1 to 9999.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 9999))]
    pub year: Option<u16>,
    /// Length in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 100_000))]
    pub runtime_minutes: Option<u32>,
    /// How popular the catalogue's owner holds it, 0..=1; orders titles nobody has watched yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 1))]
    pub popularity: Option<f32>,
    /// Genres.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_items = 200))]
    pub genres: Vec<String>,
    /// Themes or keywords.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_items = 200))]
    pub themes: Vec<String>,
    /// Moods.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_items = 200))]
    pub moods: Vec<String>,
    /// People, in billing order.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_items = 200))]
    pub credits: Vec<Credit>,
    /// Not recommended before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_from: Option<Timestamp>,
    /// Not recommended from this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_until: Option<Timestamp>,
    /// Never recommended while true.
    #[serde(default)]
    pub hidden: bool,
}

impl Content {
    /// An entry with nothing but an id and a title.
    pub fn new(content_id: ContentId, title: impl Into<String>) -> Self {
        Self {
            content_id,
            content_type: ContentType::default(),
            title: title.into(),
            original_title: None,
            overview: None,
            year: None,
            runtime_minutes: None,
            popularity: None,
            genres: Vec::new(),
            themes: Vec::new(),
            moods: Vec::new(),
            credits: Vec::new(),
            available_from: None,
            available_until: None,
            hidden: false,
        }
    }

    /// True if the entry may be shown at `now`: not hidden and within its availability window.
    pub fn is_available(&self, now: Timestamp) -> bool {
        !self.hidden
            && self.available_from.is_none_or(|from| from <= now)
            && self.available_until.is_none_or(|until| now < until)
    }

    /// The people with one role, in billing order.
    pub fn people(&self, role: RoleType) -> impl Iterator<Item = &str> {
        self.credits.iter().filter(move |c| c.role_type == role).map(|c| c.person_name.as_str())
    }

    /// Reads an entry from JSON; every problem is noted under `at`.
    pub fn read(value: &Value, at: &str, problems: &mut Violations) -> Option<Self> {
        let before = problems.len();
        let mut object = Object::open(value, at, problems)?;
        let content_id = object.required("content_id", ContentId::new);
        let title = object.required("title", |text| bounded(text, 500));
        let entry = read_optional_fields(&mut object);
        object.finish();
        if problems.len() > before {
            return None;
        }
        Some(Self { content_id: content_id?, title: title?, ..entry })
    }
}

/// Everything but id and title, on top of an entry whose id and title are stand-ins.
fn read_optional_fields(object: &mut Object<'_, '_>) -> Content {
    let stand_in = ContentId::new("-").expect("one character is an id");
    let entry = Content {
        content_type: object.parsed("content_type", ContentType::new).unwrap_or_default(),
        original_title: object.text("original_title", 500),
        overview: object.text("overview", 20_000),
        year: object.integer("year", 1, 9999).map(|year| year as u16),
        runtime_minutes: object.integer("runtime_minutes", 1, 100_000).map(|m| m as u32),
        popularity: object.number("popularity", 0.0, 1.0).map(|p| p as f32),
        genres: object.names("genres", MAX_LIST, 50),
        themes: object.names("themes", MAX_LIST, 100),
        moods: object.names("moods", MAX_LIST, 50),
        credits: read_credits(object),
        available_from: object.timestamp("available_from"),
        available_until: object.timestamp("available_until"),
        hidden: object.flag("hidden"),
        ..Content::new(stand_in, "")
    };
    if let (Some(from), Some(until)) = (entry.available_from, entry.available_until)
        && until <= from
    {
        object.problem("available_until", format!("must be later than available_from ({from})"));
    }
    entry
}

fn read_credits(object: &mut Object<'_, '_>) -> Vec<Credit> {
    let mut credits = Vec::new();
    object.items("credits", MAX_LIST, |value, at, problems| {
        let Some(mut credit) = Object::open(value, at, problems) else { return };
        let person_name = credit.required("person_name", |text| bounded(text, 200));
        let role_type = credit.required("role_type", RoleType::parse);
        let character_name = credit.text("character_name", 200);
        let order_index = credit.integer("order_index", 0, 1_000_000).unwrap_or(0) as u32;
        credit.finish();
        if let (Some(person_name), Some(role_type)) = (person_name, role_type) {
            credits.push(Credit { person_name, role_type, character_name, order_index });
        }
    });
    credits
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<Content, Violations> {
        let mut problems = Violations::new();
        let content = Content::read(value, "", &mut problems);
        problems.unless(content)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let full = json!({
            "content_id": "m1", "content_type": "film", "title": "Stalker", "year": 1979,
            "runtime_minutes": 162, "popularity": 0.5, "genres": ["Drama"], "themes": [], "moods": [],
            "credits": [{"person_name": "Andrei Tarkovsky", "role_type": "director", "order_index": 0}],
            "available_until": "2030-01-01T00:00:00Z", "hidden": false
        });
        let content = read(&full).expect("valid");
        assert_eq!(serde_json::to_value(&content).expect("json"), full);
    }

    #[test]
    fn all_problems_at_once() {
        let problems = read(&json!({
            "title": "", "popularity": 2, "credits": [{"role_type": "grip"}],
            "available_from": "2030-01-01T00:00:00Z", "available_until": "2029-01-01T00:00:00Z"
        }))
        .expect_err("six problems");
        let pointers: Vec<_> = problems.into_vec().into_iter().map(|v| v.pointer).collect();
        assert_eq!(
            pointers,
            [
                "/content_id",
                "/title",
                "/popularity",
                "/credits/0/person_name",
                "/credits/0/role_type",
                "/available_until"
            ]
        );
    }

    #[test]
    fn availability_is_half_open() {
        let at = Timestamp::from_seconds;
        let mut content = Content::new(ContentId::new("a").expect("an id"), "A");
        content.available_from = Some(at(10));
        content.available_until = Some(at(20));
        let shown: Vec<_> = [9, 10, 19, 20].map(|s| content.is_available(at(s))).into();
        assert_eq!(shown, [false, true, true, false]);
        content.hidden = true;
        assert!(!content.is_available(at(15)));
    }
}
