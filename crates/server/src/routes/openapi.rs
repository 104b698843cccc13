//! `/api/openapi.json` and `/api/docs`: this API, for programs and for people.
//!
//! The page is one file without anything from elsewhere, so it works offline and tells nobody who reads it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::{IntoResponse, Redirect};

use crate::app::App;

/// The page.
const PAGE: &str = include_str!("../../pages/docs.html");

/// The page's own script and style, and requests to this server; nothing else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Read this document
#[utoipa::path(
    get, path = "/api/openapi.json", operation_id = "openapi", tag = "operations",
    responses((status = 200, description = "The OpenAPI 3.1 document", body = Object))
)]
pub(crate) async fn openapi(State(app): State<Arc<App>>) -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
    (headers, app.openapi.clone())
}

/// Browse this API
#[utoipa::path(
    get, path = "/api/docs", operation_id = "docs", tag = "operations",
    responses((status = 200, description = "A page to read and try this API", body = String, content_type = "text/html"))
)]
pub(crate) async fn docs() -> impl IntoResponse {
    let headers: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, PAGE)
}

/// Go to the documentation
#[utoipa::path(
    get, path = "/", operation_id = "root", tag = "operations",
    responses((status = 307, description = "Leads to `/api/docs`"))
)]
pub(crate) async fn root() -> Redirect {
    Redirect::temporary("/api/docs")
}
