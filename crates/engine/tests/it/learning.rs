//! The live fold-in against an independent solve in plain loops.

use sona_domain::{Cursor, EventRules};
use sona_engine::MODEL_NAME;
use sona_engine::artifact::Artifact;
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, event, user_id, watch};

/// The user's factors after every event equal the exact solution over the whole history.
async fn the_fold_in_is_exact(backend: Backend) {
    let world = World::two_families(backend, 8, 16).await;
    world.train().await;
    let store = sona_store::open(&world.database.url).await.expect("a database");
    let model = store.current_model(MODEL_NAME).await.expect("read").expect("trained");
    let bytes = world.blobs.get(&model.blob_key).await.expect("read").expect("there");
    let artifact = Artifact::decode(&bytes, &model.sha256).expect("sound");

    let steps = [
        watch("u", "a1"),
        event("u", "b2", "click"),
        event("u", "a3", "like"),
        event("u", "a1", "dislike"),
        watch("u", "b5"),
        event("u", "b2", "add"),
    ];
    for step in steps {
        world.track(vec![step]).await;
        let profile = world.engine.profile(&user_id("u")).await.expect("read").expect("known");
        let history = store.histories(&[user_id("u")]).await.expect("read").concat();
        let exact = solve(&artifact, &weights(&history));
        let distance = profile
            .preference_vector
            .iter()
            .zip(&exact)
            .map(|(live, exact)| (f64::from(*live) - exact).abs())
            .fold(0.0, f64::max);
        let size = exact.iter().map(|x| x.abs()).fold(0.0, f64::max);
        assert!(distance <= 1e-5 * size.max(1.0), "off by {distance} at {:?}", profile.through);
        assert!(profile.through > Cursor(0));
    }
}
on_both!(the_fold_in_is_exact);

/// Engagement weight per title: the latest opinion, else the strongest of the rest.
fn weights(history: &[sona_domain::LoggedEvent]) -> Vec<(String, f64)> {
    let rules = EventRules::default();
    let mut titles: std::collections::BTreeMap<String, (f64, Option<f64>)> =
        std::collections::BTreeMap::default();
    for logged in history {
        let title = titles.entry(logged.event.content_id.to_string()).or_default();
        let weight = f64::from(rules.weight(&logged.event));
        match logged.event.event_type.as_str() {
            "like" | "dislike" => title.1 = Some(weight),
            _ => title.0 = title.0.max(weight),
        }
    }
    let weigh = |(id, (strongest, opinion)): (String, (f64, Option<f64>))| {
        (id, opinion.unwrap_or(strongest))
    };
    titles.into_iter().map(weigh).filter(|(_, weight)| *weight > 0.0).collect()
}

/// Solves the normal equations of one user over all items, term by term in f64.
fn solve(artifact: &Artifact, history: &[(String, f64)]) -> Vec<f64> {
    let (f, n) = (artifact.factors.width(), artifact.items.len());
    let o = &artifact.options;
    let (a0, alpha) = (f64::from(o.unobserved_weight), f64::from(o.confidence_alpha));
    let mut left = vec![vec![0.0; f]; f];
    let mut right = vec![0.0; f];
    for (row, id) in artifact.items.iter().enumerate() {
        let y: Vec<f64> = artifact.factors.row(row).iter().map(|v| f64::from(*v)).collect();
        let weight = history.iter().find(|(h, _)| h == id.as_str()).map(|(_, w)| *w);
        let confidence = a0 + alpha * weight.unwrap_or(0.0);
        for i in 0..f {
            for j in 0..f {
                left[i][j] += confidence * y[i] * y[j];
            }
            right[i] += if weight.is_some() { confidence * y[i] } else { 0.0 };
        }
    }
    let count = history.len() as f64 + a0 * n as f64;
    let ridge = f64::from(o.regularization) * count.powf(f64::from(o.regularization_exponent));
    for (i, row) in left.iter_mut().enumerate() {
        row[i] += ridge;
    }
    eliminate(left, right)
}

/// Gaussian elimination with partial pivoting.
fn eliminate(mut left: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for col in 0..n {
        let pivot = (col..n).max_by(|a, b| left[*a][col].abs().total_cmp(&left[*b][col].abs()));
        let pivot = pivot.expect("rows remain");
        left.swap(col, pivot);
        right.swap(col, pivot);
        for row in col + 1..n {
            let factor = left[row][col] / left[col][col];
            let above = left[col].clone();
            for (below, above) in left[row].iter_mut().zip(&above).skip(col) {
                *below -= factor * above;
            }
            right[row] -= factor * right[col];
        }
    }
    let mut x = vec![0.0; n];
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|k| left[row][k] * x[k]).sum();
        x[row] = (right[row] - known) / left[row][row];
    }
    x
}
