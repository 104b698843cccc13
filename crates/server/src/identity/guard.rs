//! The layer before every route: who is asking, and may they?
//!
//! Nothing is looked up before both are answered. What an end user does for whom is then checked by
//! [`Caller`], also before anything is looked up.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sona_domain::{Access, Principal};
use tracing::Span;

use super::caller::Caller;
use super::host;
use super::refusal::Refusal;
use crate::app::App;
use crate::error::{ApiError, Code};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Lets in whom the route's rule lets in, and tells the handler who it is; what is meant for another host is let
/// nowhere.
pub(crate) async fn guard(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    if !host::is_answered(&app, &request) {
        return ApiError::from(Code::ForeignHost).into_response();
    }
    let Some(route) = request.extensions().get::<MatchedPath>().cloned() else {
        return next.run(request).await;
    };
    let Some(access) = app.rules.of(request.method(), route.as_str()) else {
        return wrong_method(&app.rules.methods(route.as_str()));
    };
    match admit(&app, access, request.headers()).await {
        Ok(principal) => {
            // Services are named in the log; end users are nobody's business there.
            if let Principal::Service { subject, .. } = &principal {
                Span::current().record("service", subject.as_str());
            }
            request.extensions_mut().insert(Caller::new(principal));
            next.run(request).await
        }
        Err(refusal) => {
            app.metrics.refused(refusal);
            ApiError::from(refusal).into_response()
        }
    }
}

async fn admit(app: &App, access: Access, headers: &HeaderMap) -> Result<Principal, Refusal> {
    if access == Access::Public || !app.identity.is_configured() {
        return Ok(Principal::Anyone);
    }
    let credential = Credential::of(headers)?;
    let principal = app.identity.check(&app.engine, credential).await?;
    if access.admits(&principal) { Ok(principal) } else { Err(Refusal::Access(access)) }
}

/// What a caller shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    Token(&'a str),
    ApiKey(&'a str),
}

impl<'a> Credential<'a> {
    /// The one credential in the headers.
    fn of(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let one = |name| {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (value, None) => Ok(value),
                _ => Err(Refusal::Malformed),
            }
        };
        match (one(AUTHORIZATION)?, one(X_API_KEY)?) {
            (None, None) => Err(Refusal::Missing),
            (Some(value), None) => Self::bearer(text(value)?),
            (None, Some(value)) => Ok(Self::ApiKey(text(value)?)),
            (Some(_), Some(_)) => Err(Refusal::Malformed),
        }
    }

    fn bearer(value: &'a str) -> Result<Self, Refusal> {
        let (scheme, credential) = value.split_once(' ').ok_or(Refusal::Malformed)?;
        let credential = credential.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || credential.is_empty() {
            Err(Refusal::Malformed)
        } else if credential.starts_with(super::api_key::PREFIX) {
            Ok(Self::ApiKey(credential))
        } else {
            Ok(Self::Token(credential))
        }
    }
}

fn text(value: &HeaderValue) -> Result<&str, Refusal> {
    value.to_str().map_err(|_| Refusal::Malformed)
}

/// 405. A route without a rule ends here too: it cannot be reached until it says whom it lets in.
fn wrong_method(allowed: &str) -> Response {
    let mut response = ApiError::from(Code::MethodNotAllowed).into_response();
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(headers: &[(HeaderName, &str)]) -> Result<String, Refusal> {
        let headers = headers.iter().map(|(n, v)| (n.clone(), v.parse().expect("a value")));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        Credential::of(&map).map(|credential| format!("{credential:?}"))
    }

    #[test]
    fn one_credential_is_read() {
        let token = Ok("Token(\"a.b.c\")".to_owned());
        assert_eq!(shown(&[(AUTHORIZATION, "Bearer a.b.c")]), token);
        assert_eq!(shown(&[(AUTHORIZATION, "bearer  a.b.c ")]), token);
        let key = Ok("ApiKey(\"sona_1_2\")".to_owned());
        assert_eq!(shown(&[(AUTHORIZATION, "Bearer sona_1_2")]), key);
        assert_eq!(shown(&[(X_API_KEY, "sona_1_2")]), key);
        assert_eq!(shown(&[]), Err(Refusal::Missing));
        for wrong in [
            &[(AUTHORIZATION, "Basic YTpi")][..],
            &[(AUTHORIZATION, "Bearer")],
            &[(AUTHORIZATION, "Bearer ")],
            &[(AUTHORIZATION, "a.b.c")],
            &[(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer b")],
            &[(AUTHORIZATION, "Bearer a"), (X_API_KEY, "sona_1_2")],
        ] {
            assert_eq!(shown(wrong), Err(Refusal::Malformed), "{wrong:?}");
        }
    }
}
