//! Users as they were written: what is known of them stands in where a request or an event is silent.

use serde_json::json;
use sona_domain::{
    AgeRange, EventDraft, Recommendations, Region, RequestContext, Source, UserAttributes,
};
use sona_engine::{Engine, RecommendRequest};
use sona_testkit::databases::Backend;

use crate::encoder::eventually;
use crate::on_both;
use crate::world::{World, ids, list, of_genre, only, small_options, title, user_id, watch};

fn from(region: &str) -> UserAttributes {
    UserAttributes { region: Region::parse(region).ok(), ..UserAttributes::default() }
}

fn liking(genres: &[&str]) -> UserAttributes {
    let genres = genres.iter().map(|genre| (*genre).to_owned()).collect();
    UserAttributes { genres, ..UserAttributes::default() }
}

pub(crate) async fn put(world: &World, user: &str, attributes: UserAttributes) {
    world.engine.put_users(&[(user_id(user), attributes)]).await.expect("written");
}

async fn asked(engine: &Engine, user: &str, context: RequestContext) -> Recommendations {
    let request =
        RecommendRequest { user_id: user_id(user), limit: 3, exclude: Vec::new(), context };
    engine.recommend(&request).await.expect("a list")
}

pub(crate) async fn first(engine: &Engine, user: &str) -> String {
    ids(&list(engine, user, 3).await).swap_remove(0)
}

fn told(event: EventDraft, context: &serde_json::Value) -> EventDraft {
    EventDraft { context: context.as_object().cloned(), ..event }
}

/// Germans watch the polka, Frenchmen the opera, and nobody says in an event where they are from.
async fn opera_and_polka(backend: Backend) -> World {
    let mut options = only(Source::Context);
    options.live.follow_interval_ms = 20;
    let world = World::with(backend, options).await;
    let titles = ["opera", "polka", "other"].map(|id| of_genre(id, "Music"));
    world.engine.put_content(&titles).await.expect("written");
    let names = (0..20).flat_map(|n| [(format!("g{n}"), "DE"), (format!("f{n}"), "FR")]);
    let users: Vec<_> = names.map(|(name, region)| (user_id(&name), from(region))).collect();
    world.engine.put_users(&users).await.expect("written");
    let events = users.iter().flat_map(|(user, known)| {
        let own = if *known == from("DE") { "polka" } else { "opera" };
        [watch(user.as_str(), own), watch(user.as_str(), "other")]
    });
    world.track(events.collect()).await;
    world
}

async fn first_reason(world: &World, user: &str) -> String {
    world.list(user, 1).await.recommendations.remove(0).explanation
}

async fn what_is_known_stands_in_and_what_is_said_stands(backend: Backend) {
    let mut world = opera_and_polka(backend).await;
    put(&world, "hans", from("DE")).await;
    put(&world, "jean", from("FR")).await;
    for restarted in [false, true] {
        if restarted {
            world.restart().await;
        }
        assert_eq!(first(&world.engine, "hans").await, "polka");
        assert_eq!(first(&world.engine, "jean").await, "opera");
        let abroad = RequestContext { region: Region::parse("FR").ok(), ..Default::default() };
        assert_eq!(ids(&asked(&world.engine, "hans", abroad).await)[0], "opera");
        let list = list(&world.engine, "hans", 1).await;
        assert_eq!(list.recommendations[0].explanation, "Watched often in DE");
        // Where nobody watched anything nothing is said of those who live there.
        put(&world, "gina", from("IT")).await;
        let reason = first_reason(&world, "gina").await;
        assert!(!reason.contains("IT"), "{reason}");
        let nobody = world.list("nobody", 3).await;
        let context = nobody.sources.iter().find(|status| status.source == Source::Context);
        assert!(context.expect("listed").absent.is_some(), "nothing is known of nobody");
    }
    // A change counts in the next list, and what is taken away does not.
    put(&world, "hans", from("FR")).await;
    assert_eq!(first(&world.engine, "hans").await, "opera");
    put(&world, "hans", UserAttributes::default()).await;
    assert!(
        list(&world.engine, "hans", 3).await.recommendations[0].explanation
            != "Watched often in FR"
    );
}
on_both!(what_is_known_stands_in_and_what_is_said_stands);

#[tokio::test]
async fn an_event_that_says_who_did_it_counts_as_it_says() {
    let world = World::with(Backend::Sqlite, only(Source::Context)).await;
    let titles = ["one", "two"].map(|id| of_genre(id, "Music"));
    world.engine.put_content(&titles).await.expect("written");
    let young = UserAttributes { age_range: Some(AgeRange::From18), ..Default::default() };
    for n in 0..20 {
        put(&world, &format!("u{n}"), young.clone()).await;
        let old = json!({"age_range": "65_and_over"});
        world
            .track(vec![told(watch(&format!("u{n}"), "one"), &old), watch(&format!("u{n}"), "two")])
            .await;
    }
    let aged = |age| RequestContext { age_range: Some(age), ..RequestContext::default() };
    let old = asked(&world.engine, "new", aged(AgeRange::From65)).await;
    assert_eq!(ids(&old)[0], "one");
    let young = asked(&world.engine, "new", aged(AgeRange::From18)).await;
    assert_eq!(ids(&young)[0], "two");
}

#[tokio::test]
async fn genres_named_at_sign_up_are_in_the_first_list_and_fade() {
    let world = World::with(Backend::Sqlite, small_options()).await;
    let genres = ["War", "Comedy", "War", "Romance"];
    let titles: Vec<_> = (0..40).map(|n| of_genre(&format!("t{n}"), genres[n % 4])).collect();
    world.engine.put_content(&titles).await.expect("written");
    let fans = (0..60).flat_map(|user| {
        (0..40).step_by(2).map(move |n| watch(&format!("w{user}"), &format!("t{n}")))
    });
    world.track(fans.collect()).await;
    let liked = async || {
        let list = world.ids("new", 10).await;
        let number = |id: &String| id[1..].parse::<usize>().expect("a number");
        list.iter().filter(|id| number(id) % 2 == 1).count()
    };
    let before = liked().await;
    put(&world, "new", liking(&["comedy", "romance"])).await;
    let signed_up = liked().await;
    assert!(before < 3 && signed_up >= 6, "{before}, then {signed_up} of 10 are of the genres");
    world.track((0..8).map(|n| watch("new", &format!("t{}", n * 2))).collect()).await;
    let later = liked().await;
    assert!(later < signed_up, "what is watched outweighs what was said: {later}");
}

async fn another_process_is_not_behind(backend: Backend) {
    let world = opera_and_polka(backend).await;
    let other = world.another().await;
    // It holds them in memory by now.
    list(&other, "hans", 3).await;
    put(&world, "hans", from("DE")).await;
    eventually(async || first(&other, "hans").await == "polka").await;
    put(&world, "hans", from("FR")).await;
    eventually(async || first(&other, "hans").await == "opera").await;
    // Who did something after it was known where they are from counts as from there.
    world.engine.put_content(&[of_genre("new", "Music")]).await.expect("written");
    let users: Vec<_> = (0..30).map(|n| (user_id(&format!("p{n}")), from("PL"))).collect();
    for (user, _) in &users {
        list(&other, user.as_str(), 1).await;
    }
    world.engine.put_users(&users).await.expect("written");
    world.track(users.iter().map(|(user, _)| watch(user.as_str(), "new")).collect()).await;
    let polish = || RequestContext { region: Region::parse("PL").ok(), ..Default::default() };
    eventually(async || ids(&asked(&other, "someone", polish()).await)[0] == "new").await;
    let ours = asked(&world.engine, "someone", polish()).await;
    let theirs = asked(&other, "someone", polish()).await;
    let scores = |list: &Recommendations| {
        list.recommendations
            .iter()
            .map(|item| (item.content_id.clone(), item.score))
            .collect::<Vec<_>>()
    };
    assert_eq!(scores(&ours), scores(&theirs));
    other.close().await;
}
on_both!(another_process_is_not_behind);

#[tokio::test]
async fn a_user_is_read_as_written() {
    let world = World::new(Backend::Sqlite).await;
    let stored = async |user: &str| world.engine.stored_user(&user_id(user)).await.expect("read");
    assert_eq!(stored("u").await, None);
    let known = UserAttributes { age_range: Some(AgeRange::From35), ..liking(&["Drama"]) };
    put(&world, "u", known).await;
    let user = stored("u").await.expect("written");
    assert_eq!((user.age_range, user.region), (Some(AgeRange::From35), None));
    assert_eq!((user.genres, user.created_at), (vec!["Drama".to_owned()], world.engine.now()));
    assert_eq!(world.engine.profile(&user_id("u")).await.expect("read"), None, "nothing done yet");
    world.engine.put_content(&[title("t")]).await.expect("written");
    world.track(vec![watch("actor", "t")]).await;
    assert!(stored("actor").await.expect("acted").genres.is_empty());
}
