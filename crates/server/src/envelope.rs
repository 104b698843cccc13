//! What happens around every request: its id, its span, its deadline, its numbers, and the shape of its failure.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sona_domain::IdSource;
use tracing::Instrument;

use crate::app::App;
use crate::error::{ApiError, Code, render};

/// Names a request, in both directions.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id taken from a client, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// The `route` of a request no route answers; its path could be anything and is no label.
const NO_ROUTE: &str = "none";

/// True while the request's body is being read; tells a slow client from slow work.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadingBody(Arc<AtomicBool>);

impl ReadingBody {
    /// Notes that the body is being read, or no longer.
    pub(crate) fn set(&self, reading: bool) {
        self.0.store(reading, Ordering::Release);
    }
}

/// The outermost layer: names the request, watches it, and renders its failure.
pub(crate) async fn envelope(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers(), &*app.ids);
    let instance = request.uri().path().to_owned();
    let method = method_label(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    // Paths hold user ids; the log gets the route.
    let service = tracing::field::Empty;
    let span = tracing::info_span!("request", method, route, %request_id, service);

    let response = in_time(app.timeout, request, next).instrument(span.clone()).await;

    let mut response = render(response, &instance, &request_id);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    app.metrics.request(method, route, status, elapsed);
    span.in_scope(|| tracing::info!(status, latency_us = elapsed.as_micros(), "answered"));
    response
}

/// Gives up at the time limit: 408 if the client was slow to send, 503 if the work was slow.
async fn in_time(limit: Duration, mut request: Request, next: Next) -> Response {
    let reading = ReadingBody::default();
    request.extensions_mut().insert(reading.clone());
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) if reading.0.load(Ordering::Acquire) => {
            ApiError::from(Code::BodyTimeout).into_response()
        }
        Err(_) => {
            tracing::error!("given up at the time limit");
            ApiError::from(Code::Timeout).into_response()
        }
    }
}

/// The answer to a request whose handler panicked: what went wrong is for the log only.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("no message"), "a handler panicked");
    ApiError::from(Code::Internal).into_response()
}

/// Where no route leads.
pub(crate) async fn no_route() -> ApiError {
    Code::UnknownRoute.into()
}

/// The client's id if it is fit for headers and logs, else a fresh one.
fn request_id(headers: &HeaderMap, ids: &dyn IdSource) -> String {
    let fit = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let sent = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(fit);
    sent.map_or_else(|| ids.fresh(), ToOwned::to_owned)
}

/// The method if it is one of the usual ones; clients may invent methods, and each would be a time series.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_without_what_went_wrong() {
        for panic in [Box::new("secret") as Box<dyn Any + Send>, Box::new("secret".to_owned())] {
            let response = render(panicked(panic), "/x", "r");
            assert_eq!(response.status(), 500);
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
            assert!(!String::from_utf8_lossy(&body).contains("secret"));
        }
    }
}
