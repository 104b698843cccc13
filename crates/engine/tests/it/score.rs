//! Scores of given titles: those of the list, made of the same parts.

use std::collections::HashMap;
use std::sync::Arc;

use sona_domain::{
    Content, ContentId, KeptOut, Mood, NotScored, Recommendations, RequestContext, ScoredTitle,
    Scores, Unscored,
};
use sona_engine::{RecommendRequest, ScoreRequest};
use sona_testkit::databases::Backend;

use crate::world::{World, content_id, event, small_options, title, user_id, watch_at};

const TITLES: u32 = 60;

/// Titles of four genres and many years, and users who watch what nobody can foretell well. Every source but the text ones
/// speaks.
async fn world(ranked: bool) -> World {
    let mut options = small_options();
    options.fusion.candidates_per_source = 8;
    options.fusion.graph = 0.1;
    options.fusion.item_item = 0.1;
    options.ranker.least_choices = 10;
    options.ranker.share = 0.5;
    let world = World::with(Backend::Sqlite, options).await;
    let titles: Vec<_> = (0..TITLES).map(varied).collect();
    world.engine.put_content(&titles).await.expect("written");
    let from = world.engine.now().plus_seconds(-500_000);
    let pick = |user: u32, n: u32| (user * 7 + n * n * 5 + user * n * 3) % TITLES;
    let watched = (0..12).flat_map(|n| (0..30).map(move |user| (user, n)));
    let events = watched.zip(0..).map(|((user, n), at)| {
        watch_at(&format!("u{user}"), &format!("t{}", pick(user, n)), from.plus_seconds(at * 900))
    });
    world.track(events.collect()).await;
    world.train().await;
    if ranked {
        let job = world.engine.submit_ranker_training().await.expect("submitted");
        let run = world.engine.run_training("test", Some(&job), Arc::new(|_| {})).await;
        let job = run.expect("trained").expect("ours");
        assert_eq!(job.state, sona_domain::JobState::Completed, "{job:?}");
    }
    world
}

fn varied(n: u32) -> Content {
    let genre = ["Comedy", "Drama", "Horror", "War"][n as usize % 4];
    let year = Some(1940 + (n * 37 % 80) as u16);
    Content { genres: vec![genre.to_owned()], year, ..title(&format!("t{n}")) }
}

fn all() -> Vec<ContentId> {
    (0..TITLES).map(|n| content_id(&format!("t{n}"))).collect()
}

async fn score(world: &World, user: &str, ids: Vec<ContentId>, context: &RequestContext) -> Scores {
    let request =
        ScoreRequest { user_id: user_id(user), content_ids: ids, context: context.clone() };
    world.engine.score(&request).await.expect("scored")
}

async fn list(world: &World, user: &str, context: &RequestContext) -> Recommendations {
    let request = RecommendRequest {
        user_id: user_id(user),
        limit: 20,
        exclude: Vec::new(),
        context: context.clone(),
    };
    world.engine.recommend(&request).await.expect("a list")
}

/// How far the parts are from the score.
fn gap(title: &ScoredTitle) -> f64 {
    let sources = title.sources.iter().map(|part| f64::from(part.contribution));
    let others = title.adjustments.iter().map(|part| f64::from(part.contribution));
    (sources.chain(others).sum::<f64>() - f64::from(title.score)).abs()
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() < 1e-6
}

/// Every title of the catalogue, for known and unknown users, under several circumstances.
async fn check_everybody(world: &World) {
    let moods = [None, Mood::parse("happy").ok()];
    for context in moods.map(|mood| RequestContext { mood, ..RequestContext::default() }) {
        for user in ["u0", "u7", "u13", "u29", "nobody"] {
            let scores = score(world, user, all(), &context).await;
            assert_eq!((scores.scores.len(), &scores.unscored), (TITLES as usize, &Vec::new()));
            for title in &scores.scores {
                assert!(gap(title) < 1e-6, "{user}: {title:?}");
                assert!(title.score.is_finite() && !title.explanation.is_empty());
            }
            check_list(&scores, &list(world, user, &context).await);
        }
    }
}

/// The titles of a list have the same score, the same parts and the same reason.
fn check_list(scores: &Scores, list: &Recommendations) {
    let by_id: HashMap<_, _> = scores.scores.iter().map(|s| (&s.content_id, s)).collect();
    assert!(!list.recommendations.is_empty());
    for item in &list.recommendations {
        let title = by_id[&item.content_id];
        assert!(close(title.score, item.score), "{title:?} {item:?}");
        assert_eq!((title.kept_out, title.sources.len()), (None, item.sources.len()));
        for (own, listed) in title.sources.iter().zip(&item.sources) {
            assert_eq!(own.source, listed.source);
            assert!(close(own.contribution, listed.contribution), "{title:?} {item:?}");
        }
        assert_eq!(title.explanation, item.explanation);
        assert_eq!(title.recommendation_type, item.recommendation_type);
    }
    let blocked = scores.scores.iter().filter(|title| title.kept_out.is_some()).count();
    assert_eq!(blocked > 0, scores.interaction_count > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_weights_every_title_scores_as_in_the_list() {
    check_everybody(&world(false).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_ranker_every_title_scores_as_in_the_list() {
    let world = world(true).await;
    let adjusted = score(&world, "u7", all(), &RequestContext::default()).await;
    let has_base = |title: &ScoredTitle| !title.adjustments.is_empty();
    assert!(adjusted.scores.iter().all(has_base), "the ranker serves");
    check_everybody(&world).await;
}

#[tokio::test]
async fn what_may_not_be_shown_is_named() {
    let world = World::two_families(Backend::Sqlite, 6, 8).await;
    world.engine.put_content(&[Content { hidden: true, ..title("b5") }]).await.expect("written");
    world.track(vec![event("a-user1", "b0", "dismiss")]).await;
    let ids = ["b5", "a0", "b1", "nothing", "b0", "a0", "b1"].map(content_id);
    let scores = score(&world, "a-user1", ids.to_vec(), &RequestContext::default()).await;
    let found = scores.scores.iter().map(|title| (title.content_id.as_str(), title.kept_out));
    let expected = [("a0", Some(KeptOut::Seen)), ("b1", None), ("b0", Some(KeptOut::Rejected))];
    assert!(found.eq(expected), "{scores:?}");
    let unscored = |id, reason| Unscored { content_id: content_id(id), reason };
    let expected =
        [unscored("b5", NotScored::Unavailable), unscored("nothing", NotScored::Unknown)];
    assert_eq!(scores.unscored, expected);
    let seen = &scores.scores[0];
    assert!(!seen.based_on.contains(&seen.content_id), "a title is no reason for itself: {seen:?}");
    assert_eq!(world.engine.stats().exposures.waiting, 0, "nothing is shown");
}

#[tokio::test]
async fn where_nothing_is_left_to_show_titles_still_score() {
    let world = World::new(Backend::Sqlite).await;
    world.engine.put_content(&[title("one")]).await.expect("written");
    world.track(vec![event("u", "one", "like")]).await;
    let scores = score(&world, "u", vec![content_id("one")], &RequestContext::default()).await;
    assert_eq!(scores.scores[0].kept_out, Some(KeptOut::Seen));
    assert!(scores.scores[0].score.is_finite() && gap(&scores.scores[0]) < 1e-6);
}
