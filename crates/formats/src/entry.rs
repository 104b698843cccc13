//! A catalogue entry, put together from the cells of a row and checked as the API checks it.

use serde_json::{Map, Value, json};
use sona_domain::{Content, Violations};

use crate::field::Field;
use crate::interaction::flag;
use crate::options::TimeUnit;
use crate::row::Problem;
use crate::time;

/// An entry whose cells come one by one.
#[derive(Default)]
pub(crate) struct Entry {
    fields: Map<String, Value>,
    themes: Vec<Value>,
    credits: Vec<Value>,
}

/// How lists stand in a cell, unless they are JSON.
const LIST_SEPARATOR: char = '|';

/// What MovieLens writes for an empty list.
const NO_GENRES: &str = "(no genres listed)";

impl Entry {
    /// Takes in one cell; empty ones are absent. Columns that are about events are passed over.
    pub(crate) fn set(
        &mut self,
        field: Field,
        text: &str,
        unit: Option<TimeUnit>,
    ) -> Result<(), String> {
        if text.is_empty() && field != Field::Item {
            return Ok(());
        }
        match field {
            Field::Item => self.put("content_id", text),
            Field::Title => self.put("title", text),
            Field::OriginalTitle => self.put("original_title", text),
            Field::ContentType => self.put("content_type", text),
            Field::Overview => self.put("overview", text),
            Field::Year => self.put("year", integer(text)?),
            Field::Runtime => self.put("runtime_minutes", integer(text)?),
            Field::Popularity => self.put("popularity", decimal(text)?),
            Field::Genres => self.put("genres", list(text)?),
            Field::Moods => self.put("moods", list(text)?),
            Field::Themes | Field::MoreThemes => self.themes.extend(list(text)?),
            Field::Directors => self.people(text, "director")?,
            Field::Cast => self.people(text, "actor")?,
            Field::Writers => self.people(text, "writer")?,
            Field::Producers => self.people(text, "producer")?,
            Field::Credits => self.credits.extend(json_list(text)?),
            Field::AvailableFrom => self.put("available_from", instant(text, unit)?),
            Field::AvailableUntil => self.put("available_until", instant(text, unit)?),
            Field::Hidden => self.put("hidden", flag(text)?),
            Field::User
            | Field::Rating
            | Field::EventType
            | Field::Time
            | Field::EventId
            | Field::Completion
            | Field::Rewatch
            | Field::Dismissed
            | Field::Context
            | Field::Recommendation => {}
        }
        Ok(())
    }

    /// The entry. Without a title column it is called by its id; with `dated_titles` a title such as `Heat (1995)`
    /// gives the year.
    pub(crate) fn finish(mut self, dated_titles: bool) -> Result<Content, Problem> {
        let (themes, credits) =
            (std::mem::take(&mut self.themes), std::mem::take(&mut self.credits));
        if !themes.is_empty() {
            self.put("themes", themes);
        }
        if !credits.is_empty() {
            self.put("credits", credits);
        }
        if !self.fields.contains_key("title")
            && let Some(id) = self.fields.get("content_id").cloned()
        {
            self.put("title", id);
        }
        if dated_titles
            && let Some((title, year)) =
                self.fields.get("title").and_then(Value::as_str).and_then(dated_title)
        {
            self.put("title", title);
            self.put("year", year);
        }
        let mut problems = Violations::new();
        let content = Content::read(&Value::Object(self.fields), "", &mut problems);
        problems.unless(content).map_err(|problems| {
            let mut problems = problems.into_vec();
            let first = problems.swap_remove(0);
            let column = first.pointer.trim_start_matches('/').to_owned();
            Problem { column: Some(column), reason: first.detail }
        })
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    fn people(&mut self, text: &str, role: &str) -> Result<(), String> {
        for (order, name) in list(text)?.into_iter().enumerate() {
            let credit = json!({"person_name": name, "role_type": role, "order_index": order});
            self.credits.push(credit);
        }
        Ok(())
    }
}

/// `Title (1995)` as title and year.
fn dated_title(title: &str) -> Option<(String, u16)> {
    let (name, year) = title.trim_end().strip_suffix(')')?.rsplit_once('(')?;
    let is_year = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
    let name = name.trim_end();
    if !is_year || name.is_empty() {
        return None;
    }
    year.parse().ok().filter(|year| *year > 0).map(|year| (name.to_owned(), year))
}

/// A list: JSON, or texts separated by `|`.
fn list(text: &str) -> Result<Vec<Value>, String> {
    if text.starts_with('[') {
        return json_list(text);
    }
    let items = text.split(LIST_SEPARATOR).map(str::trim);
    Ok(items.filter(|item| !item.is_empty() && *item != NO_GENRES).map(Value::from).collect())
}

fn json_list(text: &str) -> Result<Vec<Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("expected a JSON list: {error}"))
}

fn integer(text: &str) -> Result<i64, String> {
    let text = text.trim();
    // Tables with gaps are often written with every number as a fraction.
    let whole = text.strip_suffix(".0").unwrap_or(text);
    whole.parse().map_err(|_| format!("expected a whole number, found {text:?}"))
}

fn decimal(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| format!("expected a number, found {text:?}"))
}

fn instant(text: &str, unit: Option<TimeUnit>) -> Result<String, String> {
    time::timestamp(text, unit).map(|at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(cells: &[(Field, &str)]) -> Result<Content, String> {
        let mut entry = Entry::default();
        for (field, text) in cells {
            entry.set(*field, text, None)?;
        }
        entry.finish(true).map_err(|problem| format!("{:?}: {}", problem.column, problem.reason))
    }

    #[test]
    fn lists_people_and_years() {
        let content = entry(&[
            (Field::Item, "1"),
            (Field::Title, "Heat (1995)"),
            (Field::Genres, "Crime|(no genres listed)|"),
            (Field::MoreThemes, "heist"),
            (Field::Themes, r#"["night|day"]"#),
            (Field::Cast, "Al Pacino|Robert De Niro"),
            (Field::Runtime, "170.0"),
        ])
        .expect("valid");
        assert_eq!((content.title.as_str(), content.year), ("Heat", Some(1995)));
        assert_eq!(
            (&content.genres[..], content.runtime_minutes),
            (&["Crime".to_owned()][..], Some(170))
        );
        assert_eq!(content.themes, ["heist", "night|day"]);
        assert_eq!(content.credits[1].order_index, 1);
    }

    #[test]
    fn titles_with_brackets_that_are_no_year() {
        for title in ["(1995)", "Se7en (director's cut)", "M (19x5)"] {
            let content = entry(&[(Field::Item, "1"), (Field::Title, title)]).expect("valid");
            assert_eq!((content.title.as_str(), content.year), (title, None));
        }
    }

    #[test]
    fn an_entry_is_checked_as_the_api_checks_it() {
        let refused = entry(&[(Field::Item, ""), (Field::Title, "x")]);
        assert!(refused.expect_err("no id").starts_with("Some(\"content_id\")"));
        assert!(entry(&[(Field::Item, "1"), (Field::Popularity, "2")]).is_err());
        assert!(entry(&[(Field::Item, "1"), (Field::Year, "soon")]).is_err());
    }
}
