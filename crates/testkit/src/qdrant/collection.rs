//! One collection of the double.

use std::collections::{BTreeMap, HashMap, HashSet};

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::query::Variant as QueryVariant;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vector_input::Variant as InputVariant;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    Condition, Filter, PointId, PointStruct, QueryPoints, RetrievedPoint, ScoredPoint, Value,
    VectorParams, Vectors, WithPayloadSelector, vector,
};
use tonic::Status;

type Payload = HashMap<String, Value>;

pub(crate) struct Collection {
    pub(crate) params: VectorParams,
    /// By UUID, which is the order of scrolling.
    points: BTreeMap<String, (Vec<f32>, Payload)>,
}

impl Collection {
    pub(crate) fn new(params: VectorParams) -> Self {
        Self { params, points: BTreeMap::new() }
    }

    pub(crate) fn upsert(&mut self, points: Vec<PointStruct>) -> Result<(), Status> {
        let mut written = Vec::new();
        for point in points {
            let id = uuid(&point.id.ok_or_else(|| Status::invalid_argument("no id"))?)?;
            let vector =
                dense(point.vectors).ok_or_else(|| Status::invalid_argument("no vector"))?;
            self.check_width(&vector)?;
            written.push((id, (vector, point.payload)));
        }
        self.points.extend(written);
        Ok(())
    }

    pub(crate) fn delete(&mut self, ids: &[PointId]) -> Result<(), Status> {
        for id in ids {
            self.points.remove(&uuid(id)?);
        }
        Ok(())
    }

    pub(crate) fn forget(&mut self, content_id: &str) {
        self.points.retain(|_, (_, payload)| text(payload) != content_id);
    }

    pub(crate) fn content_ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.points.values().map(|(_, p)| text(p).to_owned()).collect();
        ids.sort_unstable();
        ids
    }

    /// A page, and where the next begins.
    pub(crate) fn scroll(
        &self,
        offset: Option<&PointId>,
        limit: usize,
        payload: Option<&WithPayloadSelector>,
    ) -> Result<(Vec<RetrievedPoint>, Option<PointId>), Status> {
        let from = offset.map(uuid).transpose()?.unwrap_or_default();
        let mut points = self.points.range(from..);
        let page = points.by_ref().take(limit).map(|(id, (_, all))| RetrievedPoint {
            id: Some(PointId::from(id.as_str())),
            payload: selected(all, payload),
            ..RetrievedPoint::default()
        });
        let page = page.collect();
        Ok((page, points.next().map(|(id, _)| PointId::from(id.as_str()))))
    }

    /// The nearest points; if the search is not exact it overlooks some of the nearest.
    pub(crate) fn query(
        &self,
        query: &QueryPoints,
        overlooked: usize,
    ) -> Result<Vec<ScoredPoint>, Status> {
        let vector = nearest_to(query).ok_or_else(|| Status::unimplemented("not a search"))?;
        self.check_width(&vector)?;
        let filter = Lists::of(query.filter.as_ref())?;
        let mut found: Vec<_> = self
            .points
            .iter()
            .filter(|(id, _)| filter.passes(id))
            .map(|(id, (other, payload))| ScoredPoint {
                id: Some(PointId::from(id.as_str())),
                payload: selected(payload, query.with_payload.as_ref()),
                score: cosine(&vector, other),
                ..ScoredPoint::default()
            })
            .collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        let exact = query.params.as_ref().and_then(|params| params.exact).unwrap_or(false);
        let skipped = if exact { 0 } else { overlooked };
        // Ten is the server's default.
        let limit = query.limit.unwrap_or(10) as usize;
        Ok(found.into_iter().skip(skipped).take(limit).collect())
    }

    fn check_width(&self, vector: &[f32]) -> Result<(), Status> {
        let (expected, found) = (self.params.size, vector.len());
        if found as u64 == expected {
            return Ok(());
        }
        let wrong = format!("Vector dimension error: expected dim: {expected}, got {found}");
        Err(Status::invalid_argument(wrong))
    }
}

/// A filter of lists of points, the only one there is here.
struct Lists {
    must: Vec<HashSet<String>>,
    must_not: Vec<HashSet<String>>,
}

impl Lists {
    fn of(filter: Option<&Filter>) -> Result<Self, Status> {
        let Some(filter) = filter else { return Ok(Self { must: vec![], must_not: vec![] }) };
        let lists = |conditions: &[Condition]| {
            conditions
                .iter()
                .map(|condition| match &condition.condition_one_of {
                    Some(ConditionOneOf::HasId(list)) => list.has_id.iter().map(uuid).collect(),
                    _ => Err(Status::unimplemented("this condition")),
                })
                .collect::<Result<Vec<_>, _>>()
        };
        if !filter.should.is_empty() || filter.min_should.is_some() {
            return Err(Status::unimplemented("this filter"));
        }
        Ok(Self { must: lists(&filter.must)?, must_not: lists(&filter.must_not)? })
    }

    fn passes(&self, id: &str) -> bool {
        self.must.iter().all(|list| list.contains(id))
            && !self.must_not.iter().any(|list| list.contains(id))
    }
}

fn uuid(id: &PointId) -> Result<String, Status> {
    match &id.point_id_options {
        Some(PointIdOptions::Uuid(text)) => {
            let uuid: uuid::Uuid =
                text.parse().map_err(|_| Status::invalid_argument("not a UUID"))?;
            Ok(uuid.to_string())
        }
        _ => Err(Status::unimplemented("ids that are numbers")),
    }
}

fn dense(vectors: Option<Vectors>) -> Option<Vec<f32>> {
    match vectors?.vectors_options? {
        VectorsOptions::Vector(vector) => match vector.vector {
            Some(vector::Vector::Dense(dense)) => Some(dense.data),
            #[expect(deprecated, reason = "what older clients send")]
            None => Some(vector.data),
            Some(_) => None,
        },
        VectorsOptions::Vectors(_) => None,
    }
}

fn nearest_to(query: &QueryPoints) -> Option<Vec<f32>> {
    let QueryVariant::Nearest(input) = query.query.as_ref()?.variant.as_ref()? else { return None };
    let InputVariant::Dense(dense) = input.variant.as_ref()? else { return None };
    Some(dense.data.clone())
}

fn selected(payload: &Payload, selector: Option<&WithPayloadSelector>) -> Payload {
    let fields = match selector.and_then(|selector| selector.selector_options.as_ref()) {
        Some(SelectorOptions::Include(include)) => &include.fields,
        Some(SelectorOptions::Enable(true)) => return payload.clone(),
        _ => return Payload::new(),
    };
    let wanted = payload.iter().filter(|(field, _)| fields.contains(field));
    wanted.map(|(field, value)| (field.clone(), value.clone())).collect()
}

fn text(payload: &Payload) -> &str {
    match payload.get("content_id").and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => text,
        _ => "",
    }
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lengths = (dot(one, one) * dot(other, other)).sqrt();
    if lengths > 0.0 { dot(one, other) / lengths } else { 0.0 }
}
