//! The catalogue. Every change gets a revision, so that a reader can follow it.

use std::collections::HashSet;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use sona_domain::{Content, ContentId, ContentType, Credit, Timestamp};

use crate::error::{Error, Result};

/// A position in the catalogue's history. Like an event's cursor: later commits have larger revisions,
/// nothing appears below a revision already seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub i64);

/// The latest state of one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct ContentChange {
    /// When, in the order of changes.
    pub revision: Revision,
    /// Which entry.
    pub content_id: ContentId,
    /// The entry as it is now; `None` if it was deleted.
    pub content: Option<Content>,
}

/// The catalogue.
#[async_trait]
pub trait Catalogue: Send + Sync {
    /// Adds an entry; `None` (and nothing written) if one with this id exists.
    async fn insert_content(&self, content: &Content, now: Timestamp) -> Result<Option<Revision>>;

    /// Adds or replaces entries, all or none. Of entries with the same id in one call the last wins.
    /// Answers the revision of the last change; the present one if `content` is empty.
    async fn put_content(&self, content: &[Content], now: Timestamp) -> Result<Revision>;

    /// One entry.
    async fn content(&self, id: &ContentId) -> Result<Option<Content>>;

    /// Removes an entry and its vectors (events on it stay in the log); `None` if there was none.
    async fn delete_content(&self, id: &ContentId, now: Timestamp) -> Result<Option<Revision>>;

    /// Up to `limit` entries changed after `revision`, each in its present state, oldest change first.
    async fn content_after(&self, revision: Revision, limit: usize) -> Result<Vec<ContentChange>>;
}

/// Refuses what only one of the databases would refuse, before either sees it.
pub(crate) fn check(content: &Content) -> Result<()> {
    let refuse = |why: &str| Err(Error::Invalid(format!("content {}: {why}", content.content_id)));
    if content.popularity.is_some_and(|popularity| !(0.0..=1.0).contains(&popularity)) {
        return refuse("popularity must lie in 0..=1");
    }
    let people = content.credits.iter().map(|credit| &credit.person_name);
    let characters = content.credits.iter().filter_map(|credit| credit.character_name.as_ref());
    let mut texts = std::iter::once(&content.title)
        .chain(&content.original_title)
        .chain(&content.overview)
        .chain(&content.genres)
        .chain(&content.themes)
        .chain(&content.moods)
        .chain(people)
        .chain(characters);
    // PostgreSQL has no NUL in text.
    if texts.any(|text| text.contains('\0')) {
        return refuse("text must not contain NUL characters");
    }
    Ok(())
}

/// Of entries with the same id the last, in the order of these.
pub(crate) fn last_of_each(content: &[Content]) -> Vec<&Content> {
    let mut seen = HashSet::new();
    let mut last: Vec<_> =
        content.iter().rev().filter(|entry| seen.insert(&entry.content_id)).collect();
    last.reverse();
    last
}

/// The entries whose ids are not in `taken`, each id once.
pub(crate) fn missing<'c>(content: &'c [Content], taken: &[String]) -> Vec<&'c Content> {
    let mut seen: HashSet<&str> = taken.iter().map(String::as_str).collect();
    content.iter().filter(|entry| seen.insert(entry.content_id.as_str())).collect()
}

/// A row of `content`. Lists are JSON text.
#[derive(sqlx::FromRow)]
pub(crate) struct ContentRow {
    content_id: String,
    content_type: Option<String>,
    title: Option<String>,
    original_title: Option<String>,
    overview: Option<String>,
    year: Option<i32>,
    runtime_minutes: Option<i64>,
    popularity: Option<f32>,
    genres: Option<String>,
    themes: Option<String>,
    moods: Option<String>,
    credits: Option<String>,
    available_from: Option<i64>,
    available_until: Option<i64>,
    hidden: bool,
    deleted: bool,
    revision: i64,
}

impl ContentRow {
    pub(crate) fn read(self) -> Result<ContentChange> {
        let content_id =
            ContentId::new(&self.content_id).map_err(Error::corrupt("content.content_id"))?;
        let revision = Revision(self.revision);
        let content = if self.deleted { None } else { Some(self.entry(content_id.clone())?) };
        Ok(ContentChange { revision, content_id, content })
    }

    fn entry(self, content_id: ContentId) -> Result<Content> {
        let content_type = ContentType::new(&self.content_type.unwrap_or_default())
            .map_err(Error::corrupt("content.content_type"))?;
        Ok(Content {
            content_type,
            original_title: self.original_title,
            overview: self.overview,
            year: narrow(self.year, "content.year")?,
            runtime_minutes: narrow(self.runtime_minutes, "content.runtime_minutes")?,
            popularity: self.popularity,
            genres: list(self.genres, "content.genres")?,
            themes: list(self.themes, "content.themes")?,
            moods: list(self.moods, "content.moods")?,
            credits: list::<Credit>(self.credits, "content.credits")?,
            available_from: self.available_from.map(Timestamp::from_micros),
            available_until: self.available_until.map(Timestamp::from_micros),
            hidden: self.hidden,
            ..Content::new(content_id, self.title.unwrap_or_default())
        })
    }
}

fn narrow<Wide, Narrow: TryFrom<Wide>>(
    value: Option<Wide>,
    place: &'static str,
) -> Result<Option<Narrow>>
where
    Narrow::Error: std::fmt::Display,
{
    value.map(Narrow::try_from).transpose().map_err(Error::corrupt(place))
}

fn list<T: DeserializeOwned>(json: Option<String>, place: &'static str) -> Result<Vec<T>> {
    serde_json::from_str(&json.unwrap_or_default()).map_err(Error::corrupt(place))
}
