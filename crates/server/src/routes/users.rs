//! `/api/v1/users`: what is known of users before they did anything, and erasing them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sona_domain::{AgeRange, Erasure, User, UserAttributes, UserId, Violations};
use utoipa::ToSchema;

use crate::app::App;
use crate::body::{AnyBody, Entries, Entry, JsonBody};
use crate::error::{ApiError, Code, Problem, Result};
use crate::identity::caller::PathUser;

/// Most users in one bulk call.
const MAX_USERS: usize = 5_000;

/// A user, in the words of a request's context.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"user_id": "ada", "age_range": "25-34", "region": "GB", "genres": ["Drama"]}))]
#[expect(
    dead_code,
    reason = "the shape for the document; the domain reads it and names every problem"
)]
pub(crate) struct UserInput {
    /// Who. May be left out where the URL names them.
    user_id: UserId,
    /// How old they are.
    age_range: Option<AgeRange>,
    /// In which country they live, by its two letters (ISO 3166-1).
    #[schema(example = "DE", min_length = 2, max_length = 2)]
    region: Option<String>,
    /// Genres they say they like, as when they sign up.
    #[schema(max_items = 20)]
    genres: Option<Vec<String>>,
}

/// Read a user
///
/// What was written of them; what they did is in their profile (`/api/v1/profile/{user_id}`).
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}", operation_id = "read_user", tag = "users",
    params(("user_id" = UserId, Path, description = "Who; percent-encode `/` and an id that is just `bulk`")),
    responses(
        (status = 200, description = "The user", body = User),
        (status = 404, description = "There is no such user: none who was written or acted", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    PathUser(user_id): PathUser,
) -> Result<Json<User>> {
    stored(&app, &user_id).await
}

/// Write a user
///
/// What is known of them before they have done anything, or besides that. It counts in every list of theirs whose request
/// leaves it out (what a request says stands), less the more they do, and their events count as of somebody of that age and
/// country. Fields not given are taken away. Events that were taken in before count as they did for as long as they are new.
#[utoipa::path(
    put, path = "/api/v1/users/{user_id}", operation_id = "write_user", tag = "users",
    params(("user_id" = UserId, Path, description = "Who")),
    request_body(content((UserInput = "application/json", example = json!({
        "age_range": "25-34", "region": "GB", "genres": ["Drama", "Science Fiction"]
    })))),
    responses(
        (status = 200, description = "The user as they are kept", body = User),
        (status = 422, description = "A field breaks a rule", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn write(
    State(app): State<Arc<App>>,
    PathUser(user_id): PathUser,
    JsonBody(mut body): JsonBody,
) -> Result<Json<User>> {
    if let Some(fields) = body.as_object_mut() {
        match fields.get("user_id").filter(|id| !id.is_null()) {
            Some(id) if *id != user_id.as_str() => {
                let detail = format!("must be {user_id:?} as in the URL, or left out");
                return Err(ApiError::invalid_at("/user_id", detail));
            }
            _ => fields.insert("user_id".to_owned(), user_id.as_str().into()),
        };
    }
    let mut problems = Violations::new();
    let user = UserAttributes::read_user(&body, "", &mut problems);
    app.engine.put_users(&[problems.unless(user)?]).await?;
    stored(&app, &user_id).await
}

/// What a bulk call did.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsersWritten {
    /// Users written.
    #[schema(example = 2)]
    written: usize,
}

/// Write many users
///
/// As one by one. All or none: if any breaks a rule nothing is written and every problem is in the answer. Of several of one
/// user the last counts.
#[utoipa::path(
    post, path = "/api/v1/users/bulk", operation_id = "bulk_users", tag = "users",
    request_body(
        description = "A list of users, or (as `application/x-ndjson`) one user per line; at most 5,000.",
        content(
            (Vec<UserInput> = "application/json", example = json!([
                {"user_id": "ada", "age_range": "25-34", "region": "GB", "genres": ["Drama"]},
                {"user_id": "bob", "region": "DE"}
            ])),
            (String = "application/x-ndjson"),
        ),
    ),
    responses(
        (status = 200, description = "All users are written", body = UsersWritten),
        (status = 422, description = "A user breaks a rule; nothing was written", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn bulk(State(app): State<Arc<App>>, body: AnyBody) -> Result<Json<UsersWritten>> {
    let entries = match body.entries(MAX_USERS)? {
        Entries::Many(entries) => entries,
        Entries::One(value @ Value::Object(_)) => vec![Entry { value: Ok(value), line: Some(1) }],
        Entries::One(_) => {
            return Err(ApiError::invalid_at("", "expected a list of users, or one per line"));
        }
    };
    let mut problems = Violations::new();
    let mut users = Vec::with_capacity(entries.len());
    for (n, entry) in entries.iter().enumerate() {
        let at = format!("/{n}");
        match &entry.value {
            Ok(value) => users.extend(UserAttributes::read_user(value, &at, &mut problems)),
            Err(malformed) => problems.add(at, malformed),
        }
    }
    let users = problems.unless(Some(users))?;
    app.engine.put_users(&users).await?;
    Ok(Json(UsersWritten { written: users.len() }))
}

async fn stored(app: &App, user_id: &UserId) -> Result<Json<User>> {
    match app.engine.stored_user(user_id).await? {
        Some(user) => Ok(Json(user)),
        None => Err(ApiError::new(Code::UnknownUser, format!("there is no user {user_id:?}"))),
    }
}

/// Erase a user
///
/// With every trace: events, profile, attributes, vectors, what is held in memory or waits to be written, their part in the counts lists
/// rest on, and what deleted rows leave in the database's files. Answers a receipt; for an unknown user one of zeros,
/// so a request may be repeated. Events sent before are erased, events sent later begin a new history. A request
/// given up at the time limit goes on to its end.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}", operation_id = "erase_user", tag = "users",
    params(("user_id" = UserId, Path, description = "Whom")),
    responses((status = 200, description = "The user is erased", body = Erasure))
)]
pub(crate) async fn erase(
    State(app): State<Arc<App>>,
    PathUser(user_id): PathUser,
) -> Result<Json<Erasure>> {
    Ok(Json(app.engine.erase_user(&user_id).await?))
}
