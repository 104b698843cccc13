//! Opening databases and bringing their schema up to date.

use std::path::Path;

use sona_store::{Error, open};

use crate::{Db, at, event, meddle, user};

on_both!(
    every_migration_is_applied_in_order,
    opening_again_changes_nothing,
    the_database_answers,
    a_row_that_something_else_spoilt_is_named,
    a_migration_of_a_newer_version_is_refused,
);

/// The migrations in a folder: (number, name), in order.
fn files(folder: &str) -> Vec<(i64, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
    let mut files: Vec<_> = fs_err::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .map(|file| {
            let name = file.strip_suffix(".sql").expect("only .sql files");
            let (number, name) = name.split_once('_').expect("NUMBER_NAME.sql");
            (number.parse().expect("a number"), name.replace('_', " "))
        })
        .collect();
    files.sort_unstable();
    files
}

#[test]
fn both_folders_have_the_same_files() {
    let files = files("sqlite");
    assert_eq!(files, self::files("postgres"));
    assert!(files.iter().map(|(number, _)| *number).eq(1..=files.len() as i64), "no gaps");
}

async fn every_migration_is_applied_in_order(db: Db) {
    assert_eq!(db.store.migrations().await.expect("read"), files("sqlite"));
}

async fn opening_again_changes_nothing(db: Db) {
    db.store.append(&[event("1", "a", 1)], at(1)).await.expect("appended");
    let again = db.another().await;
    assert_eq!(again.count_users().await.expect("read"), 1);
    assert_eq!(again.migrations().await.expect("read"), files("sqlite"));
}

async fn the_database_answers(db: Db) {
    db.store.ping().await.expect("it answers");
    let described = db.store.describe();
    let scheme = db.database.url.split(':').next().expect("a scheme");
    assert!(described.starts_with(scheme), "{described}");
    assert!(!described.contains("search_path"), "{described}");
    db.store.close().await;
    assert!(matches!(db.store.ping().await, Err(Error::Unavailable(_))));
    db.store.close().await;
}

async fn a_row_that_something_else_spoilt_is_named(db: Db) {
    let content = sona_domain::Content::new(sona_domain::ContentId::new("m").expect("an id"), "x");
    db.store.put_content(&[content], at(1)).await.expect("put");
    db.store.append(&[event("1", "a", 1)], at(1)).await.expect("appended");
    let check = async |statement, expect: &str| {
        meddle(&db, statement).await;
        let history = db.store.histories(&[user("a")]).await.map(|_| ());
        let content = db.store.content_after(sona_store::Revision(0), 9).await.map(|_| ());
        let found = history.and(content).expect_err("the row is spoilt").to_string();
        assert!(found.contains(expect), "{found}");
    };
    check("UPDATE content SET genres = '{\"a\": 1}'", "content.genres").await;
    check("UPDATE viewing_events SET context = 'no json'", "viewing_events.context").await;
    check("UPDATE viewing_events SET event_type = 'Watch!'", "viewing_events.event_type").await;
    check("DROP TABLE profiles", "viewing_events.event_type").await;
    let gone = db.store.profile(&user("a")).await;
    assert!(matches!(gone, Err(Error::Corrupt { .. })), "{gone:?}");
}

async fn a_migration_of_a_newer_version_is_refused(db: Db) {
    meddle(
        &db,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, '', 0)",
    )
    .await;
    let error = open(&db.database.url).await.err().expect("refused");
    assert!(matches!(error, Error::Migrate(_)), "{error}");
    assert!(error.to_string().contains("9999"), "{error}");
}

#[tokio::test]
async fn sqlite_in_memory_and_files_made_as_needed() {
    let (first, second) = tokio::join!(open("sqlite::memory:"), open("sqlite::memory:"));
    let (first, second) = (first.expect("opened"), second.expect("opened"));
    first.append(&[event("1", "a", 1)], at(1)).await.expect("appended");
    let (users, others) = tokio::join!(first.count_users(), second.count_users());
    assert_eq!((users.expect("read"), others.expect("read")), (1, 0), "each its own");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("some/folder with spaces %20/sona.db");
    let url = format!("sqlite:{}", path.display());
    let store = open(&url).await.expect("opened");
    assert_eq!(store.describe(), url);
    store.close().await;
    assert!(path.is_file());
    let wal = path.with_extension("db-wal");
    assert!(!wal.exists(), "closing leaves one file");
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    for url in
        ["mysql://root:secret@db/x", "", "sqlite:", "sqlite:a.db?mode=ro", "postgres://[broken"]
    {
        let error = open(url).await.err().expect("refused");
        assert!(matches!(error, Error::Url(_)), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let nobody = "postgres://sona@%2Fnowhere%2Fto%2Fbe%2Ffound/x";
    let error = open(nobody).await.err().expect("nobody listens");
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(
        file.path(),
        "This is no database, but long enough to be looked at. ".repeat(100),
    )
    .expect("written");
    let error = open(&format!("sqlite:{}", file.path().display())).await.err().expect("refused");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}
