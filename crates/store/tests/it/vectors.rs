//! The contract of the vector index. Every test runs on a double of the server over real gRPC, those of [`on_servers`] also on a
//! real server where `TEST_QDRANT_URL` names one.

use std::sync::Arc;
use std::time::Duration;

use sona_domain::ContentId;
use sona_store::vectors::{Allowed, Page, Point, Search, VectorSet};
use sona_store::{Error, VectorIndex, open_vectors};
use tonic::Code;

use crate::qdrant::{QdrantDouble, real_server};

fn open(url: &str) -> Arc<dyn VectorIndex> {
    open_vectors(url, "").expect("a URL").expect("an index")
}

/// A part of the real server for one test, empty.
async fn open_real(server: &str, test: &str) -> Arc<dyn VectorIndex> {
    let name = format!("sona-test-{test}-{}", std::process::id());
    let index = open(&format!("{}/{name}", server.trim_end_matches('/')));
    index.keep_only(&set("none", 1)).await.expect("emptied");
    index
}

/// Makes each named `async fn(Arc<dyn VectorIndex>)` a test on the double and on the real server.
macro_rules! on_servers {
    ($($test:ident),+ $(,)?) => {
        mod double {
            $(
                #[tokio::test]
                async fn $test() {
                    let server = crate::qdrant::QdrantDouble::start();
                    super::$test(super::open(&server.url())).await;
                }
            )+
        }
        mod real {
            $(
                #[tokio::test]
                async fn $test() {
                    let Some(server) = super::real_server() else { return };
                    let index = super::open_real(&server, stringify!($test)).await;
                    super::$test(index.clone()).await;
                    index.keep_only(&super::set("none", 1)).await.expect("emptied");
                }
            )+
        }
    };
}

on_servers!(
    what_was_written_is_found,
    only_what_is_allowed_is_found,
    another_width_is_refused,
    pages_hold_everything_once,
    sets_are_apart,
    a_set_that_is_gone_is_named,
);

fn set(encoder: &str, width: usize) -> VectorSet {
    VectorSet { encoder: encoder.to_owned(), width }
}

fn title(id: &str) -> ContentId {
    ContentId::new(id).expect("an id")
}

/// A title in the plane, `n` degrees from the first axis.
fn point(n: u16) -> Point {
    let angle = f32::from(n).to_radians();
    Point {
        content_id: title(&format!("t{n}")),
        vector: vec![angle.cos(), angle.sin()],
        source_digest: [n as u8; 32],
    }
}

async fn filled(index: &dyn VectorIndex, points: std::ops::Range<u16>) -> VectorSet {
    let set = set("learned-1", 2);
    index.create(&set).await.expect("created");
    let points: Vec<_> = points.map(point).collect();
    index.upsert(&set, &points).await.expect("written");
    set
}

/// The titles nearest to the first axis, by the number in their ids.
async fn nearest(
    index: &dyn VectorIndex,
    set: &VectorSet,
    limit: usize,
    allowed: Allowed<'_>,
) -> Vec<u16> {
    let search = Search { vector: &[2.0, 0.0], limit, allowed };
    let found = index.nearest(set, &search).await.expect("searched");
    found.iter().map(|title| title.as_str()[1..].parse().expect("ours")).collect()
}

const ALL: Allowed<'static> = Allowed::AllBut(&[]);

async fn what_was_written_is_found(index: Arc<dyn VectorIndex>) {
    let set = filled(&*index, 0..10).await;
    index.create(&set).await.expect("again");
    assert_eq!(nearest(&*index, &set, 3, ALL).await, [0, 1, 2]);
    index.remove(&set, &[title("t1"), title("unknown")]).await.expect("removed");
    index.remove(&set, &[]).await.expect("nothing");
    assert_eq!(nearest(&*index, &set, 3, ALL).await, [0, 2, 3]);
    let moved = Point { vector: vec![0.0, 9.0], ..point(0) };
    index.upsert(&set, &[moved, point(1)]).await.expect("written");
    assert_eq!(nearest(&*index, &set, 2, ALL).await, [1, 2]);
    assert_eq!(nearest(&*index, &set, 0, ALL).await, [0_u16; 0]);
    assert_eq!(nearest(&*index, &set, 99, ALL).await.len(), 10);
    assert!(!index.ping().await.expect("answers").is_empty());
}

/// As many as were asked for or as there are, at any selectivity.
async fn only_what_is_allowed_is_found(index: Arc<dyn VectorIndex>) {
    let set = filled(&*index, 0..90).await;
    for keep in [1_u16, 2, 10, 45, 90] {
        let is_allowed = |n: u16| n.is_multiple_of(90 / keep);
        let (allowed, forbidden): (Vec<_>, Vec<_>) = (0..90_u16).partition(|n| is_allowed(*n));
        let titles = |rows: &[u16]| rows.iter().map(|n| point(*n).content_id).collect::<Vec<_>>();
        let (only, but) = (titles(&allowed), titles(&forbidden));
        let by = |title: &ContentId| is_allowed(title.as_str()[1..].parse().expect("ours"));
        for limit in [1, 5, allowed.len()] {
            let limit = limit.min(allowed.len());
            let expected = &allowed[..limit];
            assert_eq!(nearest(&*index, &set, limit, Allowed::Only(&only)).await, expected);
            assert_eq!(nearest(&*index, &set, limit, Allowed::AllBut(&but)).await, expected);
            assert_eq!(nearest(&*index, &set, limit, Allowed::Where(&by)).await, expected);
        }
    }
    assert_eq!(nearest(&*index, &set, 9, Allowed::Only(&[])).await, [0_u16; 0]);
    assert_eq!(nearest(&*index, &set, 9, Allowed::Where(&|_| false)).await, [0_u16; 0]);
}

async fn another_width_is_refused(index: Arc<dyn VectorIndex>) {
    let set = filled(&*index, 0..3).await;
    let wide = Point { vector: vec![1.0; 3], ..point(7) };
    let refused = index.upsert(&set, &[point(6), wide]).await.expect_err("refused").to_string();
    assert_eq!(refused, "a vector of 3 numbers among the 2 wide of learned-1");
    assert_eq!(nearest(&*index, &set, 9, ALL).await, [0, 1, 2], "nothing was written");
    let search = Search { vector: &[1.0; 3], limit: 1, allowed: ALL };
    assert!(matches!(index.nearest(&set, &search).await, Err(Error::Invalid(_))));
    let wide = VectorSet { width: 3, ..set };
    let refused = index.create(&wide).await.expect_err("refused").to_string();
    assert!(refused.contains("holds vectors of 2 numbers by Cosine, not of 3"), "{refused}");
}

async fn pages_hold_everything_once(index: Arc<dyn VectorIndex>) {
    let set = filled(&*index, 0..25).await;
    let mut met = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let Page { titles, next } = index.page(&set, from.as_deref(), 10).await.expect("read");
        assert!(titles.len() <= 10);
        met.extend(titles);
        from = next;
        if from.is_none() {
            break;
        }
    }
    met.sort_unstable();
    let mut expected: Vec<_> =
        (0..25).map(point).map(|point| (point.content_id, point.source_digest)).collect();
    expected.sort_unstable();
    assert_eq!(met, expected);
}

async fn sets_are_apart(index: Arc<dyn VectorIndex>) {
    let old = filled(&*index, 0..5).await;
    let new = set("imported:my set", 3);
    index.create(&new).await.expect("created");
    let vector = vec![1.0, 0.0, 0.0];
    index.upsert(&new, &[Point { vector, ..point(80) }]).await.expect("written");
    assert_eq!(nearest(&*index, &old, 2, ALL).await, [0, 1]);
    assert_eq!(index.keep_only(&new).await.expect("dropped"), 1);
    assert_eq!(index.keep_only(&new).await.expect("nothing left"), 0);
    let search = Search { vector: &[1.0, 0.0, 0.0], limit: 1, allowed: ALL };
    assert_eq!(index.nearest(&new, &search).await.expect("kept"), [title("t80")]);
}

async fn a_set_that_is_gone_is_named(index: Arc<dyn VectorIndex>) {
    let set = set("learned-7", 2);
    let search = Search { vector: &[1.0, 0.0], limit: 1, allowed: ALL };
    let no_set = |error: Error| matches!(&error, Error::NoSet(encoder) if encoder == "learned-7");
    assert!(no_set(index.nearest(&set, &search).await.expect_err("gone")));
    assert!(no_set(index.upsert(&set, &[point(1)]).await.expect_err("gone")));
    assert!(no_set(index.remove(&set, &[title("t1")]).await.expect_err("gone")));
    assert!(no_set(index.page(&set, None, 10).await.expect_err("gone")));
}

#[tokio::test]
async fn installations_on_one_server_are_apart() {
    let server = QdrantDouble::start();
    let (one, other) = (open(&server.url()), open(&format!("{}/other", server.url())));
    let set = filled(&*one, 0..3).await;
    filled(&*other, 5..6).await;
    assert_eq!(nearest(&*one, &set, 9, ALL).await, [0, 1, 2]);
    assert_eq!(
        other.keep_only(&VectorSet { encoder: "x".to_owned(), width: 2 }).await.expect("ok"),
        1
    );
    let names: Vec<_> = server.content().into_keys().collect();
    assert_eq!(names, ["sona.learned-1"]);
}

#[tokio::test]
async fn what_a_graph_overlooks_is_found_by_a_scan() {
    let server = QdrantDouble::start();
    let index = open(&server.url());
    let set = filled(&*index, 0..9).await;
    server.overlook(4);
    assert_eq!(nearest(&*index, &set, 9, ALL).await.len(), 9);
    let odd = |title: &ContentId| title.as_str()[1..].parse::<u16>().is_ok_and(|n| n % 2 == 1);
    assert_eq!(nearest(&*index, &set, 4, Allowed::Where(&odd)).await, [1, 3, 5, 7]);
    let before = server.calls("query");
    nearest(&*index, &set, 5, ALL).await;
    assert_eq!(server.calls("query"), before + 1, "enough is enough");
}

#[tokio::test]
async fn a_write_is_tried_again_while_that_may_help() {
    let server = QdrantDouble::start();
    let index = open(&server.url());
    let set = filled(&*index, 0..1).await;
    let before = server.calls("upsert");
    server.fail_with([Code::ResourceExhausted, Code::DeadlineExceeded]);
    index.upsert(&set, &[point(1)]).await.expect("at the third try");
    assert_eq!(server.calls("upsert") - before, 3);
    assert_eq!(nearest(&*index, &set, 9, ALL).await, [0, 1]);

    let before = server.calls("upsert");
    server.fail_with([Code::PermissionDenied]);
    let refused = index.upsert(&set, &[point(2)]).await.expect_err("refused").to_string();
    assert!(refused.contains("PermissionDenied"), "{refused}");
    assert_eq!(server.calls("upsert") - before, 1, "no other try may help");
}

#[tokio::test]
async fn there_is_an_end_to_trying() {
    let mut server = QdrantDouble::start();
    let index = open(&server.url());
    let set = filled(&*index, 0..1).await;
    server.stop().await;
    let error = index.upsert(&set, &[point(1)]).await.expect_err("nobody there");
    assert!(matches!(error, Error::IndexUnavailable { .. }), "{error}");
    server.listen();
    index.upsert(&set, &[point(1)]).await.expect("there again");
    assert_eq!(nearest(&*index, &set, 9, ALL).await, [0, 1]);
}

#[tokio::test]
async fn the_key_is_sent_and_not_told() {
    let server = QdrantDouble::start();
    server.demand_key("s3cret");
    let refused = open(&server.url()).ping().await.expect_err("no key").to_string();
    assert!(refused.contains("Unauthenticated"), "{refused}");
    let index = open_vectors(&server.url(), "s3cret").expect("a URL").expect("an index");
    index.ping().await.expect("let in");
    assert_eq!(index.describe(), format!("{}/sona", server.url()));
}

#[tokio::test]
async fn memory_is_no_index_elsewhere() {
    assert!(open_vectors("memory:", "").expect("a URL").is_none());
    assert!(matches!(open_vectors("redis://db", ""), Err(Error::Url(_))));
}

#[tokio::test]
async fn what_it_lacks_is_told_by_finding_fewer() {
    let server = QdrantDouble::start();
    let index = open(&server.url());
    let set = filled(&*index, 0..4).await;
    server.forget("t1");
    assert_eq!(nearest(&*index, &set, 4, ALL).await, [0, 2, 3]);
    server.drop_collection("sona.learned-1");
    let search = Search { vector: &[1.0, 0.0], limit: 1, allowed: ALL };
    assert!(matches!(index.nearest(&set, &search).await, Err(Error::NoSet(_))));
}

#[tokio::test]
async fn a_slow_server_need_not_be_waited_for() {
    let server = QdrantDouble::start();
    let index = open(&server.url());
    let set = filled(&*index, 0..4).await;
    server.delay(Duration::from_secs(30));
    let patience = Duration::from_millis(20);
    assert!(tokio::time::timeout(patience, nearest(&*index, &set, 2, ALL)).await.is_err());
    server.delay(Duration::ZERO);
    assert_eq!(nearest(&*index, &set, 2, ALL).await, [0, 1]);
}
