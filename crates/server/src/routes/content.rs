//! `/api/v1/content`: the catalogue.
//!
//! All writes of this server take turns (`App::content_writes`), so a change that reads, merges and writes an
//! entry loses nothing another request wrote. Several servers on one database do not take turns with each other.

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use sona_domain::{Content, ContentId, Violations};
use sona_engine::{Error, WriteContent};
use utoipa::ToSchema;

use crate::app::App;
use crate::body::{AnyBody, Entries, Entry, JsonBody};
use crate::error::{ApiError, Code, Problem, Result};
use crate::params::PathId;

/// Most entries in one bulk call.
const MAX_ENTRIES: usize = 5_000;

/// Add an entry
#[utoipa::path(
    post, path = "/api/v1/content", operation_id = "create_content", tag = "content",
    request_body(content((Content = "application/json", example = json!({
        "content_id": "nostalghia", "title": "Nostalghia", "year": 1983, "runtime_minutes": 125, "genres": ["Drama"],
        "credits": [{"person_name": "Andrei Tarkovsky", "role_type": "director"}]
    })))),
    responses(
        (status = 201, description = "The entry as it is kept", body = Content, headers(("location" = String, description = "The entry's URL"))),
        (status = 409, description = "An entry of this id exists", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The entry breaks a rule", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody,
) -> Result<Response> {
    let content = read_entry(&body)?;
    let _turn = app.content_writes.lock().await;
    app.engine.write_content(&content, WriteContent::Create).await?;
    Ok(created(content))
}

/// Read an entry
#[utoipa::path(
    get, path = "/api/v1/content/{content_id}", operation_id = "read_content", tag = "content",
    params(("content_id" = ContentId, Path, description = "Which entry; percent-encode `/` and an id that is just `bulk`")),
    responses(
        (status = 200, description = "The entry", body = Content),
        (status = 404, description = "There is no such entry", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    PathId(content_id): PathId<ContentId>,
) -> Result<Json<Content>> {
    current(&app, &content_id).await.map(Json)
}

/// Add or replace an entry
///
/// Fields not given get their defaults. `content_id` may be left out of the body; if given it must be the one in
/// the URL.
#[utoipa::path(
    put, path = "/api/v1/content/{content_id}", operation_id = "replace_content", tag = "content",
    params(("content_id" = ContentId, Path, description = "Which entry")),
    request_body(content((Content = "application/json", example = json!({
        "title": "Mirror", "original_title": "Зеркало", "year": 1975, "genres": ["Drama"]
    })))),
    responses(
        (status = 200, description = "The entry was replaced", body = Content),
        (status = 201, description = "The entry was added", body = Content),
        (status = 422, description = "The entry breaks a rule", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn replace(
    State(app): State<Arc<App>>,
    PathId(content_id): PathId<ContentId>,
    JsonBody(body): JsonBody,
) -> Result<Response> {
    let content = read_entry_of(&content_id, body)?;
    let _turn = app.content_writes.lock().await;
    match app.engine.write_content(&content, WriteContent::Create).await {
        Ok(()) => Ok(created(content)),
        Err(Error::ContentExists(_)) => {
            app.engine.write_content(&content, WriteContent::Upsert).await?;
            Ok(Json(content).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Change an entry
///
/// A JSON merge patch (RFC 7396): fields given replace, `null` takes away, lists are replaced as a whole.
#[utoipa::path(
    patch, path = "/api/v1/content/{content_id}", operation_id = "change_content", tag = "content",
    params(("content_id" = ContentId, Path, description = "Which entry")),
    request_body(
        content((Object = "application/merge-patch+json", example = json!({"hidden": true}))),
        description = "The fields to change.",
    ),
    responses(
        (status = 200, description = "The entry as it is now", body = Content),
        (status = 404, description = "There is no such entry", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The entry would break a rule", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    PathId(content_id): PathId<ContentId>,
    JsonBody(patch): JsonBody,
) -> Result<Json<Content>> {
    if !patch.is_object() {
        return Err(ApiError::invalid_at("", "expected a JSON object with the fields to change"));
    }
    let _turn = app.content_writes.lock().await;
    let mut merged = serde_json::to_value(current(&app, &content_id).await?)
        .expect("an entry's fields are all JSON");
    merge(&mut merged, patch);
    let content = read_entry_of(&content_id, merged)?;
    app.engine.write_content(&content, WriteContent::Update).await?;
    Ok(Json(content))
}

/// Remove an entry
///
/// It is in no list from now on. Events on it stay, and count again if the entry comes back.
#[utoipa::path(
    delete, path = "/api/v1/content/{content_id}", operation_id = "remove_content", tag = "content",
    params(("content_id" = ContentId, Path, description = "Which entry")),
    responses(
        (status = 204, description = "The entry is removed"),
        (status = 404, description = "There is no such entry", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    PathId(content_id): PathId<ContentId>,
) -> Result<StatusCode> {
    let _turn = app.content_writes.lock().await;
    if app.engine.delete_content(&content_id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(unknown(&content_id))
    }
}

/// What a bulk call did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Written {
    /// Entries written.
    #[schema(example = 2)]
    written: usize,
}

/// Add or replace many entries
///
/// All or none: if any entry breaks a rule nothing is written and every problem is in the answer. Of entries with
/// one id the last counts.
#[utoipa::path(
    post, path = "/api/v1/content/bulk", operation_id = "bulk_content", tag = "content",
    request_body(
        description = "A list of entries, or (as `application/x-ndjson`) one entry per line; at most 5,000.",
        content(
            (Vec<Content> = "application/json", example = json!([
                {"content_id": "stalker", "title": "Stalker", "year": 1979, "genres": ["Drama", "Science Fiction"]},
                {"content_id": "solaris", "title": "Solaris", "year": 1972, "genres": ["Drama", "Science Fiction"]}
            ])),
            (String = "application/x-ndjson"),
        ),
    ),
    responses(
        (status = 200, description = "All entries are written", body = Written),
        (status = 422, description = "An entry breaks a rule; nothing was written", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn bulk(State(app): State<Arc<App>>, body: AnyBody) -> Result<Json<Written>> {
    let entries = match body.entries(MAX_ENTRIES)? {
        Entries::Many(entries) => entries,
        Entries::One(value @ Value::Object(_)) => vec![Entry { value: Ok(value), line: Some(1) }],
        Entries::One(_) => {
            return Err(ApiError::invalid_at("", "expected a list of entries, or one per line"));
        }
    };
    let mut problems = Violations::new();
    let mut content = Vec::with_capacity(entries.len());
    for (n, entry) in entries.iter().enumerate() {
        let at = format!("/{n}");
        match &entry.value {
            Ok(value) => content.extend(Content::read(value, &at, &mut problems)),
            Err(malformed) => problems.add(at, malformed),
        }
    }
    let content = problems.unless(Some(content))?;
    let _turn = app.content_writes.lock().await;
    app.engine.put_content(&content).await?;
    Ok(Json(Written { written: content.len() }))
}

/// The entry as it is, also if another server wrote it a moment ago.
async fn current(app: &App, content_id: &ContentId) -> Result<Content> {
    if app.engine.content(content_id).is_none() {
        app.engine.follow().await?;
    }
    match app.engine.content(content_id) {
        Some(content) => Ok(Content::clone(&content)),
        None => Err(unknown(content_id)),
    }
}

fn unknown(content_id: &ContentId) -> ApiError {
    ApiError::new(Code::UnknownContent, format!("there is no content {content_id:?}"))
}

fn read_entry(body: &Value) -> Result<Content, Violations> {
    let mut problems = Violations::new();
    let content = Content::read(body, "", &mut problems);
    problems.unless(content)
}

/// Reads an entry whose id is known; the body need not repeat it but must not contradict it.
fn read_entry_of(content_id: &ContentId, mut body: Value) -> Result<Content> {
    if let Some(fields) = body.as_object_mut() {
        match fields.get("content_id").filter(|id| !id.is_null()) {
            Some(id) if *id != content_id.as_str() => {
                let detail = format!("must be {content_id:?} as in the URL, or left out");
                return Err(ApiError::invalid_at("/content_id", detail));
            }
            _ => fields.insert("content_id".to_owned(), content_id.as_str().into()),
        };
    }
    Ok(read_entry(&body)?)
}

/// 201 with the entry and its URL.
fn created(content: Content) -> Response {
    let location = format!("/api/v1/content/{}", percent_encode(content.content_id.as_str()));
    (StatusCode::CREATED, [(LOCATION, location)], Json(content)).into_response()
}

/// An id as one segment of a path. An id that is just `bulk` would be another URL, so its first letter is encoded.
fn percent_encode(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut encoded = String::with_capacity(id.len());
    for (n, byte) in id.bytes().enumerate() {
        if plain(byte) && !(n == 0 && id == "bulk") {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    encoded
}

/// Applies a JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patch_as_in_the_rfc() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (mut target, patch, merged) in cases {
            merge(&mut target, patch.clone());
            assert_eq!(target, merged, "{patch}");
        }
    }

    #[test]
    fn ids_become_one_segment() {
        assert_eq!(percent_encode("a/b ü"), "a%2Fb%20%C3%BC");
        assert_eq!(percent_encode("bulk"), "%62ulk");
        assert_eq!(percent_encode("bulky"), "bulky");
    }
}
