//! Every URL on one page.
//!
//! | method | URL | what it does |
//! |---|---|---|
//! | POST | `/api/v1/recommendations` | what a user should see next, and why |
//! | GET | `/api/v1/recommendations/{recommendation_id}/exposure` | what a list showed |
//! | POST | `/api/v1/personalization/score` | what given titles score for a user |
//! | GET | `/api/v1/similar/{content_id}` | titles like a title |
//! | POST | `/api/v1/events/track` | take in what users did |
//! | GET | `/api/v1/profile/{user_id}` | what is known of a user |
//! | POST | `/api/v1/profile/update` | take in one user's viewings, all or none |
//! | GET, PUT, DELETE | `/api/v1/users/{user_id}` | read, write a user; remove one with all that is theirs |
//! | POST | `/api/v1/users/bulk` | write many users, all or none |
//! | GET, DELETE | `/api/v1/users/{user_id}/adapters` | a user's adapters; start them anew |
//! | GET, DELETE | `/api/v1/users/{user_id}/adapters/{adapter_name}` | the version that is served; delete all |
//! | POST | `/api/v1/users/{user_id}/adapters/{adapter_name}/rollback` | serve the version before |
//! | GET, DELETE | `/api/v1/users/{user_id}/adapters/{adapter_name}/versions/{version}` | read, delete a version |
//! | POST | `/api/v1/users/{user_id}/adapters/{adapter_name}/versions/{version}/serve` | serve a version |
//! | PUT, DELETE | `/api/v1/users/{user_id}/adapters/{adapter_name}/versions/{version}/pin` | keep a version, or no longer |
//! | PUT, DELETE | `/api/v1/users/{user_id}/adapter-opt-out` | want no adapter; want one again |
//! | GET | `/api/v1/users/{user_id}/adapters/{adapter_name}/export` | a version as a file |
//! | POST | `/api/v1/users/{user_id}/adapters/{adapter_name}/import` | take a version in from a file |
//! | POST | `/api/v1/lora/train` | train a user's adapter anew |
//! | GET | `/api/v1/adapters/report` | adapters in numbers |
//! | POST | `/api/v1/content` | add an entry to the catalogue |
//! | GET, PUT, PATCH, DELETE | `/api/v1/content/{content_id}` | read, replace, change, remove an entry |
//! | POST | `/api/v1/content/bulk` | add or replace many entries, all or none |
//! | POST | `/api/v1/embeddings/bulk` | add or replace vectors made elsewhere, all or none |
//! | GET | `/health` | how the server is |
//! | GET | `/health/live` | whether the process answers |
//! | GET | `/health/ready` | whether requests should be sent here |
//! | GET | `/metrics` | numbers for Prometheus |
//! | GET | `/api/openapi.json` | this API, for programs |
//! | GET | `/api/docs` | this API, for people |
//! | GET | `/` | leads to `/api/docs` |
//!
//! A test holds this table and the OpenAPI document together. Whom a route lets in is said where it is registered
//! ([`routes()`]); `docs/identity.md` lists it for users, and a test holds that together too.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use bytes::Bytes;
use sona_domain::{Access, IdSource, Scope, Violation};
use sona_engine::Engine;
use tokio::sync::Mutex;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::envelope;
use crate::error::{PROBLEM_JSON, Problem};
use crate::identity::access::{AccessRules, Routes};
use crate::identity::{Identity, guard};
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::routes::adapters::{handle, portable, train};
use crate::routes::{
    adapters, content, embeddings, events, exposures, health, metrics, openapi as document,
    profile, recommendations, score, similar, users,
};

/// The application over an open engine; `ids` names requests that come without an id.
pub fn router(
    engine: Arc<Engine>,
    identity: Identity,
    ids: Arc<dyn IdSource>,
    options: &ServerOptions,
) -> Router {
    let (routes, rules) = routes();
    let (routes, openapi) = routes.split_for_parts();
    let openapi = openapi.to_json().expect("the document holds only JSON values");
    let app = Arc::new(App {
        engine,
        ids,
        metrics: Metrics::new(),
        identity,
        rules,
        host: options.host.clone(),
        body_limit: options.body_limit_bytes,
        timeout: Duration::from_secs(options.timeout_seconds),
        content_writes: Mutex::default(),
        openapi: Bytes::from(openapi),
    });
    // The first is the outermost. Together they are one layer to the router, which would box every single one.
    let around = (
        from_fn_with_state(app.clone(), envelope::envelope),
        CsrfLayer::new(),
        CatchPanicLayer::custom(envelope::panicked),
        from_fn_with_state(app.clone(), guard::guard),
        DefaultBodyLimit::max(options.body_limit_bytes),
    );
    routes.fallback(envelope::no_route).layer(around).with_state(app)
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().0.into_openapi()
}

fn routes() -> (OpenApiRouter<Arc<App>>, AccessRules) {
    use Access::{AnyService, Identified, Only, OwnOr, Public};
    use Scope::{ContentWrite, EventsWrite, RecommendationsRead, UsersAdmin};
    let routes = adapter_routes(Routes::new(Api::openapi()))
        .add(OwnOr(RecommendationsRead), routes!(recommendations::recommend))
        .add(OwnOr(RecommendationsRead), routes!(exposures::read))
        .add(OwnOr(RecommendationsRead), routes!(score::score))
        .add(OwnOr(RecommendationsRead), routes!(similar::similar))
        .add(OwnOr(EventsWrite), routes!(events::track))
        .add(OwnOr(UsersAdmin), routes!(profile::read))
        .add(OwnOr(UsersAdmin), routes!(profile::update))
        .add(OwnOr(UsersAdmin), routes!(users::read, users::write))
        .add(Only(UsersAdmin), routes!(users::erase))
        .add(Only(UsersAdmin), routes!(users::bulk))
        .add(Only(ContentWrite), routes!(content::create))
        .add(Identified, routes!(content::read))
        .add(Only(ContentWrite), routes!(content::replace, content::change, content::remove))
        .add(Only(ContentWrite), routes!(content::bulk))
        .add(Only(ContentWrite), routes!(embeddings::bulk))
        .add(Public, routes!(health::health))
        .add(Public, routes!(health::live))
        .add(Public, routes!(health::ready))
        .add(AnyService, routes!(metrics::metrics))
        .add(Public, routes!(document::openapi))
        .add(Public, routes!(document::docs))
        .add(Public, routes!(document::root));
    let (mut router, rules) = routes.into_parts();
    for item in router.get_openapi_mut().paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        operations.into_iter().flatten().for_each(may_fail);
    }
    (router, rules)
}

/// Users may look at what was learned of them alone, have it learned anew, and end it; the rest is administration.
fn adapter_routes(routes: Routes) -> Routes {
    use Access::{Only, OwnOr};
    use Scope::UsersAdmin;
    routes
        .add(OwnOr(UsersAdmin), routes!(adapters::list, handle::reset))
        .add(OwnOr(UsersAdmin), routes!(adapters::read))
        .add(OwnOr(UsersAdmin), routes!(adapters::read_version))
        .add(OwnOr(UsersAdmin), routes!(portable::export))
        .add(OwnOr(UsersAdmin), routes!(handle::opt_out, handle::opt_in))
        .add(OwnOr(UsersAdmin), routes!(train::train))
        .add(Only(UsersAdmin), routes!(portable::import))
        .add(Only(UsersAdmin), routes!(handle::delete))
        .add(Only(UsersAdmin), routes!(handle::delete_version))
        .add(Only(UsersAdmin), routes!(handle::roll_back))
        .add(Only(UsersAdmin), routes!(handle::serve))
        .add(Only(UsersAdmin), routes!(handle::pin, handle::unpin))
        .add(Only(UsersAdmin), routes!(adapters::report))
}

/// Says in the document that every other answer of an operation is a problem.
fn may_fail(operation: &mut Operation) {
    let problem =
        ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let response = ResponseBuilder::new()
        .description("Any other answer is a problem; `type` says which.")
        .content(PROBLEM_JSON, problem)
        .build();
    operation.responses.responses.insert("default".to_owned(), response.into());
}

/// What the document says besides its operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sona",
        description = "What should this user see next, and why. Send the catalogue and your users' events; ask for lists.\n\n\
            Ids are opaque strings of 1 to 255 bytes. Times are RFC 3339. Unknown fields are refused, so a misspelt one is \
            never silently ignored. Every failure is `application/problem+json` (RFC 9457) and names all problems of a \
            body at once. Send `x-request-id` to find a request in the log again; the answer carries it."
    ),
    tags(
        (name = "recommendations", description = "Lists, and why each title is on them."),
        (name = "events", description = "What users did. Durable and reflected in the next list when answered."),
        (name = "users", description = "What is known of a user, saying it, and forgetting it."),
        (name = "adapters", description = "What is learned of one user alone: looking at it, going back, starting anew, wanting none."),
        (name = "content", description = "The catalogue. A change is in force when it is answered."),
        (name = "operations", description = "Health, metrics, this document."),
    ),
    components(schemas(Problem, Violation)),
)]
struct Api;
