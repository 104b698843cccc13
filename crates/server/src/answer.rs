//! The answer that is asked for most, written without going through a general serializer.
//!
//! Two thirds of a list's bytes are names of fields. A general serializer looks for something to escape in every one of
//! them, which took a third of a request's instructions; here they are literals. A test holds the bytes equal to
//! `serde_json`'s, so the shape is declared once, by [`Recommendations`].

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sona_domain::{Adjustment, Recommendation, Recommendations, SourceScore, SourceStatus};

/// Room made at once; a list of twenty with its reasons fits.
const ROOM: usize = 16 << 10;

/// A list as a JSON answer.
pub(crate) struct ListJson(pub(crate) Recommendations);

impl IntoResponse for ListJson {
    fn into_response(self) -> Response {
        let mut json = Json(Vec::with_capacity(ROOM));
        json.answer(&self.0);
        ([(CONTENT_TYPE, "application/json")], json.0).into_response()
    }
}

/// The bytes written so far.
struct Json(Vec<u8>);

impl Json {
    fn answer(&mut self, answer: &Recommendations) {
        self.raw(r#"{"recommendation_id":"#).text(answer.recommendation_id.as_str());
        self.raw(r#","user_id":"#).text(answer.user_id.as_str());
        self.raw(r#","recommendations":"#).list(&answer.recommendations, Self::item);
        if let Some(distance) = answer.intra_list_distance {
            self.raw(r#","intra_list_distance":"#).value(&distance);
        }
        if let Some(adapter) = answer.adapter {
            self.raw(r#","adapter":"#).value(&adapter);
        }
        self.raw(r#","sources":"#).list(&answer.sources, Self::status);
        self.raw(r#","interaction_count":"#).value(&answer.interaction_count);
        if let Some(version) = answer.model_version {
            self.raw(r#","model_version":"#).value(&version);
        }
        self.raw(r#","generated_at":"#).value(&answer.generated_at);
        if let Some(explain) = &answer.explain {
            self.raw(r#","explain":"#).value(explain);
        }
        self.raw("}");
    }

    fn item(&mut self, item: &Recommendation) {
        self.raw(r#"{"content_id":"#).text(item.content_id.as_str());
        self.raw(r#","title":"#).text(&item.title);
        if let Some(year) = item.year {
            self.raw(r#","year":"#).value(&year);
        }
        self.raw(r#","score":"#).value(&item.score);
        self.raw(r#","recommendation_type":""#).raw(item.recommendation_type.as_str());
        self.raw(r#"","sources":"#).list(&item.sources, Self::part);
        self.raw(r#","adjustments":"#).list(&item.adjustments, |json, part| {
            json.adjustment(*part);
        });
        self.raw(r#","based_on":"#).list(&item.based_on, |json, id| {
            json.text(id.as_str());
        });
        self.raw(r#","explanation":"#).text(&item.explanation);
        self.raw(r#","ttl_seconds":"#).value(&item.ttl_seconds).raw("}");
    }

    fn part(&mut self, part: &SourceScore) {
        self.raw(r#"{"source":""#).raw(part.source.as_str());
        self.raw(r#"","score":"#).value(&part.score);
        self.raw(r#","contribution":"#).value(&part.contribution).raw("}");
    }

    fn adjustment(&mut self, adjustment: Adjustment) {
        self.raw(r#"{"factor":""#).raw(adjustment.factor.as_str());
        self.raw(r#"","contribution":"#).value(&adjustment.contribution).raw("}");
    }

    fn status(&mut self, status: &SourceStatus) {
        self.raw(r#"{"source":""#).raw(status.source.as_str());
        self.raw(r#"","candidates":"#).value(&status.candidates);
        self.raw(r#","weight":"#).value(&status.weight);
        if let Some(absent) = &status.absent {
            self.raw(r#","absent":"#).text(absent);
        }
        if let Some(degraded) = &status.degraded {
            self.raw(r#","degraded":"#).text(degraded);
        }
        self.raw("}");
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.raw("[");
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.raw(",");
            }
            write(self, item);
        }
        self.raw("]");
    }

    fn raw(&mut self, json: &str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        if has_to_be_escaped(text) { self.value(text) } else { self.raw("\"").raw(text).raw("\"") }
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> &mut Self {
        serde_json::to_writer(&mut self.0, value).expect("an answer is always JSON");
        self
    }
}

/// Whether a JSON string needs more than quotes around it (RFC 8259 §7).
fn has_to_be_escaped(text: &str) -> bool {
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    text.bytes().any(special)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sona_domain::{
        AdapterState, AdapterUse, ContentId, Drops, Explain, Factor, RecommendationId,
        RecommendationType, Source, SourceTrace, Stages, Timestamp, UserId,
    };

    use super::*;

    fn number() -> impl Strategy<Value = f32> {
        prop_oneof![0f32..=1.0, any::<f32>()]
    }

    fn id() -> impl Strategy<Value = String> {
        r#"[a-z0-9"\\/ü-]{1,12}"#
    }

    fn source() -> impl Strategy<Value = Source> {
        (0..Source::ALL.len()).prop_map(|at| Source::ALL[at])
    }

    fn part() -> impl Strategy<Value = SourceScore> {
        (source(), number(), number()).prop_map(|(source, score, contribution)| SourceScore {
            source,
            score,
            contribution,
        })
    }

    fn adjustment() -> impl Strategy<Value = Adjustment> {
        let factors = [Factor::Base, Factor::Year, Factor::Genre, Factor::Diversity];
        ((0..factors.len()), number())
            .prop_map(move |(at, contribution)| Adjustment { factor: factors[at], contribution })
    }

    fn item() -> impl Strategy<Value = Recommendation> {
        let texts = (id(), any::<String>(), any::<String>(), prop::collection::vec(id(), 0..3));
        let numbers = (prop::option::of(any::<u16>()), number(), any::<u32>());
        let sources = (prop::option::of(source()), prop::collection::vec(part(), 0..4));
        let parts = (sources, prop::collection::vec(adjustment(), 0..3));
        (texts, numbers, parts).prop_map(|(texts, numbers, ((strongest, sources), adjustments))| {
            let ((id, title, explanation, based_on), (year, score, ttl_seconds)) = (texts, numbers);
            let content_id = |id| ContentId::new(id).expect("an id");
            Recommendation {
                content_id: content_id(id),
                title,
                year,
                score,
                recommendation_type: strongest.map_or(RecommendationType::Hybrid, Into::into),
                sources,
                adjustments,
                based_on: based_on.into_iter().map(content_id).collect(),
                explanation,
                ttl_seconds,
            }
        })
    }

    fn status() -> impl Strategy<Value = SourceStatus> {
        let words = || prop::option::of(any::<String>());
        (source(), any::<u32>(), number(), words(), words()).prop_map(
            |(source, candidates, weight, absent, degraded)| SourceStatus {
                source,
                candidates,
                weight,
                absent: absent.map(Into::into),
                degraded: degraded.map(Into::into),
            },
        )
    }

    fn explain() -> impl Strategy<Value = Explain> {
        (source(), any::<u32>(), any::<u64>()).prop_map(|(source, candidates, n)| Explain {
            stages: Stages { user: n, total: n / 3, ..Stages::default() },
            sources: vec![SourceTrace { source, candidates, microseconds: n }],
            dropped: Drops { seen: n, ..Drops::default() },
        })
    }

    fn adapter() -> impl Strategy<Value = AdapterUse> {
        let states = [AdapterState::Served, AdapterState::HeldBack];
        (prop::sample::select(states.to_vec()), any::<u64>(), number())
            .prop_map(|(state, events, gain)| AdapterUse { state, events, gain })
    }

    prop_compose! {
        fn answer()(
            (list, user) in (id(), id()),
            recommendations in prop::collection::vec(item(), 0..4),
            intra_list_distance in prop::option::of(number()),
            adapter in prop::option::of(adapter()),
            sources in prop::collection::vec(status(), 0..4),
            interaction_count in any::<u64>(),
            model_version in prop::option::of(any::<i64>()),
            seconds in 0i64..4_000_000_000,
            explain in prop::option::of(explain()),
        ) -> Recommendations {
            Recommendations {
                recommendation_id: RecommendationId::new(list).expect("an id"),
                user_id: UserId::new(user).expect("an id"),
                recommendations,
                intra_list_distance,
                adapter,
                sources,
                interaction_count,
                model_version,
                generated_at: Timestamp::from_seconds(seconds),
                explain,
            }
        }
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_serializer(answer in answer()) {
            let mut json = Json(Vec::new());
            json.answer(&answer);
            prop_assert_eq!(
                String::from_utf8(json.0).expect("UTF-8"),
                serde_json::to_string(&answer).expect("JSON")
            );
        }
    }
}
