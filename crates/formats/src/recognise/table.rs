//! The columns of a table: their delimiter, their names, what they hold.

use std::path::Path;

use serde_json::{Map, Value};

use crate::cells::{Cells, Ending};
use crate::error::Error;
use crate::field::Field;
use crate::options::{Delimiter, Options};
use crate::separated::decode;
use crate::source::{Column, Shape, Source};

/// Numbers above this in the third of three nameless columns are times, not ratings.
const SMALLEST_TIME: f64 = 1e8;

/// What separates the cells of the first line; `None` if it is words between spaces.
pub(super) fn delimiter_of(path: &Path, start: &[u8]) -> Option<Delimiter> {
    let line = start.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty())?;
    let line = String::from_utf8_lossy(line);
    let usual = [Delimiter::COLONS, Delimiter::TAB, Delimiter::COMMA, ";", "|"];
    let by_name = (ending(&stem(path)) == "csv").then_some(Delimiter::COMMA);
    let found = by_name.into_iter().chain(usual).find(|delimiter| line.contains(delimiter));
    found.map(Delimiter::of)
}

/// The file's name in lower case, without the ending of its compression.
pub(super) fn stem(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.to_ascii_lowercase();
    let plain = [".gz", ".zst", ".zstd"].iter().find_map(|ending| name.strip_suffix(ending));
    plain.unwrap_or(&name).to_owned()
}

/// What follows the last dot of a name.
fn ending(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// Looks at a table of separated cells.
pub(super) fn look(
    path: &Path,
    start: &[u8],
    options: &Options,
) -> Result<(Shape, Vec<Column>), Error> {
    let delimiter = options.delimiter.clone().or_else(|| delimiter_of(path, start));
    let delimiter = delimiter.ok_or_else(|| {
        Error::options(
            path,
            "the first line has one column; say what separates them with --delimiter",
        )
    })?;
    // Tabs and `::` come without quoting.
    let quoted = delimiter.as_str() != Delimiter::TAB && delimiter.as_str().len() == 1;
    let first = first_rows(start, &delimiter, quoted);
    let Some(cells) = first.first() else {
        return Err(Error::unrecognised(path, "the first line cannot be read"));
    };
    let header = is_header(&first, options);
    let columns = if header {
        named(cells.clone(), options)
    } else if stem(path) == "movies.dat" {
        numbered(&[Field::Item, Field::Title, Field::Genres], cells.len(), options)
    } else {
        numbered(usual_order(&first), cells.len(), options)
    };
    let latin1 = ending(&stem(path)) == "dat";
    Ok((Shape::Separated { delimiter, header, quoted, latin1 }, columns))
}

/// The cells of the first few lines.
fn first_rows(start: &[u8], delimiter: &Delimiter, quoted: bool) -> Vec<Vec<String>> {
    let lines = start.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let mut cells = Cells::default();
    let mut rows = Vec::new();
    for line in lines.filter(|line| !line.is_empty()).take(10) {
        let Ok(text) = decode(line, true) else { continue };
        if quoted {
            if !matches!(cells.split_quoted(&text, delimiter.as_str()), Ok(Ending::Whole)) {
                continue;
            }
        } else {
            cells.split_plain(&text, delimiter.as_str());
        }
        rows.push(cells.iter().map(ToOwned::to_owned).collect());
    }
    rows
}

/// True if the first line names the columns: one is known or told, or words stand above numbers.
fn is_header(rows: &[Vec<String>], options: &Options) -> bool {
    let number = |cell: &String| cell.parse::<f64>().is_ok();
    let told = |name: &str| options.columns.iter().any(|(_, column)| column == name);
    let known = |cell: &String| Field::of_column(untyped(cell)).is_some() || told(cell);
    let Some(first) = rows.first() else { return false };
    let words = !first.iter().any(number);
    let above_numbers = || rows.get(1).is_some_and(|second| second.iter().any(number));
    first.iter().any(|cell| known(cell) && !number(cell)) || (words && above_numbers())
}

/// A column's name without the type RecBole writes behind it (`user_id:token`).
fn untyped(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((plain, "token" | "token_seq" | "float" | "float_seq")) => plain,
        _ => name,
    }
}

/// Columns by their names. What was told goes before what is guessed, and a field is held by one column.
pub(super) fn named(names: Vec<String>, options: &Options) -> Vec<Column> {
    let mut columns: Vec<_> = names.into_iter().map(|name| Column { name, field: None }).collect();
    apply_told(&mut columns, options);
    for index in 0..columns.len() {
        let guess = Field::of_column(untyped(&columns[index].name));
        let taken = columns.iter().any(|column| column.field.is_some() && column.field == guess);
        if columns[index].field.is_none() && !taken {
            columns[index].field = guess;
        }
    }
    columns
}

/// Columns by their places.
fn numbered(order: &[Field], count: usize, options: &Options) -> Vec<Column> {
    let name = |index: usize| (index + 1).to_string();
    let mut columns: Vec<_> =
        (0..count).map(|index| Column { name: name(index), field: None }).collect();
    apply_told(&mut columns, options);
    if options.columns.is_empty() {
        for (column, field) in columns.iter_mut().zip(order) {
            column.field = Some(*field);
        }
    }
    columns
}

fn apply_told(columns: &mut [Column], options: &Options) {
    for (field, name) in &options.columns {
        let place = columns.iter().position(|c| c.name == *name || untyped(&c.name) == name);
        let place = place.or_else(|| name.parse::<usize>().ok()?.checked_sub(1));
        if let Some(column) = place.and_then(|place| columns.get_mut(place)) {
            column.field = Some(*field);
        }
    }
}

/// What nameless columns hold: user, item, rating, time; three may be user, item, time.
fn usual_order(rows: &[Vec<String>]) -> &'static [Field] {
    let third = |row: &Vec<String>| row.get(2).and_then(|cell| cell.parse::<f64>().ok());
    let width = rows.first().map_or(0, Vec::len);
    match width {
        2..=4 if width != 3 => &[Field::User, Field::Item, Field::Rating, Field::Time],
        3 if rows.iter().filter_map(third).all(|number| number > SMALLEST_TIME) => {
            &[Field::User, Field::Item, Field::Time]
        }
        3 => &[Field::User, Field::Item, Field::Rating],
        _ => &[],
    }
}

/// The columns of a file of sequences.
pub(super) fn sequence() -> Vec<Column> {
    let column = |name: &str, field| Column { name: name.to_owned(), field: Some(field) };
    vec![column("1", Field::User), column("2…", Field::Item)]
}

/// The keys of the first objects of a file of JSON lines.
pub(super) fn keys(path: &Path, start: &[u8], options: &Options) -> Result<Vec<Column>, Error> {
    let mut names: Vec<String> = Vec::new();
    for line in start.split(|byte| *byte == b'\n').take(100) {
        let Ok(object) = serde_json::from_slice::<Map<String, Value>>(line) else { continue };
        names.extend(object.keys().filter(|key| !names.contains(key)).cloned().collect::<Vec<_>>());
    }
    if names.is_empty() {
        return Err(Error::unrecognised(path, "none of the first lines is a JSON object"));
    }
    Ok(named(names, options))
}

/// Refuses a mapping that names a column no file has. (JSON objects may have keys the first ones lack.)
pub(super) fn check_mapping(
    path: &Path,
    sources: &[Source],
    options: &Options,
) -> Result<(), Error> {
    if sources.iter().any(|source| matches!(source.shape, Shape::JsonLines)) {
        return Ok(());
    }
    let columns = || sources.iter().flat_map(|source| &source.columns);
    for (field, name) in &options.columns {
        let named = |column: &Column| column.name == *name || untyped(&column.name) == name;
        let placed = |source: &Source| {
            let place = name.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            place.is_some_and(|place| place < source.columns.len())
        };
        if !columns().any(named) && !sources.iter().any(placed) {
            let names: Vec<_> = columns().map(|column| column.name.as_str()).collect();
            let detail =
                format!("there is no column {name:?} for {field}; there are {}", names.join(", "));
            return Err(Error::options(path, detail));
        }
    }
    Ok(())
}
