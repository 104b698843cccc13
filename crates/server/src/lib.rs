//! Sona's HTTP face: every URL, every error, the OpenAPI document, the metrics. The only crate that knows HTTP.
//!
//! [`Server::bind`] takes the address, [`router()`] makes the application, [`Server::serve`] joins the two:
//!
//! ```text
//! request ─▶ envelope (id, span, metrics, problems) ─▶ own name ─▶ same-site ─▶ catch panic ─▶ deadline
//!         ─▶ guard (who is asking, and may they?) ─▶ route ─▶ engine
//! ```
//!
//! Handlers read a request, call the engine once or twice, and shape the answer; what a recommendation is or
//! when an event counts is not decided here. Handlers never render a failure either: they return an
//! [`error::ApiError`] and the envelope turns every answer that is neither success nor redirect into
//! `application/problem+json`, so there is one place to look for what a client can meet ([`error`]).

pub mod error;
pub mod identity;
pub mod options;

mod answer;
mod app;
mod body;
mod envelope;
mod listen;
mod metrics;
mod params;
mod router;
mod routes;

pub use identity::{Identity, IdentityError, IdentityOptions};
pub use listen::{BindError, Server};
pub use options::ServerOptions;
pub use router::{openapi, router};
