//! The circumstances of a request: rules at first, then what is watched in them, and what the user watches then.

use serde_json::json;
use sona_domain::{AgeRange, Company, EventDraft, Region, Source, TimeOfDay, UserId, Zone};
use sona_engine::{RecommendRequest, RequestContext};
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, ids, of_genre, only, small_options, title, watch};

fn told(event: EventDraft, context: &serde_json::Value) -> EventDraft {
    EventDraft { context: context.as_object().cloned(), ..event }
}

async fn ask(world: &World, user: &str, context: RequestContext) -> Vec<String> {
    let request = RecommendRequest {
        user_id: UserId::new(user).expect("an id"),
        limit: 3,
        exclude: Vec::new(),
        context,
    };
    ids(&world.engine.recommend(&request).await.expect("a list"))
}

fn at(time_of_day: TimeOfDay) -> RequestContext {
    RequestContext { time_of_day: Some(time_of_day), ..RequestContext::default() }
}

#[tokio::test]
async fn a_rule_speaks_until_viewings_say_otherwise() {
    let world = World::with(Backend::Sqlite, only(Source::Context)).await;
    let titles = [of_genre("cartoon", "Animation"), of_genre("war", "War")];
    world.engine.put_content(&titles).await.expect("written");
    let kids = RequestContext { company: Some(Company::Kids), ..RequestContext::default() };
    assert_eq!(ask(&world, "new", kids.clone()).await[0], "cartoon");
    // Forty families watch the other one with their children, and the cartoon alone.
    let mut events = Vec::new();
    for user in 0..40 {
        let user = format!("u{user}");
        events.push(told(watch(&user, "war"), &json!({"company": "kids"})));
        events.push(told(watch(&user, "cartoon"), &json!({"company": "alone"})));
    }
    world.track(events).await;
    assert_eq!(ask(&world, "new", kids).await[0], "war");
}

async fn the_time_of_day_is_learned_from_all_and_kept(backend: Backend) {
    let mut world = World::with(backend, only(Source::Context)).await;
    world.engine.put_content(&[title("news"), title("noir")]).await.expect("written");
    let mut events = Vec::new();
    for user in 0..20 {
        let user = format!("u{user}");
        events.push(told(watch(&user, "news"), &json!({"time_of_day": "morning"})));
        events.push(told(watch(&user, "noir"), &json!({"time_of_day": "night"})));
    }
    world.track(events).await;
    for restarted in [false, true] {
        if restarted {
            world.restart().await;
        }
        assert_eq!(ask(&world, "new", at(TimeOfDay::Morning)).await[0], "news");
        assert_eq!(ask(&world, "new", at(TimeOfDay::Night)).await[0], "noir");
    }
}
on_both!(the_time_of_day_is_learned_from_all_and_kept);

#[tokio::test]
async fn a_user_is_offered_what_they_watch_at_that_time_on_their_clock() {
    let world = World::with(Backend::Sqlite, only(Source::Context)).await;
    let mut titles = vec![of_genre("comedy", "Comedy"), of_genre("crime", "Crime")];
    for n in 0..6 {
        titles.push(of_genre(&format!("c{n}"), "Comedy"));
        titles.push(of_genre(&format!("d{n}"), "Crime"));
    }
    world.engine.put_content(&titles).await.expect("written");
    // The clock of the tests stands at midnight UTC: 5:30 in Kolkata. Crime then; comedies eight hours earlier.
    let now = sona_domain::Clock::now(&*world.clock);
    let earlier = now.plus_seconds(-8 * 3600);
    let mut events = Vec::new();
    for n in 0..6 {
        events.push(EventDraft { timestamp: Some(earlier), ..watch("u", &format!("c{n}")) });
        events.push(EventDraft { timestamp: Some(now), ..watch("u", &format!("d{n}")) });
    }
    world.track(events).await;
    let kolkata =
        || RequestContext { timezone: Zone::parse("Asia/Kolkata").ok(), ..Default::default() };
    assert_eq!(ask(&world, "u", kolkata()).await[0], "crime");
    let evening = RequestContext { time_of_day: Some(TimeOfDay::Evening), ..kolkata() };
    assert_eq!(ask(&world, "u", evening).await[0], "comedy");
}

#[tokio::test]
async fn the_reason_names_the_circumstance() {
    let world = World::with(Backend::Sqlite, only(Source::Context)).await;
    world.engine.put_content(&[of_genre("cartoon", "Animation")]).await.expect("written");
    let request = RecommendRequest {
        user_id: UserId::new("new").expect("an id"),
        limit: 1,
        exclude: Vec::new(),
        context: RequestContext { company: Some(Company::Family), ..Default::default() },
    };
    let list = world.engine.recommend(&request).await.expect("a list");
    let item = &list.recommendations[0];
    assert_eq!(item.sources[0].source, Source::Context);
    assert_eq!(item.explanation, "Fits the company: family");
}

#[tokio::test]
async fn genres_a_newcomer_names_are_in_their_first_list_and_fade() {
    let world = World::with(Backend::Sqlite, small_options()).await;
    let genres = ["War", "Comedy", "War", "Romance"];
    let titles: Vec<_> = (0..40).map(|n| of_genre(&format!("t{n}"), genres[n % 4])).collect();
    world.engine.put_content(&titles).await.expect("written");
    // Wars are watched most.
    let fans = (0..60).flat_map(|user| {
        let wars = (0..40).step_by(2).map(move |n| watch(&format!("w{user}"), &format!("t{n}")));
        let other = watch(&format!("w{user}"), &format!("t{}", user % 40));
        wars.chain([other])
    });
    world.track(fans.collect()).await;
    let signed_up =
        RequestContext { genres: vec!["comedy".into(), "romance".into()], ..Default::default() };
    let liked = async |user: &str, limit: usize| {
        let request = RecommendRequest {
            user_id: UserId::new(user).expect("an id"),
            limit,
            exclude: Vec::new(),
            context: signed_up.clone(),
        };
        let list = ids(&world.engine.recommend(&request).await.expect("a list"));
        let number = |id: &String| id[1..].parse::<usize>().expect("a number");
        list.iter().filter(|id| number(id) % 2 == 1).count()
    };
    let first = liked("new", 10).await;
    assert!(first >= 6, "{first} of 10 are of the two genres");
    world.track((0..8).map(|n| watch("new", &format!("t{}", n * 2))).collect()).await;
    let later = liked("new", 10).await;
    assert!(later < first, "what is watched outweighs what was said: {later} of {first}");
}

#[tokio::test]
async fn a_chosen_company_is_heard_above_what_trends() {
    let world = World::with(Backend::Sqlite, small_options()).await;
    let titles = [of_genre("horror", "Horror"), of_genre("cartoon", "Animation")];
    world.engine.put_content(&titles).await.expect("written");
    let fans = (0..20).map(|user| watch(&format!("h{user}"), "horror"));
    world.track(fans.chain([watch("c", "cartoon")]).collect()).await;
    assert_eq!(ask(&world, "new", RequestContext::default()).await[0], "horror");
    let kids = RequestContext { company: Some(Company::Kids), ..Default::default() };
    assert_eq!(ask(&world, "new", kids).await, ["cartoon", "horror"]);
}

async fn a_newcomer_gets_what_people_like_them_watch(backend: Backend) {
    let mut world = World::with(backend, small_options()).await;
    let titles = ["opera", "polka", "other"].map(|id| of_genre(id, "Music"));
    world.engine.put_content(&titles).await.expect("written");
    let mut events = Vec::new();
    for n in 0..20 {
        let (german, french) = (format!("g{n}"), format!("f{n}"));
        let young = json!({"region": "DE", "age_range": "18-24"});
        let old = json!({"region": "FR", "age_range": "65_and_over"});
        events.push(told(watch(&german, "polka"), &young));
        events.push(told(watch(&french, "opera"), &old));
        events.push(told(watch(&german, "other"), &young));
        events.push(told(watch(&french, "other"), &old));
    }
    world.track(events).await;
    for restarted in [false, true] {
        if restarted {
            world.restart().await;
        }
        let from = |code| RequestContext { region: Region::parse(code).ok(), ..Default::default() };
        let aged = |age| RequestContext { age_range: Some(age), ..Default::default() };
        let before = async |context: RequestContext, one: &str, other: &str| {
            let list = ask(&world, "new", context).await;
            let place = |title| list.iter().position(|id| id == title).expect("in the list");
            assert!(place(one) < place(other), "{list:?}");
        };
        before(from("DE"), "polka", "opera").await;
        before(from("fr"), "opera", "polka").await;
        before(aged(AgeRange::From18), "polka", "opera").await;
        before(aged(AgeRange::From65), "opera", "polka").await;
    }
}
on_both!(a_newcomer_gets_what_people_like_them_watch);
