//! `/api/v1/embeddings`.

use serde_json::json;
use sona_testkit::Backend;

use crate::{checkerboard, code, pointers};

const URL: &str = "/api/v1/embeddings/bulk";

#[tokio::test]
async fn all_or_none_and_all_problems_at_once() {
    let server = checkerboard(Backend::Sqlite).await;
    let bad = json!({"encoder": "a b", "widths": 3, "embeddings": [
        {"content_id": "title-1", "vector": [1, 2]},
        {"content_id": "", "vector": [1, 2]},
        {"content_id": "title-2", "vector": [0, 0]},
        {"content_id": "title-3", "vector": [1, "x"]},
        "title-4",
        {"content_id": "title-5", "user_id": "user-1", "vector": [1, 2]},
        {"user_id": 7, "vector": [1, 2]},
    ]});
    let (status, body) = server.post(URL, &bad).await;
    assert_eq!((status, code(&body)), (422, "invalid-request"), "{body:#}");
    let expect = [
        "/widths",
        "/encoder",
        "/embeddings/1/content_id",
        "/embeddings/2/vector",
        "/embeddings/3/vector",
        "/embeddings/4/content_id",
        "/embeddings/4/vector",
        "/embeddings/5/user_id",
        "/embeddings/6/user_id",
    ];
    assert_eq!(pointers(&body), expect);

    let set = |vectors: &[(&str, &[f32])]| {
        let one = |(id, vector): &(&str, &[f32])| json!({"content_id": id, "vector": vector});
        json!({"encoder": "m", "embeddings": vectors.iter().map(one).collect::<Vec<_>>()})
    };
    let unknown = set(&[("title-1", &[1.0, 2.0]), ("no-such", &[1.0, 2.0])]);
    let (status, body) = server.post(URL, &unknown).await;
    assert_eq!((status, code(&body)), (404, "unknown-content"), "{body:#}");
    let uneven = set(&[("title-1", &[1.0, 2.0]), ("title-2", &[1.0])]);
    let (status, body) = server.post(URL, &uneven).await;
    assert_eq!((status, pointers(&body)), (422, vec!["/embeddings"]), "{body:#}");
    // Nothing of these was written: the set has no width yet.
    let (status, body) = server.post(URL, &set(&[("title-1", &[1.0, 2.0, 3.0])])).await;
    assert_eq!((status, &body), (200, &json!({"written": 1})));
    let (status, body) = server.post(URL, &set(&[("title-1", &[1.0, 2.0])])).await;
    assert_eq!((status, pointers(&body)), (422, vec!["/embeddings"]), "{body:#}");
}
