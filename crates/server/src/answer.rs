//! Answers with a body of many small parts.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Room made at once; a list of twenty with its reasons fits.
const ROOM: usize = 16 << 10;

/// A large JSON answer: as [`axum::Json`], written without growing its room step by step.
pub(crate) struct LargeJson<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for LargeJson<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(ROOM);
        serde_json::to_writer(&mut body, &self.0).expect("an answer is always JSON");
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    }
}
