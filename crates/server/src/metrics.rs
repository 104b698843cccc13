//! The server's numbers, in Prometheus' text format.
//!
//! Every server has a recorder of its own, so several can live in one process. Labels take few values:
//! routes are templates, never paths.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram, with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use sona_domain::{Recommendations, ResidentAdapters, Source};
use sona_engine::{AdapterCounts, Stats};

use crate::identity::Refusal;

/// Upper edges of the latency buckets, in seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Samples wait in memory until they are sorted into buckets; after so many requests they are.
const UPKEEP_EVERY: u64 = 4096;

/// What became of tracked events, as label values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EventCounts {
    pub(crate) accepted: u64,
    pub(crate) duplicate: u64,
    pub(crate) rejected: u64,
}

/// One server's numbers.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    requests: AtomicU64,
    /// By route; a request looks its series up without making their names anew.
    series: RwLock<HashMap<String, Vec<Series>>>,
    /// Items handed out, in the order of [`Source::ALL`].
    items: [Counter; Source::ALL.len()],
}

/// What is counted of the requests of one route that were answered alike.
#[derive(Clone)]
struct Series {
    method: &'static str,
    status: u16,
    answered: Counter,
    duration: Histogram,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)
            .expect("there is at least one bucket")
            .build_recorder();
        with_local_recorder(&recorder, describe);
        let items = with_local_recorder(&recorder, || {
            Source::ALL.map(|source| {
                let items =
                    counter!("sona_recommendations_items_total", "source" => source.as_str());
                items.increment(0);
                items
            })
        });
        let (requests, series) = (AtomicU64::new(0), RwLock::default());
        let metrics = Self { handle: recorder.handle(), recorder, requests, series, items };
        // Series exist from the start, so that rates are right from the first event on.
        metrics.events(EventCounts::default());
        with_local_recorder(&metrics.recorder, || {
            for refusal in Refusal::ALL {
                counter!("sona_refusals_total", "reason" => refusal.reason()).increment(0);
            }
        });
        metrics
    }

    /// One answered request.
    pub(crate) fn request(
        &self,
        method: &'static str,
        route: &str,
        status: u16,
        elapsed: Duration,
    ) {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let series = known.get(route).map(Vec::as_slice).unwrap_or_default();
        let alike = |series: &&Series| series.method == method && series.status == status;
        if let Some(series) = series.iter().find(alike) {
            series.add(elapsed);
        } else {
            drop(known);
            self.begin(method, route, status).add(elapsed);
        }
        if self.requests.fetch_add(1, Ordering::Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1 {
            self.handle.run_upkeep();
        }
    }

    /// Starts to count requests that are answered alike.
    fn begin(&self, method: &'static str, route: &str, status: u16) -> Series {
        let series = with_local_recorder(&self.recorder, || {
            let (route, status_text) = (route.to_owned(), status.to_string());
            let answered = counter!(
                "sona_http_requests_total",
                "method" => method, "route" => route.clone(), "status" => status_text
            );
            let duration = histogram!(
                "sona_http_request_duration_seconds", "method" => method, "route" => route
            );
            Series { method, status, answered, duration }
        });
        let mut known = self.series.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(route.to_owned()).or_default().push(series.clone());
        series
    }

    /// One list that was handed out: each item counts for its strongest source.
    pub(crate) fn list(&self, list: &Recommendations) {
        let strongest = || list.recommendations.iter().filter_map(|item| item.sources.first());
        for (source, items) in Source::ALL.into_iter().zip(&self.items) {
            let count = strongest().filter(|part| part.source == source).count();
            if count > 0 {
                items.increment(count as u64);
            }
        }
    }

    /// One caller who was turned away.
    pub(crate) fn refused(&self, refusal: Refusal) {
        with_local_recorder(&self.recorder, || {
            counter!("sona_refusals_total", "reason" => refusal.reason()).increment(1);
        });
    }

    /// What became of some events.
    pub(crate) fn events(&self, counts: EventCounts) {
        with_local_recorder(&self.recorder, || {
            let EventCounts { accepted, duplicate, rejected } = counts;
            counter!("sona_events_total", "outcome" => "accepted").increment(accepted);
            counter!("sona_events_total", "outcome" => "duplicate").increment(duplicate);
            counter!("sona_events_total", "outcome" => "rejected").increment(rejected);
        });
    }

    /// Everything as text, with the engine as it is now.
    pub(crate) fn render(&self, stats: &Stats, resident: &ResidentAdapters) -> String {
        with_local_recorder(&self.recorder, || {
            gauge!("sona_content").set(stats.content as f64);
            gauge!("sona_resident_users").set(stats.resident_users as f64);
            gauge!("sona_applied_cursor").set(stats.applied.0 as f64);
            gauge!("sona_model_version").set(stats.model_version.unwrap_or(0) as f64);
            gauge!("sona_transitions").set(stats.transitions as f64);
            for (outcome, searches) in &stats.vector_searches {
                counter!("sona_vector_searches_total", "outcome" => *outcome).absolute(*searches);
            }
            let shown = stats.exposures;
            counter!("sona_exposures_total", "outcome" => "written").absolute(shown.written);
            counter!("sona_exposures_total", "outcome" => "dropped").absolute(shown.dropped);
            gauge!("sona_exposures_waiting").set(shown.waiting as f64);
            adapters(&stats.adapters, stats.base_layer_version);
            resident_adapters(resident);
            let errors = [
                &stats.follow_error,
                &stats.model_error,
                &stats.encoder_error,
                &stats.vector_index_error,
            ];
            let healthy = errors.iter().all(|error| error.is_none());
            gauge!("sona_healthy").set(if healthy { 1.0 } else { 0.0 });
        });
        self.handle.render()
    }
}

impl Series {
    fn add(&self, elapsed: Duration) {
        self.answered.increment(1);
        self.duration.record(elapsed.as_secs_f64());
    }
}

/// How users' adapters do.
fn adapters(counts: &AdapterCounts, base_layer: Option<i64>) {
    let lists = [
        ("served", counts.served),
        ("learning", counts.learning),
        ("held_back", counts.held_back),
        ("unavailable", counts.unavailable),
        ("opted_out", counts.opted_out),
    ];
    for (state, lists) in lists {
        counter!("sona_adapter_lists_total", "state" => state).absolute(lists);
    }
    for (outcome, events) in [("learned", counts.learned), ("refused", counts.refused)] {
        counter!("sona_adapter_events_total", "outcome" => outcome).absolute(events);
    }
    counter!("sona_adapters_saved_total").absolute(counts.saved);
    for (outcome, adapters) in [("migrated", counts.migrated), ("retired", counts.retired)] {
        counter!("sona_adapter_migrations_total", "outcome" => outcome).absolute(adapters);
    }
    gauge!("sona_adapters_waiting").set(counts.waiting as f64);
    gauge!("sona_base_layer_version").set(base_layer.unwrap_or(0) as f64);
}

/// What users in memory have of them.
fn resident_adapters(resident: &ResidentAdapters) {
    let users = [
        ("served", resident.served),
        ("learning", resident.learning),
        ("held_back", resident.held_back),
    ];
    for (state, users) in users {
        gauge!("sona_adapter_users", "state" => state).set(users as f64);
    }
    gauge!("sona_adapter_helped_share").set(resident.helped_share.unwrap_or(0.0));
}

fn describe() {
    describe_counter!(
        "sona_http_requests_total",
        "Requests answered, by method, route template and status."
    );
    describe_histogram!(
        "sona_http_request_duration_seconds",
        "Time from a request's head to its answer's head, in seconds."
    );
    describe_counter!(
        "sona_recommendations_items_total",
        "Items handed out in lists, by the source that contributed most to the item."
    );
    describe_counter!(
        "sona_events_total",
        "Events received: accepted (durable and applied), duplicate, or rejected."
    );
    describe_counter!(
        "sona_exposures_total",
        "Lists that were shown: written, or dropped because the database could not take them."
    );
    describe_gauge!("sona_exposures_waiting", "Lists shown that wait to be written.");
    describe_adapters();
    describe_counter!("sona_refusals_total", "Callers turned away (401, 403), by reason.");
    describe_counter!(
        "sona_vector_searches_total",
        "Requests to a vector index outside of this process, by outcome; those not answered were searched in memory."
    );
    describe_gauge!("sona_content", "Entries in the catalogue.");
    describe_gauge!("sona_resident_users", "Users whose state is in memory.");
    describe_gauge!(
        "sona_applied_cursor",
        "Position in the event log up to which events are applied."
    );
    describe_gauge!(
        "sona_model_version",
        "Version of the model served; 0 before the first training."
    );
    describe_gauge!("sona_transitions", "Title-to-title counts held by the sequence source.");
    describe_gauge!("sona_healthy", "1 if nothing is wrong, 0 if /health lists a problem.");
}

fn describe_adapters() {
    describe_counter!(
        "sona_adapter_lists_total",
        "Lists by how the user's adapter took part: served, learning, held_back, unavailable, or opted_out."
    );
    describe_counter!(
        "sona_adapter_events_total",
        "Events users' adapters learned from, or refused."
    );
    describe_gauge!(
        "sona_adapter_users",
        "Users in memory whose adapter has learned, by whether it has a part in their lists: served, learning, or held_back."
    );
    describe_gauge!(
        "sona_adapter_helped_share",
        "Of users in memory whose adapter has learned enough, the share whom it has helped (gain above 0); 0 if there are none."
    );
    describe_counter!("sona_adapters_saved_total", "Versions of adapters written.");
    describe_counter!(
        "sona_adapter_migrations_total",
        "Adapters that met another base layer than they learned on: migrated to it, or retired because theirs is gone."
    );
    describe_gauge!("sona_adapters_waiting", "Users whose adapter waits to be written.");
    describe_gauge!(
        "sona_base_layer_version",
        "The base layer adapters are on; 0 if there is none."
    );
}
