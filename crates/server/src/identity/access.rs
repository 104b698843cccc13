//! Which route lets whom in: the rules given where routes are registered, looked up by every request and written
//! into the OpenAPI document.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Method;
use sona_domain::{Access, Scope};
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, ContentBuilder, Ref, ResponseBuilder};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::refusal::describe;
use crate::app::App;
use crate::error::{PROBLEM_JSON, Problem};

/// The names of the two ways in, in the document.
const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";

/// Routes and who is let in. A route gets here with its rule or not at all.
pub(crate) struct Routes {
    router: OpenApiRouter<Arc<App>>,
    rules: AccessRules,
}

/// The rule of every method of every route template.
#[derive(Debug, Default)]
pub(crate) struct AccessRules(BTreeMap<String, Vec<(Method, Access)>>);

impl Routes {
    /// No routes yet; `document` is what the document says besides them.
    pub(crate) fn new(mut document: utoipa::openapi::OpenApi) -> Self {
        ways_in(document.components.get_or_insert_default());
        Self { router: OpenApiRouter::with_openapi(document), rules: AccessRules::default() }
    }

    /// Registers routes that let in whom `access` says.
    pub(crate) fn add(
        mut self,
        access: Access,
        (schemas, mut paths, methods): UtoipaMethodRouter<Arc<App>>,
    ) -> Self {
        for (path, item) in &mut paths.paths {
            let rules = self.rules.0.entry(path.clone()).or_default();
            for (method, operation) in operations(item) {
                rules.push((method, access));
                document(operation, access);
            }
        }
        Self { router: self.router.routes((schemas, paths, methods)), ..self }
    }

    /// The router with its document, and the rules.
    pub(crate) fn into_parts(self) -> (OpenApiRouter<Arc<App>>, AccessRules) {
        (self.router, self.rules)
    }
}

impl AccessRules {
    /// Whom a route lets in; `None` if the route has no such method or no rule.
    pub(crate) fn of(&self, method: &Method, route: &str) -> Option<Access> {
        // Whoever may GET may HEAD: the same code answers.
        let asked = if method == Method::HEAD { &Method::GET } else { method };
        let rules = self.0.get(route)?.iter();
        rules.into_iter().find(|(method, _)| method == asked).map(|(_, access)| *access)
    }

    /// The methods of a route, as `Allow` lists them.
    pub(crate) fn methods(&self, route: &str) -> String {
        let mut methods = Vec::new();
        for (method, _) in self.0.get(route).map(Vec::as_slice).unwrap_or_default() {
            methods.push(method.as_str());
            methods.extend((method == Method::GET).then_some("HEAD"));
        }
        methods.join(",")
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::PATCH, &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Writes into the document whom an operation lets in, and what the others are told.
fn document(operation: &mut Operation, access: Access) {
    let scopes: Vec<_> = access.scope().into_iter().map(Scope::as_str).collect();
    operation.security = Some(match access {
        Access::Public => Vec::new(),
        Access::Identified | Access::AnyService | Access::OwnOr(_) | Access::Only(_) => {
            [BEARER, API_KEY].map(|way| SecurityRequirement::new(way, scopes.clone())).into()
        }
    });
    if access != Access::Public {
        refused(
            operation,
            "401",
            "The caller did not say who they are, or not so that it is believed",
        );
    }
    if !matches!(access, Access::Public | Access::Identified) {
        refused(operation, "403", &format!("Not for this caller: {}", describe(access)));
    }
}

fn refused(operation: &mut Operation, status: &str, description: &str) {
    let problem =
        ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let response =
        ResponseBuilder::new().description(description).content(PROBLEM_JSON, problem).build();
    operation.responses.responses.insert(status.to_owned(), response.into());
}

fn ways_in(components: &mut Components) {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(
        Some("A JSON Web Token or an API key. Needed where identity is configured; see `identity` in `/health`."),
    );
    let header = ApiKeyValue::with_description("x-api-key", "An API key (`sona keys create`).");
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    components.add_security_scheme(API_KEY, SecurityScheme::ApiKey(ApiKey::Header(header)));
}
