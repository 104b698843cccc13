//! `SONA_SECTION_KEY` overrides `section.key`; a list is given with commas.

use toml::{Table, Value};

use super::keys::{hint, known};
use super::{Config, ConfigError};

/// Variables that are not configuration keys: the file's name, and where data sets for tests and evaluation lie.
const OTHERS: [&str; 2] = ["SONA_CONFIG", "SONA_DATA"];

/// Puts the variables into `table`.
pub(super) fn apply(
    table: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    let defaults = Table::try_from(Config::default()).expect("the defaults are valid TOML");
    let known: Vec<_> = known().into_iter().filter(|key| key.contains('.')).collect();
    let mut problems = Vec::new();
    for (variable, text) in variables {
        if !variable.starts_with("SONA_") || OTHERS.contains(&variable.as_str()) {
            continue;
        }
        let Some(key) = known.iter().find(|key| variable_of(key) == variable) else {
            let names: Vec<_> = known.iter().map(|key| variable_of(key)).collect();
            problems.push(format!("unknown variable {variable}{}", hint(&variable, &names)));
            continue;
        };
        let (section, name) = key.split_once('.').expect("only keys with a section are kept");
        match defaults[section].get(name).and_then(|default| like(default, &text)) {
            Some(value) => {
                let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(section) = section {
                    section.insert(name.to_owned(), value);
                }
            }
            None => problems.push(format!("{variable}: {text:?} is no value for {key}")),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(ConfigError(problems.join("\n"))) }
}

/// The variable of a key.
fn variable_of(key: &str) -> String {
    format!("SONA_{}", key.replace('.', "_").to_uppercase())
}

/// `text` as a value of the same kind as `default`.
fn like(default: &Value, text: &str) -> Option<Value> {
    match default {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}
