//! Apache Parquet through its record reader: only the columns that are needed, one row group's pages at a time.

use std::borrow::Cow;
use std::path::Path;

use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field as Value, Row as Record};
use parquet::schema::types::Type;
use sona_domain::Timestamp;

use crate::error::Error;
use crate::row::{Problem, Rejected, Row};
use crate::source::{Binding, Reader, Step, broken};

/// The first bytes of a Parquet file.
pub(crate) const MAGIC: &[u8] = b"PAR1";

/// Reads the rows of a Parquet file.
pub(crate) struct ParquetRows {
    rows: RowIter<'static>,
    binding: Binding,
    number: u64,
    last: Option<Record>,
}

impl ParquetRows {
    pub(crate) fn new(path: &Path, binding: Binding) -> Result<Self, Error> {
        let wanted =
            |name: &str| binding.columns.iter().any(|c| c.field.is_some() && c.name == name);
        let rows = projected(path, wanted)?;
        Ok(Self { rows, binding, number: 0, last: None })
    }

    fn row(&self, record: &Record) -> Result<Row, Problem> {
        let mut cells = Vec::with_capacity(self.binding.columns.len());
        for (name, value) in record.get_column_iter() {
            let column = self.binding.columns.iter().find(|column| column.name == *name);
            let field = column.and_then(|column| column.field);
            if let (Some(field), Some(text)) = (field, cell(value)) {
                cells.push((name.as_str(), field, text));
            }
        }
        self.binding.row(cells.iter().map(|(name, field, text)| (*name, *field, text.as_ref())))
    }
}

impl Reader for ParquetRows {
    fn read(&mut self) -> Step {
        self.number += 1;
        match self.rows.next() {
            None => Step::End,
            Some(Err(error)) => broken(self.number, &error),
            Some(Ok(record)) => {
                let row = self.row(&record);
                self.last = Some(record);
                match row {
                    Ok(row) => Step::Row(row),
                    Err(problem) => Step::Rejected(self.reject(problem)),
                }
            }
        }
    }

    fn reject(&self, problem: Problem) -> Rejected {
        let raw = self.last.as_ref().map(ToString::to_string).unwrap_or_default();
        problem.at(self.number, raw.as_bytes())
    }
}

/// The rows of a file with those of its columns that are wanted.
pub(crate) fn projected(
    path: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<RowIter<'static>, Error> {
    let reader = open(path)?;
    let schema = reader.metadata().file_metadata().schema();
    let fields = schema.get_fields().iter().filter(|field| wanted(field.name()));
    let projection = Type::group_type_builder(schema.name())
        .with_fields(fields.cloned().collect())
        .build()
        .map_err(|error| unreadable(path, &error))?;
    RowIter::from_file_into(Box::new(reader))
        .project(Some(projection))
        .map_err(|error| unreadable(path, &error))
}

/// The names of the top-level columns.
pub(crate) fn column_names(path: &Path) -> Result<Vec<String>, Error> {
    let reader = open(path)?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    Ok(fields.iter().map(|field| field.name().to_owned()).collect())
}

fn open(path: &Path) -> Result<SerializedFileReader<std::fs::File>, Error> {
    let (file, _) = fs_err::File::open(path)?.into_parts();
    SerializedFileReader::new(file).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &parquet::errors::ParquetError) -> Error {
    Error::unrecognised(path, format!("the Parquet file cannot be read: {error}"))
}

/// A value as a cell of text has it; `None` for null and for kinds no field is made of.
pub(crate) fn cell(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Str(text) => Cow::Borrowed(text),
        Value::Bytes(bytes) => Cow::Owned(std::str::from_utf8(bytes.data()).ok()?.to_owned()),
        Value::Bool(flag) => Cow::Owned(flag.to_string()),
        Value::Byte(n) => Cow::Owned(n.to_string()),
        Value::Short(n) => Cow::Owned(n.to_string()),
        Value::Int(n) => Cow::Owned(n.to_string()),
        Value::Long(n) => Cow::Owned(n.to_string()),
        Value::UByte(n) => Cow::Owned(n.to_string()),
        Value::UShort(n) => Cow::Owned(n.to_string()),
        Value::UInt(n) => Cow::Owned(n.to_string()),
        Value::ULong(n) => Cow::Owned(n.to_string()),
        Value::Float(n) => Cow::Owned(n.to_string()),
        Value::Double(n) => Cow::Owned(n.to_string()),
        Value::Date(days) => {
            Cow::Owned(Timestamp::from_seconds(i64::from(*days) * 86_400).to_string())
        }
        Value::TimestampMillis(ms) => {
            Cow::Owned(Timestamp::from_micros(ms.saturating_mul(1000)).to_string())
        }
        Value::TimestampMicros(us) => Cow::Owned(Timestamp::from_micros(*us).to_string()),
        Value::ListInternal(list) => {
            let texts: Vec<_> = list.elements().iter().filter_map(cell).collect();
            Cow::Owned(serde_json::to_string(&texts).ok()?)
        }
        Value::Null
        | Value::Float16(_)
        | Value::Decimal(_)
        | Value::TimeMillis(_)
        | Value::TimeMicros(_)
        | Value::Group(_)
        | Value::MapInternal(_) => return None,
    })
}
