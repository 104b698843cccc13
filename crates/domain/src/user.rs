//! A user as they were written: what is known of them before they did anything.

use serde::Serialize;
use serde_json::Value;

use crate::context::{AgeRange, MAX_GENRE_CHARS, MAX_GENRES, Region, RequestContext};
use crate::id::UserId;
use crate::time::Timestamp;
use crate::violation::{Object, Violations};

/// What is known of a user besides what they did. The words are those of a request's context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserAttributes {
    /// How old they are.
    pub age_range: Option<AgeRange>,
    /// In which country they live.
    pub region: Option<Region>,
    /// Genres they said they like, as when they signed up.
    pub genres: Vec<String>,
}

impl UserAttributes {
    /// Reads a user from JSON, id and attributes; every problem is noted under `at`. `None` without an id.
    pub fn read_user(value: &Value, at: &str, problems: &mut Violations) -> Option<(UserId, Self)> {
        let mut object = Object::open(value, at, problems)?;
        let user_id = object.required("user_id", UserId::new);
        let attributes = Self::take(&mut object);
        object.finish();
        Some((user_id?, attributes))
    }

    /// The attributes among the fields of an object.
    pub(crate) fn take(object: &mut Object<'_, '_>) -> Self {
        Self {
            age_range: object.parsed("age_range", AgeRange::parse),
            region: object.parsed("region", Region::parse),
            genres: object.names("genres", MAX_GENRES, MAX_GENRE_CHARS),
        }
    }

    /// `context` with what is known of the user where it leaves that out: what it says stands.
    pub fn complete(&self, context: &RequestContext) -> RequestContext {
        let mut context = context.clone();
        context.age_range = context.age_range.or(self.age_range);
        context.region = context.region.or(self.region);
        if context.genres.is_empty() {
            context.genres.clone_from(&self.genres);
        }
        context
    }
}

/// A user as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct User {
    /// Who.
    pub user_id: UserId,
    /// How old they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_range: Option<AgeRange>,
    /// In which country they live, by its two letters (ISO 3166-1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, example = "DE"))]
    pub region: Option<Region>,
    /// Genres they said they like.
    pub genres: Vec<String>,
    /// When they were first written, or acted first.
    pub created_at: Timestamp,
}

impl User {
    /// A user of whom this is known.
    pub fn new(user_id: UserId, attributes: UserAttributes, created_at: Timestamp) -> Self {
        let UserAttributes { age_range, region, genres } = attributes;
        Self { user_id, age_range, region, genres, created_at }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_is_read_whole_and_every_problem_is_named() {
        let mut problems = Violations::new();
        let body = json!({"user_id": "u", "age_range": "25-34", "region": "de", "genres": ["A"]});
        let (id, read) = UserAttributes::read_user(&body, "", &mut problems).expect("a user");
        assert_eq!((id.as_str(), problems.is_empty()), ("u", true));
        let german = Region::parse("DE").ok();
        let expect = UserAttributes {
            age_range: Some(AgeRange::From25),
            region: german,
            genres: vec!["A".into()],
        };
        assert_eq!(read, expect);
        let bad = json!({"age_range": "27", "region": "Germany", "genres": [1], "name": "x"});
        assert_eq!(UserAttributes::read_user(&bad, "/3", &mut problems), None);
        let problems = problems.into_vec();
        let pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(pointers, ["/3/user_id", "/3/age_range", "/3/region", "/3/genres/0", "/3/name"]);
        assert!(problems[1].detail.contains("under_18, 18-24, 25-34"), "{problems:?}");
    }

    #[test]
    fn what_a_request_says_stands() {
        let known = UserAttributes {
            age_range: Some(AgeRange::From25),
            region: Region::parse("DE").ok(),
            genres: vec!["Drama".to_owned()],
        };
        let silent = known.complete(&RequestContext::default());
        assert_eq!((silent.age_range, silent.region), (known.age_range, known.region));
        assert_eq!(silent.genres, known.genres);
        let told = RequestContext {
            age_range: Some(AgeRange::From65),
            genres: vec!["Comedy".to_owned()],
            ..RequestContext::default()
        };
        let told = RequestContext { region: known.region, ..told };
        let said = RequestContext { region: None, ..told.clone() };
        assert_eq!(known.complete(&said), told);
    }
}
