//! Rows as events and entries.

use sona_domain::{Content, Event, EventId, EventRules, EventType, Timestamp};
use sona_formats::{EventRow, Field, ItemAttributes, Source};

/// What a row takes from its place where it has nothing of its own.
pub struct Named<'n> {
    /// The file's name.
    pub file: &'n str,
    /// The row in the file, from 1.
    pub number: u64,
    /// When it happened.
    pub untimed: Timestamp,
    /// What the user did, if they did not rate.
    pub event_type: &'n EventType,
}

/// The event a row stands for, or the field at fault and why.
pub fn event(
    row: EventRow,
    source: &Source,
    named: &Named<'_>,
    rules: &EventRules,
) -> Result<Event, (Field, String)> {
    let rating = row.value.map(|value| source.stars(value)).transpose();
    let rating = rating.map_err(|reason| (Field::Rating, reason))?;
    let event_type = match (row.event_type, rating) {
        (Some(given), _) => given,
        (None, Some(_)) => EventType::new(EventType::RATE).map_err(|e| (Field::EventType, e))?,
        (None, None) => named.event_type.clone(),
    };
    if rules.get(event_type.as_str()).is_none() {
        let known = rules.names().collect::<Vec<_>>().join(", ");
        let reason = format!("{:?} is not one of {known}", event_type.as_str());
        return Err((Field::EventType, reason));
    }
    if event_type.as_str() == EventType::RATE && rating.is_none() {
        return Err((Field::Rating, "a rate event needs a rating".to_owned()));
    }
    let event_id = row.event_id.map_or_else(|| event_id(named), Ok);
    Ok(Event {
        event_id: event_id.map_err(|error| (Field::EventId, error))?,
        user_id: row.user,
        content_id: row.item,
        event_type,
        completion_rate: row.completion_rate,
        rating,
        is_rewatch: row.is_rewatch,
        dismissed: row.dismissed,
        context: row.context,
        recommendation_id: row.recommendation_id,
        timestamp: row.timestamp.unwrap_or(named.untimed),
    })
}

/// The same for the same row of the same file, and in the order of the rows: neighbours in the log are neighbours in
/// the index of event ids.
fn event_id(named: &Named<'_>) -> Result<EventId, String> {
    EventId::new(format!("{}-{:09}", named.file, named.number)).map_err(|error| error.to_string())
}

/// An entry for an item of which only the numbers of its attributes are known: they are its themes.
pub fn attributed(item: ItemAttributes) -> Content {
    let title = item.item.as_str().to_owned();
    let mut content = Content::new(item.item, title);
    for number in item.attributes.iter().map(u32::to_string) {
        if !content.themes.contains(&number) {
            content.themes.push(number);
        }
    }
    content
}

/// About how many bytes an entry takes.
pub(super) fn size(content: &Content) -> usize {
    let lists = content.genres.len() + content.themes.len() + content.moods.len();
    let overview = content.overview.as_ref().map_or(0, String::len);
    200 + content.title.len() + overview + 40 * lists + 100 * content.credits.len()
}

/// About how many bytes the context of an event takes.
pub(super) fn context_size(context: &serde_json::Map<String, serde_json::Value>) -> usize {
    context.iter().map(|(key, value)| key.len() + value.to_string().len() + 64).sum()
}
