//! Reading what stands in the URL: ids in the path, parameters in the query.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use sona_domain::{ContentId, IdError, RecommendationId, UserId, Violations};

use crate::app::App;
use crate::error::{ApiError, Result};

/// The id in the path, percent-decoded and checked.
pub(crate) struct PathId<T>(pub(crate) T);

/// An id that can stand in a path.
pub(crate) trait IdInPath: Sized {
    /// Its place in the path, as clients read it in the documentation.
    const PLACE: &str;

    /// Checks and wraps the decoded text.
    fn read(text: &str) -> Result<Self, IdError>;
}

impl IdInPath for UserId {
    const PLACE: &str = "{user_id}";

    fn read(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl IdInPath for ContentId {
    const PLACE: &str = "{content_id}";

    fn read(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl IdInPath for RecommendationId {
    const PLACE: &str = "{recommendation_id}";

    fn read(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl<T: IdInPath> FromRequestParts<Arc<App>> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let Path(text) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|_| ApiError::invalid_at(T::PLACE, "not UTF-8 after percent-decoding"))?;
        T::read(&text).map(Self).map_err(|error| ApiError::invalid_at(T::PLACE, error))
    }
}

/// The number of a version: a whole number from 1 on.
pub(crate) fn version(text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| *number >= 1);
    number.ok_or_else(|| format!("expected the number of a version, from 1 on, found {text:?}"))
}

/// The query's parameters; every problem is noted as `?name`.
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    asked: Vec<&'static str>,
    problems: Violations,
}

impl FromRequestParts<Arc<App>> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        let Query(pairs) = Query::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::invalid_at("?", "not a list of name=value"))?;
        Ok(Self { pairs, asked: Vec::new(), problems: Violations::new() })
    }
}

impl Params {
    /// A whole number within `min..=max`.
    pub(crate) fn integer(&mut self, name: &'static str, min: usize, max: usize) -> Option<usize> {
        let value = self.one(name)?;
        let number = value.parse().ok().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            let expected = format!("expected a whole number between {min} and {max}");
            self.problems.add(format!("?{name}"), format!("{expected}, found {value:?}"));
        }
        number
    }

    /// A text turned into `T` by `read`; a problem if that refuses it.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.one(name)?;
        read(&value).map_err(|error| self.problems.add(format!("?{name}"), error)).ok()
    }

    /// The number of a version.
    pub(crate) fn version(&mut self, name: &'static str) -> Option<i64> {
        self.parsed(name, version)
    }

    /// Whether the parameter is there; the only thing it may say is `word`.
    pub(crate) fn says(&mut self, name: &'static str, word: &'static str) -> bool {
        let Some(value) = self.one(name) else { return false };
        if value != word {
            self.problems.add(format!("?{name}"), format!("expected {word:?}, found {value:?}"));
        }
        value == word
    }

    /// The value of a parameter that may be given once.
    fn one(&mut self, name: &'static str) -> Option<String> {
        self.asked.push(name);
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let value = values.next()?.clone();
        if values.next().is_some() {
            self.problems.add(format!("?{name}"), "given more than once");
            return None;
        }
        Some(value)
    }

    /// Reports the parameters nobody asked for and all problems so far.
    pub(crate) fn finish(mut self) -> Result<()> {
        for (key, _) in self.pairs.iter().filter(|(key, _)| !self.asked.contains(&key.as_str())) {
            let known = self.asked.join(", ");
            self.problems.add(
                format!("?{key}"),
                format!("unknown parameter {key:?}; known parameters: {known}"),
            );
        }
        Ok(self.problems.unless(Some(()))?)
    }
}
