//! Reading bodies: one JSON value, or many entries as a list or one per line.

use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::Value;

use crate::app::App;
use crate::envelope::ReadingBody;
use crate::error::{ApiError, Code, Result};

/// The media types of one JSON value a line.
const LINES: [&str; 2] = ["application/x-ndjson", "application/jsonl"];

/// A body that is one JSON value. Its content type, if given, must be JSON.
pub(crate) struct JsonBody(pub(crate) Value);

/// A body of any content type, not looked into yet.
pub(crate) struct AnyBody {
    bytes: Bytes,
    kind: Option<Kind>,
}

/// A body that is a tar. Its content type, if given, must say so.
pub(crate) struct Tar(pub(crate) Bytes);

/// What the content type says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Lines,
}

/// The entries of a body.
pub(crate) enum Entries {
    /// The body is one entry, not a list.
    One(Value),
    /// The body is a list.
    Many(Vec<Entry>),
}

/// One entry of a list.
pub(crate) struct Entry {
    /// The entry, or why its line is not JSON.
    pub(crate) value: std::result::Result<Value, String>,
    /// The line it stands on, 1-based, if the body has one entry per line.
    pub(crate) line: Option<usize>,
}

impl FromRequest<Arc<App>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let sent = essence(request.headers());
        if let Some(sent) = sent.filter(|sent| !is_json(sent)) {
            let detail = format!("send `content-type: application/json`, not {sent:?}");
            return Err(ApiError::new(Code::UnsupportedMediaType, detail));
        }
        let bytes = read(request, app).await?;
        parse(&bytes).map(Self).map_err(|error| error.into_api(""))
    }
}

impl FromRequest<Arc<App>> for AnyBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let kind = essence(request.headers()).and_then(|sent| {
            let lines = LINES.contains(&sent.as_str()).then_some(Kind::Lines);
            lines.or(is_json(&sent).then_some(Kind::Json))
        });
        Ok(Self { bytes: read(request, app).await?, kind })
    }
}

impl FromRequest<Arc<App>> for Tar {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let sent = essence(request.headers());
        if let Some(sent) = sent.filter(|sent| sent != "application/x-tar") {
            let detail = format!("send `content-type: application/x-tar`, not {sent:?}");
            return Err(ApiError::new(Code::UnsupportedMediaType, detail));
        }
        read(request, app).await.map(Self)
    }
}

impl AnyBody {
    /// The entries, at least one and at most `max`: as the content type says, else as JSON if it is JSON,
    /// else by line. Empty lines do not count.
    pub(crate) fn entries(&self, max: usize) -> Result<Entries> {
        let entries = match self.kind {
            Some(Kind::Lines) => Entries::Many(lines(&self.bytes, max)?),
            None if looks_like_lines(&self.bytes) => match parse(&self.bytes) {
                Ok(value) => Entries::of(value),
                Err(_) => Entries::Many(lines(&self.bytes, max)?),
            },
            None | Some(Kind::Json) => as_json(&self.bytes)?,
        };
        match &entries {
            Entries::Many(many) if many.is_empty() => {
                Err(ApiError::invalid_at("", "expected at least one entry, found none"))
            }
            Entries::Many(many) if many.len() > max => Err(too_many(many.len(), max)),
            Entries::Many(_) | Entries::One(_) => Ok(entries),
        }
    }
}

impl Entries {
    fn of(value: Value) -> Self {
        let Value::Array(values) = value else { return Self::One(value) };
        let entry = |value| Entry { value: Ok(value), line: None };
        Self::Many(values.into_iter().map(entry).collect())
    }
}

/// Why bytes are not a JSON value.
enum ParseError {
    Utf8(std::str::Utf8Error),
    Json(serde_json::Error),
}

impl ParseError {
    fn into_api(self, hint: &str) -> ApiError {
        match self {
            Self::Utf8(error) => {
                let detail = format!("the byte at offset {} is not UTF-8", error.valid_up_to());
                ApiError::new(Code::NotUtf8, detail)
            }
            Self::Json(error) => ApiError::new(Code::MalformedJson, format!("{error}{hint}")),
        }
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Utf8(error) => {
                write!(f, "not UTF-8 from byte {} of the line on", error.valid_up_to())
            }
            Self::Json(error) => {
                // A line is parsed alone: to serde_json it is always line 1.
                write!(f, "not JSON: {}", error.to_string().replace("line 1 column", "column"))
            }
        }
    }
}

fn parse(bytes: &[u8]) -> std::result::Result<Value, ParseError> {
    let text = std::str::from_utf8(bytes).map_err(ParseError::Utf8)?;
    serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(ParseError::Json)
}

fn as_json(bytes: &[u8]) -> Result<Entries> {
    let hint = "; for one entry per line send `content-type: application/x-ndjson`";
    let hint = if looks_like_lines(bytes) { hint } else { "" };
    parse(bytes).map(Entries::of).map_err(|error| error.into_api(hint))
}

/// One entry per line that is not empty; refuses more than `max` before parsing any.
fn lines(bytes: &[u8], max: usize) -> Result<Vec<Entry>> {
    let filled = || {
        let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).zip(1..);
        lines.filter(|(line, _)| !line.is_empty())
    };
    let count = filled().count();
    if count > max {
        return Err(too_many(count, max));
    }
    let entry = |(line, number)| Entry {
        value: parse(line).map_err(|error| error.to_string()),
        line: Some(number),
    };
    Ok(filled().map(entry).collect())
}

fn too_many(found: usize, max: usize) -> ApiError {
    ApiError::invalid_at("", format!("at most {max} entries, found {found}"))
}

/// True if the body starts with an object and goes on after the first line's end.
fn looks_like_lines(bytes: &[u8]) -> bool {
    let body = bytes.trim_ascii();
    body.first() == Some(&b'{') && body.contains(&b'\n')
}

async fn read(mut request: Request, app: &Arc<App>) -> Result<Bytes> {
    let reading = request.extensions_mut().remove::<ReadingBody>().unwrap_or_default();
    reading.set(true);
    let bytes = Bytes::from_request(request, app).await;
    reading.set(false);
    bytes.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let limit = app.body_limit;
            ApiError::new(Code::BodyTooLarge, format!("at most {limit} bytes are taken"))
        } else {
            ApiError::new(Code::BrokenBody, "the connection broke while the body was read")
        }
    })
}

/// The content type without its parameters, in lower case.
fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_json(essence: &str) -> bool {
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}
