//! An event, put together from the cells of a row.

use serde_json::{Map, Value};
use sona_domain::event::MAX_CONTEXT_BYTES;
use sona_domain::{
    ContentId, EventId, EventType, RecommendationId, RequestContext, Timestamp, UserId,
};

use crate::field::Field;
use crate::options::TimeUnit;
use crate::row::{EventRow, Problem};
use crate::time;

/// An event whose cells come one by one.
#[derive(Default)]
pub(crate) struct Interaction {
    event_id: Option<EventId>,
    user: Option<UserId>,
    item: Option<ContentId>,
    value: Option<f64>,
    event_type: Option<EventType>,
    completion_rate: Option<f32>,
    is_rewatch: bool,
    dismissed: bool,
    context: Option<Map<String, Value>>,
    recommendation_id: Option<RecommendationId>,
    timestamp: Option<Timestamp>,
}

impl Interaction {
    /// Takes in one cell; empty ones are absent, except ids. Columns that are about the catalogue are passed over.
    pub(crate) fn set(
        &mut self,
        field: Field,
        text: &str,
        unit: Option<TimeUnit>,
    ) -> Result<(), String> {
        match field {
            Field::User => self.user = Some(UserId::new(text).map_err(|error| error.to_string())?),
            Field::Item => {
                self.item = Some(ContentId::new(text).map_err(|error| error.to_string())?);
            }
            _ if text.is_empty() => {}
            Field::Rating => self.value = Some(number(text)?),
            Field::Time => self.timestamp = Some(time::timestamp(text, unit)?),
            Field::EventType => self.event_type = Some(EventType::new(text)?),
            Field::EventId => {
                self.event_id = Some(EventId::new(text).map_err(|error| error.to_string())?);
            }
            Field::Completion => self.completion_rate = Some(share(text)?),
            Field::Rewatch => self.is_rewatch = flag(text)?,
            Field::Dismissed => self.dismissed = flag(text)?,
            Field::Context => self.context = Some(context(text)?),
            Field::Recommendation => {
                let id = RecommendationId::new(text).map_err(|error| error.to_string())?;
                self.recommendation_id = Some(id);
            }
            Field::Title
            | Field::OriginalTitle
            | Field::ContentType
            | Field::Overview
            | Field::Year
            | Field::Runtime
            | Field::Popularity
            | Field::Genres
            | Field::Themes
            | Field::MoreThemes
            | Field::Moods
            | Field::Directors
            | Field::Cast
            | Field::Writers
            | Field::Producers
            | Field::Credits
            | Field::AvailableFrom
            | Field::AvailableUntil
            | Field::Hidden => {}
        }
        Ok(())
    }

    /// The event, if user and item are there.
    pub(crate) fn finish(self) -> Result<EventRow, Problem> {
        let missing = |field: Field| Problem {
            column: Some(field.to_string()),
            reason: format!("the row has no {field}"),
        };
        Ok(EventRow {
            event_id: self.event_id,
            user: self.user.ok_or_else(|| missing(Field::User))?,
            item: self.item.ok_or_else(|| missing(Field::Item))?,
            value: self.value,
            event_type: self.event_type,
            completion_rate: self.completion_rate,
            is_rewatch: self.is_rewatch,
            dismissed: self.dismissed,
            context: self.context,
            recommendation_id: self.recommendation_id,
            timestamp: self.timestamp,
        })
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("{text:?} is not a number")),
    }
}

fn share(text: &str) -> Result<f32, String> {
    let share = number(text)?;
    if (0.0..=1.0).contains(&share) {
        Ok(share as f32)
    } else {
        Err(format!("must be between 0 and 1, found {text}"))
    }
}

/// Reads yes or no in any of the usual ways.
pub(crate) fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(format!("expected true or false, found {text:?}")),
    }
}

fn context(text: &str) -> Result<Map<String, Value>, String> {
    if text.len() > MAX_CONTEXT_BYTES {
        return Err(format!("at most {MAX_CONTEXT_BYTES} bytes, found {}", text.len()));
    }
    let context =
        serde_json::from_str(text).map_err(|error| format!("expected a JSON object: {error}"))?;
    match RequestContext::problems_of_event(&context).into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok(context),
    }
}
