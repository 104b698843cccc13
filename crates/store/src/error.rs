//! What can go wrong below the seam, named after what the caller can do about it.

use std::fmt::Display;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed store call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no database, blob store or vector index we know.
    #[error(
        "{0:?} is not a supported URL (sqlite:PATH, postgres://…; blobs: file:PATH, memory:; vectors: memory:, qdrant://HOST:6334, qdrants://…)"
    )]
    Url(String),
    /// The database cannot be reached, is locked, or broke off: try again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("migrating the database failed: {0}")]
    Migrate(#[source] MigrateError),
    /// A row does not hold what this version expects: the data was changed by something else.
    #[error("unexpected data in {place}: {detail}")]
    Corrupt {
        /// Table and column.
        place: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The caller passed something the store refuses, such as a non-finite metric or a job id already taken.
    #[error("{0}")]
    Invalid(String),
    /// The vector index does not answer, or not now: try again later, or search without it.
    #[error("the vector index {place} is unavailable: {detail}")]
    IndexUnavailable {
        /// Where it is, without credentials.
        place: String,
        /// What it said.
        detail: String,
    },
    /// The vector index has no set of this encoder's vectors, or no more: make it anew.
    #[error("the vector index has no vectors of {0}")]
    NoSet(String),
    /// The blob store failed.
    #[error("the blob store failed on {key}: {source}")]
    Blob {
        /// Which blob.
        key: String,
        /// What it said.
        #[source]
        source: object_store::Error,
    },
}

impl Error {
    /// A closure that reports what was found in `place` (table and column) as [`Error::Corrupt`].
    pub(crate) fn corrupt<E: Display>(place: &'static str) -> impl FnOnce(E) -> Self {
        move |detail| Self::Corrupt { place, detail: detail.to_string() }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match fault(&error) {
            Fault::Place => Self::Unavailable(error),
            Fault::Data(place) => Self::Corrupt { place, detail: error.to_string() },
            Fault::Caller => Self::Invalid(error.to_string()),
        }
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        let interrupted = matches!(
            &error,
            MigrateError::ExecuteMigration(cause, _) if fault(cause) == Fault::Place
        );
        if let MigrateError::Execute(cause) = error {
            // The bookkeeping around the migrations, not one of them.
            return cause.into();
        }
        if interrupted && let MigrateError::ExecuteMigration(cause, _) = error {
            return Self::Unavailable(cause);
        }
        Self::Migrate(error)
    }
}

/// Where the cause of a database error lies.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// Network, locks, disk, permissions: the same call may succeed later.
    Place,
    /// The stored data or schema.
    Data(&'static str),
    /// What was passed in.
    Caller,
}

fn fault(error: &sqlx::Error) -> Fault {
    if let Some(error) = error.as_database_error() {
        return if let Some(error) = error.try_downcast_ref::<SqliteError>() {
            sqlite_fault(&error.code().unwrap_or_default())
        } else if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
            postgres_fault(error.code())
        } else {
            Fault::Place
        };
    }
    let unreadable = matches!(
        error,
        sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::RowNotFound
            | sqlx::Error::TypeNotFound { .. }
    );
    if unreadable { Fault::Data("a row") } else { Fault::Place }
}

/// By extended result code, see <https://www.sqlite.org/rescode.html>; the low byte names the kind.
fn sqlite_fault(code: &str) -> Fault {
    match code.parse::<i32>().unwrap_or_default() & 0xff {
        // TOOBIG, CONSTRAINT, MISMATCH
        18..=20 => Fault::Caller,
        // ERROR: a table or column is not what the statement expects.
        1 => Fault::Data("the schema"),
        // CORRUPT, NOTADB
        11 | 26 => Fault::Data("the database file"),
        _ => Fault::Place,
    }
}

/// By SQLSTATE, see <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn postgres_fault(code: &str) -> Fault {
    match (code.get(..2), code) {
        // Insufficient privilege: for the operator to grant.
        (_, "42501") => Fault::Place,
        // Data exception, integrity constraint violation.
        (Some("22" | "23"), _) => Fault::Caller,
        // A table or column is not what the statement expects.
        (Some("42"), _) => Fault::Data("the schema"),
        // Data or index corrupted.
        (_, "XX001" | "XX002") => Fault::Data("the database"),
        _ => Fault::Place,
    }
}

/// `url` without its credentials: the user stays, the password and every parameter go.
pub(crate) fn redact(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once(':') else { return url.to_owned() };
    let Some((credentials, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    let user = credentials.split(':').next().unwrap_or_default();
    format!("{scheme}:{user}:***@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_reach_messages() {
        let check = |url, expect: &str| assert_eq!(redact(url), expect);
        check("postgres://sona:s3:cr@t@db:5432/x", "postgres://sona:***@db:5432/x");
        check("postgres:sona:secret@db/x", "postgres:sona:***@db/x");
        check("mysql://db/x?user=u&password=secret", "mysql://db/x");
        check("nonsense", "nonsense");
        assert!(!Error::Url(redact("pg://u:secret@h")).to_string().contains("secret"));
    }

    #[test]
    fn codes_say_whose_fault_it_is() {
        assert_eq!(sqlite_fault("5"), Fault::Place, "SQLITE_BUSY");
        assert_eq!(sqlite_fault("517"), Fault::Place, "SQLITE_BUSY_SNAPSHOT");
        assert_eq!(sqlite_fault("2067"), Fault::Caller, "SQLITE_CONSTRAINT_UNIQUE");
        assert_eq!(sqlite_fault("1"), Fault::Data("the schema"));
        assert_eq!(postgres_fault("57P01"), Fault::Place, "the server shuts down");
        assert_eq!(postgres_fault("40P01"), Fault::Place, "a deadlock");
        assert_eq!(postgres_fault("23505"), Fault::Caller, "a unique violation");
        assert_eq!(postgres_fault("22021"), Fault::Caller, "a NUL in text");
        assert_eq!(postgres_fault("42P01"), Fault::Data("the schema"), "no such table");
    }
}
