//! `/api/v1/embeddings`: vectors of titles and users that were made elsewhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use sona_domain::{Access, ContentId, Entity, EntityType, Scope, UserId, Violations, embedding};
use utoipa::ToSchema;

use crate::app::App;
use crate::body::JsonBody;
use crate::error::{ApiError, Problem, Result};
use crate::identity::caller::Caller;

/// Most vectors in one call.
const MAX_VECTORS: usize = 5_000;

/// Vectors of one set.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "says in the document what is read by hand, so that all problems are found at once"
)]
pub(crate) struct VectorSet {
    /// The set's name, which `encoder.vectors` in the configuration puts in use: letters, digits, `.`, `_` and `-`.
    #[schema(min_length = 1, max_length = 100, example = "minilm")]
    encoder: String,
    /// The vectors, all as wide as those the set has.
    #[schema(min_items = 1, max_items = 5000)]
    embeddings: Vec<OneVector>,
}

/// The vector of a title or of a user.
#[derive(ToSchema)]
#[expect(dead_code, reason = "as above")]
pub(crate) struct OneVector {
    /// Of which title.
    #[schema(value_type = Option<String>, example = "stalker")]
    content_id: Option<ContentId>,
    /// Of which user, in the place of a title; they must have acted or been written. What they like before they have done
    /// anything, and less with every title they have. Needs the scope `users:admin` too.
    #[schema(value_type = Option<String>, example = "ada")]
    user_id: Option<UserId>,
    /// 1 to 4096 finite numbers, not all zero; only the direction counts.
    #[schema(min_items = 1, max_items = 4096)]
    vector: Vec<f32>,
}

/// What a bulk call did.
#[derive(Serialize, ToSchema)]
pub(crate) struct VectorsWritten {
    /// Vectors written.
    #[schema(example = 2)]
    written: usize,
}

/// Add or replace vectors of titles and users
///
/// All or none: if anything breaks a rule nothing is written and every problem is in the answer. If the set is in use
/// (`encoder.vectors`), the next list of this server knows the vectors. Of several of one title or user the last counts.
#[utoipa::path(
    post, path = "/api/v1/embeddings/bulk", operation_id = "bulk_embeddings", tag = "content",
    request_body(content((VectorSet = "application/json", example = json!({
        "encoder": "minilm",
        "embeddings": [
            {"content_id": "stalker", "vector": [0.12, -0.4, 0.3]},
            {"content_id": "solaris", "vector": [0.1, -0.5, 0.2]}
        ]
    })))),
    responses(
        (status = 200, description = "All vectors are written", body = VectorsWritten),
        (status = 404, description = "There is no such title or user; nothing was written", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A vector breaks a rule; nothing was written", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn bulk(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody,
) -> Result<Json<VectorsWritten>> {
    let (name, vectors) = read(&body)?;
    if vectors.iter().any(|(entity, _)| entity.kind() == EntityType::User) {
        caller.needs(&app, Access::Only(Scope::UsersAdmin))?;
    }
    let is_new = |entity: &Entity| match entity {
        Entity::Content(id) => app.engine.content(id).is_none(),
        Entity::User(_) => false,
    };
    if vectors.iter().any(|(entity, _)| is_new(entity)) {
        // Another server may have added it a moment ago.
        app.engine.follow().await?;
    }
    let written = vectors.len();
    app.engine.put_vectors(&name, vectors).await?;
    Ok(Json(VectorsWritten { written }))
}

/// A title or user and their vector.
type Read = (Entity, Vec<f32>);

/// The name under which the set is kept, and its vectors; all problems at once.
fn read(body: &Value) -> Result<(String, Vec<Read>)> {
    let Some(fields) = body.as_object() else {
        return Err(ApiError::invalid_at("", "expected a JSON object"));
    };
    let mut problems = Violations::new();
    for field in fields.keys().filter(|field| !["encoder", "embeddings"].contains(&field.as_str()))
    {
        problems.add(format!("/{field}"), "there is no such field; there are encoder, embeddings");
    }
    let name = fields.get("encoder").and_then(Value::as_str).unwrap_or_default();
    let name = embedding::imported(name).map_err(|why| problems.add("/encoder", why)).ok();
    let entries = fields.get("embeddings").and_then(Value::as_array);
    let entries = entries.filter(|list| (1..=MAX_VECTORS).contains(&list.len()));
    let Some(entries) = entries else {
        problems.add("/embeddings", format!("expected a list of 1 to {MAX_VECTORS} vectors"));
        return Err(problems.into());
    };
    let mut vectors = Vec::with_capacity(entries.len());
    for (n, entry) in entries.iter().enumerate() {
        vectors.extend(read_one(entry, &format!("/embeddings/{n}"), &mut problems));
    }
    Ok(problems.unless(name.map(|name| (name, vectors)))?)
}

fn read_one(entry: &Value, at: &str, problems: &mut Violations) -> Option<Read> {
    let entity = read_entity(entry, at, problems);
    let numbers = entry.get("vector").and_then(Value::as_array);
    let numbers: Option<Vec<f32>> =
        numbers.and_then(|list| list.iter().map(|value| Some(value.as_f64()? as f32)).collect());
    let vector = match numbers {
        None => Err("expected a list of numbers".to_owned()),
        Some(vector) => embedding::check(&vector).map(|()| vector),
    };
    let vector = vector.map_err(|why| problems.add(format!("{at}/vector"), why)).ok();
    Some((entity?, vector?))
}

fn read_entity(entry: &Value, at: &str, problems: &mut Violations) -> Option<Entity> {
    let given = |name: &str| entry.get(name).filter(|id| !id.is_null());
    if let (Some(_), Some(_)) = (given("content_id"), given("user_id")) {
        problems.add(format!("{at}/user_id"), "a vector is of a title or of a user, not of both");
        return None;
    }
    let (name, id) = if let Some(id) = given("user_id") {
        ("user_id", UserId::new(id.as_str().unwrap_or_default()).map(Entity::User))
    } else {
        let id = given("content_id").and_then(Value::as_str).unwrap_or_default();
        ("content_id", ContentId::new(id).map(Entity::Content))
    };
    id.map_err(|why| problems.add(format!("{at}/{name}"), why)).ok()
}
