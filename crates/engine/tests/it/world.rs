//! A small world whose right answers are obvious: titles come in families, and users keep to one.

use std::sync::Arc;

use sona_domain::{
    Content, ContentId, Credit, EventDraft, EventType, Recommendations, RequestContext, RoleType,
    Source, Timestamp, UserId,
};
use sona_engine::options::Fusion;
use sona_engine::{Engine, Options, Parts, RecommendRequest, TrackOutcome};
use sona_store::Blobs;
use sona_testkit::clock::ManualClock;
use sona_testkit::databases::{Backend, TestDatabase};
use sona_testkit::ids::CountingIds;

/// An engine, and what it stands on.
pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) database: TestDatabase,
    pub(crate) options: Options,
    /// Where vectors are searched.
    vectors: String,
    ids: Arc<CountingIds>,
}

impl World {
    /// An empty engine.
    pub(crate) async fn new(backend: Backend) -> Self {
        Self::with(backend, small_options()).await
    }

    /// An empty engine with these options.
    pub(crate) async fn with(backend: Backend, options: Options) -> Self {
        Self::searching(backend, options, "memory:").await
    }

    /// An empty engine with these options, which has vectors searched at this URL.
    pub(crate) async fn searching(backend: Backend, options: Options, vectors: &str) -> Self {
        let vectors = vectors.to_owned();
        let database = TestDatabase::new(backend).await;
        let clock = Arc::new(ManualClock::default());
        let ids = Arc::new(CountingIds::default());
        let blobs = sona_store::blobs::open_blobs("memory:").await.expect("memory");
        let engine = open((&database, &blobs, vectors.as_str()), &clock, &ids, &options).await;
        Self { engine, clock, blobs, database, options, vectors, ids }
    }

    /// Two families of `titles` titles each; `users` users of each family watched all of it but the title
    /// with their own number (modulo `titles`).
    pub(crate) async fn two_families(backend: Backend, titles: usize, users: usize) -> Self {
        let world = Self::new(backend).await;
        world.fill(titles, users).await;
        world
    }

    /// See [`World::two_families`].
    pub(crate) async fn fill(&self, titles: usize, users: usize) {
        let mut content = Vec::new();
        let mut events = Vec::new();
        for family in ["a", "b"] {
            content.extend((0..titles).map(|t| title(&format!("{family}{t}"))));
            for user in 0..users {
                for t in (0..titles).filter(|t| *t != user % titles) {
                    events.push(watch(&format!("{family}-user{user}"), &format!("{family}{t}")));
                }
            }
        }
        self.engine.put_content(&content).await.expect("written");
        self.track(events).await;
    }

    /// A second engine on the same database, as another process would have.
    pub(crate) async fn another(&self) -> Arc<Engine> {
        let places = (&self.database, &self.blobs, self.vectors.as_str());
        open(places, &self.clock, &self.ids, &self.options).await
    }

    /// Stops the engine and opens it again on the same data.
    pub(crate) async fn restart(&mut self) {
        self.engine.close().await;
        self.engine = self.another().await;
    }

    pub(crate) async fn track(&self, drafts: Vec<EventDraft>) -> Vec<TrackOutcome> {
        self.engine.track(drafts).await.expect("tracked")
    }

    pub(crate) async fn train(&self) -> sona_domain::TrainingJob {
        let job = self.engine.submit_training().await.expect("submitted");
        let run = self.engine.run_training("test", Some(&job), Arc::new(|_| {})).await;
        run.expect("trained").expect("ours")
    }

    pub(crate) async fn list(&self, user: &str, limit: usize) -> Recommendations {
        list(&self.engine, user, limit).await
    }

    /// The ids of a user's list.
    pub(crate) async fn ids(&self, user: &str, limit: usize) -> Vec<String> {
        ids(&self.list(user, limit).await)
    }
}

async fn open(
    (database, blobs, vectors): (&TestDatabase, &Arc<dyn Blobs>, &str),
    clock: &Arc<ManualClock>,
    ids: &Arc<CountingIds>,
    options: &Options,
) -> Arc<Engine> {
    let parts = Parts {
        store: sona_store::open(&database.url).await.expect("a database"),
        blobs: blobs.clone(),
        vectors: sona_store::open_vectors(vectors, "").expect("a URL"),
        clock: clock.clone(),
        ids: ids.clone(),
        options: options.clone(),
    };
    Engine::open(parts).await.expect("an engine")
}

/// Small factors and no embedding, so that tests are quick.
pub(crate) fn small_options() -> Options {
    let mut options = Options::default();
    options.als.factors = 8;
    options.als.iterations = 6;
    options.fusion.embedding = 0.0;
    options
}

/// Small factors, and only one source that speaks.
pub(crate) fn only(source: Source) -> Options {
    let mut options = small_options();
    options.fusion = Fusion {
        collaborative: 0.0,
        sequence: 0.0,
        attributes: 0.0,
        embedding: 0.0,
        trending: 0.0,
        popular: 0.0,
        context: 0.0,
        ..Fusion::default()
    };
    let fusion = &mut options.fusion;
    let weight = match source {
        Source::Collaborative => &mut fusion.collaborative,
        Source::Recent => &mut fusion.recent,
        Source::ItemItem => &mut fusion.item_item,
        Source::Sequence => &mut fusion.sequence,
        Source::Attributes => &mut fusion.attributes,
        Source::Embedding => &mut fusion.embedding,
        Source::Trending => &mut fusion.trending,
        Source::Popular => &mut fusion.popular,
        Source::Context => &mut fusion.context,
        Source::Content => &mut fusion.content,
        Source::Graph => &mut fusion.graph,
    };
    *weight = 1.0;
    options
}

/// A title of one genre.
pub(crate) fn of_genre(id: &str, genre: &str) -> Content {
    Content { genres: vec![genre.to_owned()], ..title(id) }
}

/// A title by this director, with themes.
pub(crate) fn directed(id: &str, director: &str, themes: &[&str]) -> Content {
    let credit = Credit {
        person_name: director.to_owned(),
        role_type: RoleType::Director,
        character_name: None,
        order_index: 0,
    };
    let themes = themes.iter().map(|theme| (*theme).to_owned()).collect();
    Content { credits: vec![credit], themes, ..title(id) }
}

pub(crate) async fn list(engine: &Engine, user: &str, limit: usize) -> Recommendations {
    let request = RecommendRequest {
        user_id: user_id(user),
        limit,
        exclude: Vec::new(),
        context: RequestContext::default(),
    };
    engine.recommend(&request).await.expect("a list")
}

pub(crate) fn ids(list: &Recommendations) -> Vec<String> {
    list.recommendations.iter().map(|item| item.content_id.to_string()).collect()
}

pub(crate) fn user_id(id: &str) -> UserId {
    UserId::new(id).expect("an id")
}

pub(crate) fn content_id(id: &str) -> ContentId {
    ContentId::new(id).expect("an id")
}

pub(crate) fn title(id: &str) -> Content {
    Content::new(content_id(id), format!("Title {id}"))
}

pub(crate) fn event(user: &str, content: &str, event_type: &str) -> EventDraft {
    EventDraft {
        event_id: None,
        user_id: user_id(user),
        content_id: content_id(content),
        event_type: EventType::new(event_type).expect("a type"),
        completion_rate: None,
        rating: None,
        is_rewatch: false,
        dismissed: false,
        context: None,
        recommendation_id: None,
        timestamp: None,
    }
}

pub(crate) fn watch(user: &str, content: &str) -> EventDraft {
    EventDraft { completion_rate: Some(1.0), ..event(user, content, "watch") }
}

pub(crate) fn watch_at(user: &str, content: &str, at: Timestamp) -> EventDraft {
    EventDraft { timestamp: Some(at), ..watch(user, content) }
}

/// Runs a test on every database there is.
#[macro_export]
macro_rules! on_both {
    ($name:ident) => {
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(sona_testkit::databases::Backend::Sqlite).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                use sona_testkit::databases::{Backend, backends};
                if backends().contains(&Backend::Postgres) {
                    super::$name(Backend::Postgres).await;
                }
            }
        }
    };
}
