//! Unknown keys: found all at once, each with its line and the nearest known key.

use toml::de::{DeTable, DeValue};

use super::{Config, ConfigError};

/// Sections whose keys the user invents.
const OPEN: &str = "events.types";

/// Every known key, dotted, such as `server.port`.
pub(crate) fn known() -> Vec<String> {
    let defaults = toml::Table::try_from(Config::default()).expect("the defaults are valid TOML");
    let mut keys = Vec::new();
    collect("", &defaults, &mut keys);
    keys
}

fn collect(prefix: &str, table: &toml::Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        let path = join(prefix, key);
        match value {
            toml::Value::Table(inner) => {
                keys.push(path.clone());
                collect(&path, inner, keys);
            }
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_) => keys.push(path),
        }
    }
}

/// An error if `text` has keys that mean nothing.
pub(super) fn check(name: &str, text: &str) -> Result<(), ConfigError> {
    let parsed = DeTable::parse(text).map_err(|error| ConfigError(format!("{name}: {error}")))?;
    let known = known();
    let mut problems = Vec::new();
    walk(text, "", parsed.get_ref(), &known, &mut problems);
    if problems.is_empty() {
        Ok(())
    } else {
        let problems: Vec<_> = problems.iter().map(|p| format!("{name}:{p}")).collect();
        Err(ConfigError(problems.join("\n")))
    }
}

fn walk(
    text: &str,
    prefix: &str,
    table: &DeTable<'_>,
    known: &[String],
    problems: &mut Vec<String>,
) {
    for (key, value) in table {
        let path = join(prefix, key.get_ref());
        if path.starts_with(OPEN) {
            continue;
        }
        if !known.contains(&path) {
            let line = text[..key.span().start].matches('\n').count() + 1;
            problems.push(format!("{line}: unknown key {path:?}{}", hint(&path, known)));
        } else if let DeValue::Table(inner) = value.get_ref() {
            walk(text, &path, inner, known, problems);
        }
    }
}

/// What the writer may have meant.
pub(super) fn hint(path: &str, known: &[String]) -> String {
    let last = |p: &str| p.rsplit('.').next().unwrap_or_default().to_owned();
    let near = sona_domain::violation::nearest(path, known.iter().map(String::as_str));
    // The right key in the wrong section is nearer than another key of the same section.
    let moved = known.iter().find(|k| last(k) == last(path)).map(String::as_str);
    moved.or(near).map(|k| format!("; did you mean {k:?}?")).unwrap_or_default()
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}
