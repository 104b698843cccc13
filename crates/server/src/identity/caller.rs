//! Who is asking, as handlers see it: the only way to a user id that a request names.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde_json::Value;
use sona_domain::{Access, AdapterName, Principal, UserId};

use super::refusal::Refusal;
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::params::{PathId, version};

/// Who is asking.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Arc<Principal>);

/// The user id in the path, for whom the caller may act.
pub(crate) struct PathUser(pub(crate) UserId);

impl Caller {
    pub(super) fn new(principal: Principal) -> Self {
        Self(Arc::new(principal))
    }

    /// True if the caller may act for `user`.
    pub(crate) fn acts_for(&self, user: &UserId) -> bool {
        self.0.acts_for(user)
    }

    /// Refuses a caller whom `access` does not admit: for what a body asks beyond its route.
    pub(crate) fn needs(&self, app: &App, access: Access) -> Result<()> {
        if access.admits(&self.0) {
            return Ok(());
        }
        app.metrics.refused(Refusal::Access(access));
        Err(Refusal::Access(access).into())
    }

    /// Settles whom a body is about, before anything else is read of it: an end user's own id is put in where it
    /// names nobody, and somebody else's is refused. What is no id at all is left for the reader to name.
    pub(crate) fn settle_user(&self, app: &App, body: &mut Value) -> Result<()> {
        let Principal::EndUser(own) = &*self.0 else { return Ok(()) };
        let Some(fields) = body.as_object_mut() else { return Ok(()) };
        match fields.get("user_id") {
            None | Some(Value::Null) => {
                fields.insert("user_id".to_owned(), own.as_str().into());
                Ok(())
            }
            Some(Value::String(named)) if named != own.as_str() => Err(foreign(app)),
            Some(_) => Ok(()),
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().expect("the guard stands before every route").clone())
    }
}

impl FromRequestParts<Arc<App>> for PathUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let Ok(caller) = Caller::from_request_parts(parts, app).await;
        let PathId(user) = PathId::<UserId>::from_request_parts(parts, app).await?;
        if caller.0.acts_for(&user) { Ok(Self(user)) } else { Err(foreign(app)) }
    }
}

/// The user and the adapter in the path, for whom the caller may act.
pub(crate) struct PathAdapter(pub(crate) UserId, pub(crate) AdapterName);

/// The same with a version.
pub(crate) struct PathAdapterVersion(pub(crate) UserId, pub(crate) AdapterName, pub(crate) i64);

/// The parts of a path, percent-decoded, by their names.
type Parted = HashMap<String, String>;

/// Whom a path is about; whether the caller may act for them is settled before anything else is read of it.
async fn user_in_path(parts: &mut Parts, app: &Arc<App>) -> Result<(UserId, Parted)> {
    let Ok(caller) = Caller::from_request_parts(parts, app).await;
    let Path(path) = Path::<Parted>::from_request_parts(parts, app)
        .await
        .map_err(|_| ApiError::invalid_at("{user_id}", "not UTF-8 after percent-decoding"))?;
    let user = UserId::new(path.get("user_id").map_or("", String::as_str))
        .map_err(|error| ApiError::invalid_at("{user_id}", error))?;
    if caller.0.acts_for(&user) { Ok((user, path)) } else { Err(foreign(app)) }
}

fn part<T>(path: &Parted, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T> {
    let text = path.get(name).map_or("", String::as_str);
    read(text).map_err(|error| ApiError::invalid_at(&format!("{{{name}}}"), error))
}

impl FromRequestParts<Arc<App>> for PathAdapter {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let (user, path) = user_in_path(parts, app).await?;
        Ok(Self(user, part(&path, "adapter_name", |text| AdapterName::new(text))?))
    }
}

impl FromRequestParts<Arc<App>> for PathAdapterVersion {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let (user, path) = user_in_path(parts, app).await?;
        let name = part(&path, "adapter_name", |text| AdapterName::new(text))?;
        Ok(Self(user, name, part(&path, "version", version)?))
    }
}

fn foreign(app: &App) -> ApiError {
    app.metrics.refused(Refusal::ForeignUser);
    Refusal::ForeignUser.into()
}
