//! The ranges of the numbers.

use std::fmt::Display;
use std::ops::RangeInclusive;

use sona_engine::options;

use super::Config;

/// Larger than any sensible number, smaller than infinity.
const LARGE: f32 = 1e9;

/// Every key that is out of its range, with the range.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    server_and_live(config, &mut found);
    sources(config, &mut found);
    adapters(config, &mut found);
    als_and_training(config, &mut found);
    for (name, rule) in &config.events.types {
        within(&mut found, &format!("events.types.{name}.weight"), rule.weight, 0.0..=1.0);
    }
    found
}

fn server_and_live(config: &Config, found: &mut Vec<String>) {
    within(found, "server.body_limit_bytes", config.server.body_limit_bytes, 1024..=1 << 32);
    within(found, "server.timeout_seconds", config.server.timeout_seconds, 1..=86_400);
    let identity = &config.identity;
    within(found, "identity.leeway_seconds", identity.leeway_seconds, 0..=600);
    within(found, "identity.jwks_refresh_seconds", identity.jwks_refresh_seconds, 10..=86_400);
    within(found, "identity.jwks_cooldown_seconds", identity.jwks_cooldown_seconds, 1..=3600);
    within(found, "vectors.deadline_ms", config.vectors.deadline_ms, 1..=10_000);
    within(found, "live.max_megabytes", config.live.max_megabytes, 1..=u64::MAX);
    within(found, "live.read_ahead_users", config.live.read_ahead_users, 0..=100_000_000);
    within(found, "live.commit_batch", config.live.commit_batch, 1..=100_000);
    within(found, "live.queue", config.live.queue, 1..=10_000_000);
    within(found, "exposures.keep_days", config.exposures.keep_days, 0..=36_500);
    within(found, "live.follow_interval_ms", config.live.follow_interval_ms, 10..=60_000);
}

fn adapters(config: &Config, found: &mut Vec<String>) {
    let adapters = &config.adapters;
    within(found, "adapters.rank", adapters.rank, 1..=32);
    within(found, "adapters.least_events", adapters.least_events, 0..=1_000_000);
    within(found, "adapters.solve_every", adapters.solve_every, 1..=10_000);
    within(found, "adapters.keep_versions", adapters.keep_versions, 1..=1_000);
}

fn sources(config: &Config, found: &mut Vec<String>) {
    let fusion = &config.fusion;
    within(found, "fusion.candidates_per_source", fusion.candidates_per_source, 1..=10_000);
    within(found, "fusion.newcomer_titles", fusion.newcomer_titles, 0.0..=LARGE);
    within(found, "fusion.collaborative", fusion.collaborative, 0.0..=LARGE);
    within(found, "fusion.recent", fusion.recent, 0.0..=LARGE);
    within(found, "fusion.item_item", fusion.item_item, 0.0..=LARGE);
    within(found, "fusion.sequence", fusion.sequence, 0.0..=LARGE);
    within(found, "fusion.attributes", fusion.attributes, 0.0..=LARGE);
    within(found, "fusion.embedding", fusion.embedding, 0.0..=LARGE);
    within(found, "fusion.trending", fusion.trending, 0.0..=LARGE);
    within(found, "fusion.popular", fusion.popular, 0.0..=LARGE);
    within(found, "fusion.context", fusion.context, 0.0..=LARGE);
    within(found, "fusion.content", fusion.content, 0.0..=LARGE);
    within(found, "fusion.graph", fusion.graph, 0.0..=LARGE);
    let graph = &config.graph;
    within(found, "graph.hub_exponent", graph.hub_exponent, 0.0..=10.0);
    within(found, "graph.fan_in", graph.fan_in, 1..=100_000);
    within(found, "graph.fan_out", graph.fan_out, 1..=1_000_000);
    within(found, "graph.budget", graph.budget, 1..=100_000_000);
    let ranker = &config.ranker;
    within(found, "ranker.events", ranker.events, 1..=10_000_000);
    within(found, "ranker.share", ranker.share, 0.01..=0.9);
    within(found, "ranker.choices", ranker.choices, 1..=1_000_000);
    within(found, "ranker.least_choices", ranker.least_choices, 10..=1_000_000);
    within(found, "ranker.trees", ranker.trees, 0..=10_000);
    within(found, "ranker.leaves", ranker.leaves, 2..=32);
    within(found, "ranker.learning_rate", ranker.learning_rate, 0.001..=1.0);
    within(found, "ranker.min_leaf_rows", ranker.min_leaf_rows, 1..=1_000_000);
    let diversity = &config.diversity;
    within(found, "diversity.lambda", diversity.lambda, 0.0..=1.0);
    within(found, "diversity.pool", diversity.pool, 1..=500);
    within(found, "diversity.cap", diversity.cap, 0..=100);
    let content = &config.content;
    within(found, "content.similarity_threshold", content.similarity_threshold, -1.0..=1.0);
    within(found, "content.monthly_decay", content.monthly_decay, 0.0..=1.0);
    within(found, "content.seeds", content.seeds, 0..=50);
    within(found, "content.neighbours", content.neighbours, 1..=1000);
    within(found, "content.similar_weight", content.similar_weight, 0.0..=LARGE);
    let near = &config.item_item;
    within(found, "item_item.neighbours", near.neighbours, 0..=1_000_000);
    within(found, "item_item.components", near.components, 0..=1024);
    within(found, "item_item.low_pass_weight", near.low_pass_weight, 0.0..=LARGE);
    within(found, "item_item.ridge", near.ridge, 0.001..=LARGE);
    let s = &config.sequence;
    within(found, "sequence.window", s.window, 1..=1000);
    within(found, "sequence.distance_exponent", s.distance_exponent, 0.0..=10.0);
    within(found, "sequence.backward", s.backward, 0.0..=1.0);
    within(found, "sequence.neighbours", s.neighbours, 1..=1_000_000);
    within(found, "sequence.history", s.history, 1..=50);
    within(found, "sequence.history_decay", s.history_decay, 0.0..=1.0);
    within(found, "sequence.source_popularity_exponent", s.source_popularity_exponent, 0.0..=10.0);
    within(found, "sequence.source_popularity_shift", s.source_popularity_shift, 0.0..=LARGE);
    within(found, "sequence.target_popularity_exponent", s.target_popularity_exponent, 0.0..=10.0);
    attributes(&config.attributes, found);
    embedding(&config.embedding, found);
    within(found, "trending.window_days", config.trending.window_days, 0.001..=3650.0);
    within(found, "trending.half_life_days", config.trending.half_life_days, 0.001..=3650.0);
    within(found, "trending.max_pairs", config.trending.max_pairs, 1..=1_000_000_000);
}

fn attributes(a: &options::Attributes, found: &mut Vec<String>) {
    within(found, "attributes.rarity_exponent", a.rarity_exponent, 0.0..=10.0);
    within(found, "attributes.least_cosine", a.least_cosine, 0.01..=1.0);
    within(found, "attributes.similarity_exponent", a.similarity_exponent, 0.0..=10.0);
    within(found, "attributes.neighbours", a.neighbours, 1..=1_000_000);
    within(found, "attributes.history", a.history, 1..=50);
    within(found, "attributes.history_decay", a.history_decay, 0.0..=1.0);
    within(found, "attributes.popularity_exponent", a.popularity_exponent, 0.0..=10.0);
}

fn embedding(e: &options::Embedding, found: &mut Vec<String>) {
    within(found, "embedding.width", e.width, 1..=1024);
    within(found, "embedding.history", e.history, 1..=50);
    within(found, "embedding.history_decay", e.history_decay, 0.001..=1.0);
    within(found, "embedding.negatives", e.negatives, 1..=1_000_000);
    within(found, "embedding.epochs", e.epochs, 1..=1000);
    within(found, "embedding.batch", e.batch, 1..=1_000_000);
    within(found, "embedding.learning_rate", e.learning_rate, 1e-6..=1.0);
    within(found, "embedding.vector_dropout", e.vector_dropout, 0.0..=0.99);
    within(found, "embedding.history_dropout", e.history_dropout, 0.0..=0.99);
    within(found, "embedding.weight_decay", e.weight_decay, 0.0..=1.0);
}

fn als_and_training(config: &Config, found: &mut Vec<String>) {
    let als = &config.als;
    within(found, "als.factors", als.factors, 1..=1024);
    within(found, "als.iterations", als.iterations, 1..=1000);
    within(found, "als.unobserved_ratio", als.unobserved_ratio, 1e-6..=1e6);
    within(found, "als.confidence_alpha", als.confidence_alpha, 1e-9..=LARGE);
    within(found, "als.regularization", als.regularization, 1e-9..=LARGE);
    within(found, "als.regularization_exponent", als.regularization_exponent, 0.0..=2.0);
    within(found, "encoder.batch", config.encoder.batch, 1..=4096);
    within(found, "encoder.learn_texts", config.encoder.learn_texts, 1..=10_000_000);
    let training = &config.training;
    within(found, "training.interval_hours", training.interval_hours, 0.0..=1e6);
    within(found, "training.rejection_margin", training.rejection_margin, 0.0..=1.0);
    within(found, "training.held_out_users", training.held_out_users, 0..=10_000_000);
    within(found, "training.lease_seconds", training.lease_seconds, 3..=86_400);
    within(found, "training.keep_versions", training.keep_versions, 0..=10_000);
}

fn within<T: PartialOrd + Display + Copy>(
    found: &mut Vec<String>,
    key: &str,
    value: T,
    range: RangeInclusive<T>,
) {
    if !range.contains(&value) {
        found.push(format!("{key} must be {} to {}, not {value}", range.start(), range.end()));
    }
}
