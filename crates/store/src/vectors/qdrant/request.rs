//! What is sent, and what is read of what comes back. No IO.

use std::collections::HashMap;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    Condition, CreateCollection, DeletePoints, Distance, Filter, PointId, PointStruct,
    PointsIdsList, PointsSelector, Query, QueryPoints, ScrollPoints, SearchParams, UpsertPoints,
    Value, VectorParams,
};
use sha2::{Digest, Sha256};
use sona_domain::ContentId;
use uuid::Builder;

use super::place::hex;
use crate::vectors::{Allowed, Point};

/// The payload's fields: the title's id as it is, and the digest of what the vector was made from.
const CONTENT_ID: &str = "content_id";
const SOURCE_DIGEST: &str = "source_digest";

/// Keeps these names apart from all others that are made the same way.
const NAMESPACE: &[u8] = b"sona/content/";

/// A point is called by a UUID made of the title's id: version 8, of SHA-256, as in RFC 9562, appendix B.2.
pub(super) fn point_id(title: &ContentId) -> PointId {
    let digest = Sha256::new().chain_update(NAMESPACE).chain_update(title.as_str()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    PointId::from(Builder::from_custom_bytes(bytes).into_uuid().to_string())
}

/// A point's name, if it is of the kind ours are.
pub(super) fn uuid(point: PointId) -> Option<String> {
    match point.point_id_options? {
        PointIdOptions::Uuid(uuid) => Some(uuid),
        PointIdOptions::Num(_) => None,
    }
}

/// A collection of vectors of `width` numbers, by cosine.
pub(super) fn create(collection_name: String, width: usize) -> CreateCollection {
    let params = VectorParams {
        size: width as u64,
        distance: Distance::Cosine.into(),
        ..VectorParams::default()
    };
    let vectors_config = Some(Config::Params(params).into());
    CreateCollection { collection_name, vectors_config, ..CreateCollection::default() }
}

/// Writes points and waits until searches find them.
pub(super) fn upsert(collection_name: String, points: &[Point]) -> UpsertPoints {
    let points = points.iter().map(|point| PointStruct {
        id: Some(point_id(&point.content_id)),
        payload: HashMap::from([
            (CONTENT_ID.to_owned(), Value::from(point.content_id.as_str())),
            (SOURCE_DIGEST.to_owned(), Value::from(hex(&point.source_digest))),
        ]),
        vectors: Some(point.vector.clone().into()),
    });
    let points = points.collect();
    UpsertPoints { collection_name, wait: Some(true), points, ..UpsertPoints::default() }
}

/// Deletes points and waits until searches find them no more.
pub(super) fn delete(collection_name: String, titles: &[ContentId]) -> DeletePoints {
    let ids = titles.iter().map(point_id).collect();
    let these = PointsSelectorOneOf::Points(PointsIdsList { ids });
    let points = Some(PointsSelector { points_selector_one_of: Some(these) });
    DeletePoints { collection_name, wait: Some(true), points, ..DeletePoints::default() }
}

/// A page of points without their vectors.
pub(super) fn scroll(collection_name: String, from: Option<&str>, limit: u32) -> ScrollPoints {
    ScrollPoints {
        collection_name,
        offset: from.map(PointId::from),
        limit: Some(limit),
        with_payload: Some(vec![CONTENT_ID, SOURCE_DIGEST].into()),
        with_vectors: Some(false.into()),
        ..ScrollPoints::default()
    }
}

/// The points nearest to `vector`; what is allowed goes with it where that is a list.
pub(super) fn query(
    collection_name: String,
    vector: &[f32],
    allowed: &Allowed<'_>,
    limit: usize,
    exact: bool,
) -> QueryPoints {
    QueryPoints {
        collection_name,
        query: Some(Query::new_nearest(vector.to_vec())),
        filter: filter(allowed),
        params: Some(SearchParams { exact: Some(exact), ..SearchParams::default() }),
        limit: Some(limit as u64),
        with_payload: Some(vec![CONTENT_ID].into()),
        with_vectors: Some(false.into()),
        ..QueryPoints::default()
    }
}

fn filter(allowed: &Allowed<'_>) -> Option<Filter> {
    let of = |titles: &[ContentId]| Condition::has_id(titles.iter().map(point_id));
    match allowed {
        Allowed::Only(titles) => Some(Filter::must([of(titles)])),
        Allowed::AllBut([]) | Allowed::Where(_) => None,
        Allowed::AllBut(titles) => Some(Filter::must_not([of(titles)])),
    }
}

/// Whose point it is; `None` if it is not one of ours.
pub(super) fn content_id(payload: &HashMap<String, Value>) -> Option<ContentId> {
    ContentId::new(text(payload, CONTENT_ID)?).ok()
}

/// What the vector was made from; zeros, which no digest is, if it does not say.
pub(super) fn digest(payload: &HashMap<String, Value>) -> [u8; 32] {
    let digits = text(payload, SOURCE_DIGEST).unwrap_or_default().as_bytes();
    let mut digest = [0; 32];
    for (byte, digits) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    digest
}

fn text<'p>(payload: &'p HashMap<String, Value>, field: &str) -> Option<&'p str> {
    match payload.get(field)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text),
        Kind::NullValue(_)
        | Kind::DoubleValue(_)
        | Kind::IntegerValue(_)
        | Kind::BoolValue(_)
        | Kind::StructValue(_)
        | Kind::ListValue(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use qdrant_client::qdrant::condition::ConditionOneOf;
    use uuid::Uuid;

    use super::*;

    fn title(id: &str) -> ContentId {
        ContentId::new(id).expect("an id")
    }

    fn uuid_of(id: &str) -> Uuid {
        uuid(point_id(&title(id))).expect("a UUID").parse().expect("a UUID")
    }

    #[test]
    fn a_point_has_one_name_and_no_other_point_has_it() {
        // The same in every version of Sona: what is there is found again.
        assert_eq!(uuid_of("m1").to_string(), "78ef6e7c-41bf-8c25-8e4b-d5a736f4163d");
        assert_eq!(uuid_of("m1").get_version_num(), 8);
        let ids: std::collections::HashSet<_> =
            (0..10_000).map(|n| uuid_of(&n.to_string())).collect();
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn writes_are_waited_for() {
        let point =
            Point { content_id: title("m1"), vector: vec![0.6, 0.8], source_digest: [0xab; 32] };
        let upsert = upsert("c".to_owned(), &[point]);
        assert_eq!((upsert.wait, upsert.points.len()), (Some(true), 1));
        let payload = &upsert.points[0].payload;
        assert_eq!((content_id(payload), digest(payload)), (Some(title("m1")), [0xab; 32]));
        assert_eq!(upsert.points[0].id, Some(point_id(&title("m1"))));
        assert_eq!(delete("c".to_owned(), &[title("m1")]).wait, Some(true));
    }

    #[test]
    fn what_is_allowed_is_a_filter_where_it_is_a_list() {
        let titles = [title("a"), title("b")];
        let filter = |allowed| query("c".to_owned(), &[1.0], &allowed, 3, false).filter;
        let ids = |conditions: &[Condition]| match &conditions[0].condition_one_of {
            Some(ConditionOneOf::HasId(condition)) => condition.has_id.clone(),
            other => panic!("{other:?}"),
        };
        let expected: Vec<_> = titles.iter().map(point_id).collect();
        let only = filter(Allowed::Only(&titles)).expect("a filter");
        assert_eq!((ids(&only.must), only.must_not.len()), (expected.clone(), 0));
        let but = filter(Allowed::AllBut(&titles)).expect("a filter");
        assert_eq!((ids(&but.must_not), but.must.len()), (expected, 0));
        assert_eq!(filter(Allowed::AllBut(&[])), None);
        assert_eq!(filter(Allowed::Where(&|_| true)), None);
        assert!(filter(Allowed::Only(&[])).is_some(), "nothing is not everything");
    }

    #[test]
    fn a_payload_of_something_else_is_nobodys() {
        assert_eq!(content_id(&HashMap::new()), None);
        let number = HashMap::from([(CONTENT_ID.to_owned(), Value::from(7_i64))]);
        assert_eq!(content_id(&number), None);
        let odd = HashMap::from([(SOURCE_DIGEST.to_owned(), Value::from("zz\u{e9}1"))]);
        assert_eq!(digest(&odd), [0; 32]);
    }
}
