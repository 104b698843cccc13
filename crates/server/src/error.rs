//! The one table of problems, and how a failure becomes an answer.
//!
//! Every answer that is neither success nor redirect is `application/problem+json` (RFC 9457). A handler
//! returns an [`ApiError`]; the [envelope](crate) renders it with the request's path and id. Answers the
//! framework makes by itself (405, a panic, …) are rendered from the same table by their status.

use std::borrow::Cow;

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sona_domain::{Violation, Violations};
use sona_engine::AdapterError;
use utoipa::ToSchema;

/// The media type of every problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Most problems listed in one answer.
const MAX_LISTED: usize = 1000;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:ident, $retry:expr, $title:literal;)*) => {
        /// A kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All kinds, by status.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            const fn row(self) -> Row {
                match self {
                    $(Self::$name => Row {
                        slug: $slug, status: StatusCode::$status, retry_after: $retry, title: $title,
                    },)*
                }
            }
        }
    };
}

/// One line of the table.
struct Row {
    slug: &'static str,
    status: StatusCode,
    retry_after: Option<u32>,
    title: &'static str,
}

// name = slug, status, Retry-After in seconds, title
problems! {
    /// The request cannot be understood, and no other kind says why.
    BadRequest = "bad-request", BAD_REQUEST, None, "The request cannot be understood";
    /// The body is not JSON; the detail names line and column.
    MalformedJson = "malformed-json", BAD_REQUEST, None, "The body is not valid JSON";
    /// The body is not UTF-8; the detail names the first wrong byte.
    NotUtf8 = "not-utf8", BAD_REQUEST, None, "The body is not UTF-8";
    /// The connection broke while the body was read.
    BrokenBody = "broken-body", BAD_REQUEST, None, "The body broke off";
    /// There are too few events to train an adapter on; `current_count` says how many there are.
    TooFewEvents = "too-few-events", BAD_REQUEST, None, "There are too few events";
    /// The caller did not say who they are, or not so that it is believed.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, None, "Say who you are";
    /// The caller may not do this.
    Forbidden = "forbidden", FORBIDDEN, None, "You may not do this";
    /// A web page of another site sent the request.
    CrossSite = "cross-site", FORBIDDEN, None, "Requests from other sites are refused";
    /// Nothing answers at this URL.
    UnknownRoute = "unknown-route", NOT_FOUND, None, "There is nothing at this URL";
    /// The catalogue has no such entry.
    UnknownContent = "unknown-content", NOT_FOUND, None, "There is no such content";
    /// No event of such a user is known.
    UnknownUser = "unknown-user", NOT_FOUND, None, "There is no such user";
    /// No such list is logged, or not any more, or not yet.
    UnknownRecommendation = "unknown-recommendation", NOT_FOUND, None, "There is no such list";
    /// The user has no such adapter, or no such version of it.
    UnknownAdapter = "unknown-adapter", NOT_FOUND, None, "There is no such adapter";
    /// The URL answers other methods; they are in `Allow`.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, None, "This URL does not answer this method";
    /// The body did not arrive in time.
    BodyTimeout = "body-timeout", REQUEST_TIMEOUT, None, "The body did not arrive in time";
    /// The catalogue has an entry of this id.
    ContentExists = "content-exists", CONFLICT, None, "The content exists already";
    /// Another version of the adapter is served than the request says; `served_version` is the one.
    AdapterConflict = "adapter-conflict", CONFLICT, None, "Another version is served";
    /// No version of the adapter is older than the one served.
    NoVersionBefore = "no-version-before", CONFLICT, None, "There is no version to go back to";
    /// The version is served or pinned, and so not deleted.
    AdapterKept = "adapter-kept", CONFLICT, None, "The version is kept";
    /// The adapter is being trained already.
    AdapterTraining = "adapter-training", CONFLICT, None, "The adapter is being trained";
    /// The adapter was changed while it was trained.
    AdapterOvertaken = "adapter-overtaken", CONFLICT, None, "The adapter was changed meanwhile";
    /// What adapters rest on is not there yet, or they are switched off.
    AdaptersNotReady = "adapters-not-ready", CONFLICT, None, "There are no adapters yet";
    /// The user wants no adapter.
    OptedOut = "opted-out", CONFLICT, None, "The user has opted out";
    /// The body is larger than the server takes.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, None, "The body is too large";
    /// The body is of a kind this URL does not take.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, None, "The body is of an unsupported kind";
    /// The request is for a host that is not this one, and no identity is configured.
    ForeignHost = "foreign-host", MISDIRECTED_REQUEST, None, "This server does not answer under this name";
    /// The request breaks a rule; `errors` names every rule broken and where.
    InvalidRequest = "invalid-request", UNPROCESSABLE_ENTITY, None, "The request is not valid";
    /// The file is no adapter, or was learned on something else than is here; the detail says what does not fit.
    UnfitAdapter = "unfit-adapter", UNPROCESSABLE_ENTITY, None, "The adapter does not fit";
    /// Something is wrong with the server; its log has the cause under the request's id.
    Internal = "internal", INTERNAL_SERVER_ERROR, None, "Something went wrong";
    /// More events wait to be written than the server lets wait.
    Busy = "busy", SERVICE_UNAVAILABLE, Some(1), "Too much to do at the moment";
    /// The server is about to stop.
    ShuttingDown = "shutting-down", SERVICE_UNAVAILABLE, Some(5), "The server is shutting down";
    /// The database or the blob store does not answer.
    StoreUnavailable = "store-unavailable", SERVICE_UNAVAILABLE, Some(2), "The database is unavailable";
    /// The server cannot serve for now; the detail says why.
    NotReady = "not-ready", SERVICE_UNAVAILABLE, Some(2), "The server is not ready";
    /// The work took too long and was given up.
    Timeout = "timeout", SERVICE_UNAVAILABLE, Some(2), "The request took too long";
}

impl Code {
    /// Its name: the last part of `type`.
    pub const fn slug(self) -> &'static str {
        self.row().slug
    }

    /// Its status.
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// What it says to people, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.row().title
    }

    /// After how many seconds trying again makes sense, if it does.
    pub const fn retry_after(self) -> Option<u32> {
        self.row().retry_after
    }

    /// The kind of a failure the framework answered with nothing but a status.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::FORBIDDEN => Self::CrossSite,
            StatusCode::NOT_FOUND => Self::UnknownRoute,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }

    /// What to say of it when nobody said more.
    const fn default_detail(self) -> &'static str {
        match self {
            Self::UnknownRoute => "the URLs this server answers are listed at /api/docs",
            Self::MethodNotAllowed => "the methods it answers are in the Allow header",
            Self::CrossSite => "a page of another site may not write here",
            Self::ForeignHost => {
                "no identity is configured, so only names of this machine are answered, such as localhost"
            }
            Self::Internal => "the server's log has the cause under this request_id",
            Self::Busy => "too many events wait to be written; nothing of this request was written",
            Self::ShuttingDown => "the server is shutting down",
            Self::StoreUnavailable => "the database or the blob store does not answer",
            Self::BodyTimeout => "the whole body must arrive within the time limit",
            Self::Timeout => {
                "given up at the time limit; what was to be written may have been written"
            }
            Self::BadRequest
            | Self::MalformedJson
            | Self::NotUtf8
            | Self::BrokenBody
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::UnknownContent
            | Self::UnknownUser
            | Self::UnknownRecommendation
            | Self::UnknownAdapter
            | Self::AdapterConflict
            | Self::NoVersionBefore
            | Self::AdapterKept
            | Self::AdapterTraining
            | Self::AdapterOvertaken
            | Self::AdaptersNotReady
            | Self::OptedOut
            | Self::TooFewEvents
            | Self::UnfitAdapter
            | Self::ContentExists
            | Self::BodyTooLarge
            | Self::UnsupportedMediaType
            | Self::InvalidRequest
            | Self::NotReady => self.title(),
        }
    }
}

/// A failure on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<Violation>,
    challenge: Option<String>,
    facts: Facts,
}

/// What else programs are told of a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Facts {
    current_count: Option<u64>,
    served_version: Option<i64>,
}

/// A result of this crate's handlers.
pub(crate) type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    /// A failure of this kind; `detail` says what is special about this occurrence.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let (detail, errors, facts) = (detail.into(), Vec::new(), Facts::default());
        Self { code, detail, errors, challenge: None, facts }
    }

    /// The same with a value for `WWW-Authenticate`.
    pub(crate) fn with_challenge(self, challenge: String) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// A request that breaks rules: all of them, each with its place.
    pub fn invalid(mut errors: Vec<Violation>) -> Self {
        let detail = match errors.as_slice() {
            [one] if one.pointer.is_empty() => one.detail.clone(),
            [one] => format!("{}: {}", one.pointer, one.detail),
            more if more.len() > MAX_LISTED => {
                format!("{} problems; the first {MAX_LISTED} are listed in errors", more.len())
            }
            more => format!("{} problems, listed in errors", more.len()),
        };
        errors.truncate(MAX_LISTED);
        Self { errors, ..Self::new(Code::InvalidRequest, detail) }
    }

    /// A request that breaks one rule.
    pub fn invalid_at(pointer: &str, detail: impl std::fmt::Display) -> Self {
        Self::invalid(vec![Violation { pointer: pointer.to_owned(), detail: detail.to_string() }])
    }

    /// What kind of failure it is.
    pub fn code(&self) -> Code {
        self.code
    }
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        Self::new(code, code.default_detail())
    }
}

impl From<Violations> for ApiError {
    fn from(problems: Violations) -> Self {
        Self::invalid(problems.into_vec())
    }
}

impl From<sona_engine::Error> for ApiError {
    fn from(error: sona_engine::Error) -> Self {
        use sona_engine::Error;
        match error.root() {
            Error::UnknownContent(_) => Self::new(Code::UnknownContent, error.to_string()),
            Error::UnknownUser(_) => Self::new(Code::UnknownUser, error.to_string()),
            Error::Width { .. } => Self::invalid_at("/embeddings", error.to_string()),
            Error::ContentExists(_) => Self::new(Code::ContentExists, error.to_string()),
            Error::Adapter(refused) => of_adapter(refused),
            Error::Busy => Code::Busy.into(),
            Error::Closed => Code::ShuttingDown.into(),
            root if root.is_temporary() => {
                tracing::error!(%error, "the store is unavailable");
                Code::StoreUnavailable.into()
            }
            Error::LostJob(_)
            | Error::NothingToTrain(_)
            | Error::Training(_)
            | Error::ItemItem(_)
            | Error::NoEncoder
            | Error::Imported
            | Error::Set(_)
            | Error::Encoder(_)
            | Error::Learning(_)
            | Error::Embedding(_)
            | Error::Artifact { .. }
            | Error::Shared(_)
            | Error::Store(_) => {
                tracing::error!(%error, "the engine failed");
                Code::Internal.into()
            }
        }
    }
}

/// Why something was not done to an adapter.
fn of_adapter(error: &AdapterError) -> ApiError {
    let (code, facts) = match error {
        AdapterError::Unknown { .. } => (Code::UnknownAdapter, Facts::default()),
        AdapterError::UnknownUser(_) => (Code::UnknownUser, Facts::default()),
        AdapterError::Conflict { served } => {
            (Code::AdapterConflict, Facts { served_version: *served, ..Facts::default() })
        }
        AdapterError::NoneBefore { served } => {
            (Code::NoVersionBefore, Facts { served_version: Some(*served), ..Facts::default() })
        }
        AdapterError::Kept { .. } => (Code::AdapterKept, Facts::default()),
        AdapterError::OptedOut(_) => (Code::OptedOut, Facts::default()),
        AdapterError::NotReady(_) => (Code::AdaptersNotReady, Facts::default()),
        AdapterError::Training(_) => (Code::AdapterTraining, Facts::default()),
        AdapterError::Overtaken(_) => (Code::AdapterOvertaken, Facts::default()),
        AdapterError::TooFewEvents { found, .. } | AdapterError::NothingToLearn { found, .. } => {
            (Code::TooFewEvents, Facts { current_count: Some(*found), ..Facts::default() })
        }
        AdapterError::Unfit(_) => (Code::UnfitAdapter, Facts::default()),
    };
    ApiError { facts, ..ApiError::new(code, error.to_string()) }
}

impl IntoResponse for ApiError {
    /// Status and the failure itself, for the envelope to find.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        if let Some(Ok(challenge)) = self.challenge.as_deref().map(HeaderValue::from_str) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// What a client sees of a failure (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "urn:sona:problem:invalid-request",
    "title": "The request is not valid",
    "status": 422,
    "detail": "/limit: expected a whole number between 1 and 100, found 0",
    "instance": "/api/v1/recommendations",
    "request_id": "7f3a-12",
    "errors": [{"pointer": "/limit", "detail": "expected a whole number between 1 and 100, found 0"}]
}))]
pub struct Problem {
    /// `urn:sona:problem:` and the kind of problem; programs decide by this.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words, the same for every occurrence.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is special about this occurrence.
    detail: String,
    /// The path that was asked for.
    instance: String,
    /// The request's id, as in the header `x-request-id` and in the server's log.
    request_id: String,
    /// Every rule the request breaks. A `pointer` is a JSON Pointer into the body, `?name` for a query
    /// parameter, or `{name}` for a part of the path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Violation>,
    /// Where there are too few of something: how many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_count: Option<u64>,
    /// Where another version of an adapter is served than was taken for it: the one served, if any is.
    #[serde(skip_serializing_if = "Option::is_none")]
    served_version: Option<i64>,
}

/// `response` itself if it is a success or a redirect, else the problem it stands for.
pub(crate) fn render(mut response: Response, instance: &str, request_id: &str) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let error = response
        .extensions_mut()
        .remove::<ApiError>()
        .unwrap_or_else(|| Code::of_status(status).into());
    let Row { slug, status, retry_after, title } = error.code.row();
    let problem = Problem {
        kind: format!("urn:sona:problem:{slug}"),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: error.detail.into_owned(),
        instance: instance.to_owned(),
        request_id: request_id.to_owned(),
        errors: error.errors,
        current_count: error.facts.current_count,
        served_version: error.facts.served_version,
    };
    let body = serde_json::to_vec(&problem).expect("strings and numbers are always JSON");
    let (mut parts, _) = response.into_parts();
    parts.status = status;
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if let Some(seconds) = retry_after {
        parts.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Response::from_parts(parts, body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_distinct_and_statuses_are_failures() {
        let mut slugs: Vec<_> = Code::ALL.iter().map(|code| code.slug()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.status().as_u16() >= 400));
    }

    #[test]
    fn every_kind_is_rendered_with_its_status() {
        for code in Code::ALL {
            let response = render(ApiError::from(*code).into_response(), "/x", "r");
            assert_eq!(response.status(), code.status());
            assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), code.retry_after().is_some());
        }
    }

    #[test]
    fn engine_failures_have_their_kinds() {
        use sona_engine::Error;
        let id = || sona_domain::ContentId::new("c").expect("an id");
        for (error, code) in [
            (Error::UnknownContent(id()), Code::UnknownContent),
            (Error::ContentExists(id()), Code::ContentExists),
            (Error::UnknownUser(sona_domain::UserId::new("u").expect("an id")), Code::UnknownUser),
            (Error::Busy, Code::Busy),
            (Error::Closed, Code::ShuttingDown),
            (Error::NothingToTrain("x".to_owned()), Code::Internal),
        ] {
            let shared = Error::Shared(std::sync::Arc::new(error));
            assert_eq!(ApiError::from(shared).code(), code);
        }
    }

    #[test]
    fn long_lists_are_cut_and_counted() {
        let mut problems = Violations::new();
        (0..=MAX_LISTED).for_each(|n| problems.add(format!("/{n}"), "wrong"));
        let error = ApiError::from(problems);
        assert_eq!(error.errors.len(), MAX_LISTED);
        assert_eq!(error.detail, "1001 problems; the first 1000 are listed in errors");
    }
}
