//! A store that notes which of its methods are called, and leaves the work to another one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sona_domain::model::NewModelVersion;
use sona_domain::{
    Adapter, AdapterName, AdapterStatistics, ApiKey, Content, ContentId, Cursor, Embedding,
    EmbeddingModel, Entity, EntityType, Event, Exposure, FileTraces, JobId, JobOutcome, JobState,
    LoggedEvent, MetricPoint, ModelVersion, NewAdapter, Profile, RecommendationId, Timestamp,
    TrainingJob, UserAttributes, UserId,
};
use sona_store::{
    AdapterChange, AdapterChanges, AdapterPosition, Adapters, AppendOutcome, Catalogue,
    ContentChange, Embeddings, Events, Exposures, ImportBatch, ImportProgress, Imports, Jobs, Keys,
    Learned, Lessons, Models, NewJob, Parent, Profiles, RemovedUser, Result, Revision, Saved,
    Store, UserRemoval, UserWrite, Users, WrittenUser, WrittenUsers,
};

/// The store, and the names of the methods called.
pub(crate) struct CountingStore {
    store: Arc<dyn Store>,
    called: Mutex<Vec<&'static str>>,
}

impl CountingStore {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, called: Mutex::default() }
    }

    /// What was called since the last time somebody asked.
    pub(crate) fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.called.lock().expect("nobody panics"))
    }

    fn note(&self, name: &'static str) {
        self.called.lock().expect("nobody panics").push(name);
    }
}

/// Each trait with its methods, without what is the same in all of them.
macro_rules! counted {
    ($($group:ident { $($name:ident($($arg:ident: $kind:ty),*) -> $found:ty;)+ })+) => {
        $(
            #[async_trait]
            impl $group for CountingStore {
                $(
                    async fn $name(&self, $($arg: $kind),*) -> $found {
                        self.note(stringify!($name));
                        self.store.$name($($arg),*).await
                    }
                )+
            }
        )+
    };
}

counted! {
    Events {
        append(events: &[Event], now: Timestamp) -> Result<Vec<AppendOutcome>>;
        head() -> Result<Cursor>;
        after(cursor: Cursor, limit: usize) -> Result<Vec<LoggedEvent>>;
        since(since: Timestamp, cursor: Cursor, limit: usize) -> Result<Vec<LoggedEvent>>;
        histories(users: &[UserId]) -> Result<Vec<Vec<LoggedEvent>>>;
    }
    Catalogue {
        insert_content(content: &Content, now: Timestamp) -> Result<Option<Revision>>;
        put_content(content: &[Content], now: Timestamp) -> Result<Revision>;
        content(id: &ContentId) -> Result<Option<Content>>;
        delete_content(id: &ContentId, now: Timestamp) -> Result<Option<Revision>>;
        content_after(revision: Revision, limit: usize) -> Result<Vec<ContentChange>>;
    }
    Imports {
        import_progress(import_id: &str) -> Result<Option<ImportProgress>>;
        write_import(batch: &ImportBatch<'_>, now: Timestamp) -> Result<ImportProgress>;
    }
    Users {
        user_created_at(user: &UserId) -> Result<Option<Timestamp>>;
        known_users(users: &[UserId]) -> Result<HashSet<UserId>>;
        count_users() -> Result<u64>;
        remove_user(user: &UserId, now: Timestamp) -> Result<Option<RemovedUser>>;
        scrub(user: &UserId) -> Result<FileTraces>;
        removals_after(sequence: i64, limit: usize) -> Result<Vec<UserRemoval>>;
    }
    Profiles {
        put_profiles(profiles: &[Profile]) -> Result<()>;
        profile(user: &UserId) -> Result<Option<Profile>>;
    }
    Models {
        register_model(new: &NewModelVersion, now: Timestamp) -> Result<ModelVersion>;
        set_current_model(
            model_name: &str, expected: Option<i64>, version: i64, now: Timestamp
        ) -> Result<bool>;
        current_model(model_name: &str) -> Result<Option<ModelVersion>>;
        model(model_name: &str, version: i64) -> Result<Option<ModelVersion>>;
        models(model_name: &str) -> Result<Vec<ModelVersion>>;
        delete_model(model_name: &str, version: i64) -> Result<bool>;
    }
    Jobs {
        submit_job(job: &NewJob, now: Timestamp) -> Result<TrainingJob>;
        claim_job(
            worker: &str, only: Option<&JobId>, now: Timestamp, lease_until: Timestamp
        ) -> Result<Option<TrainingJob>>;
        extend_lease(job: &JobId, worker: &str, until: Timestamp) -> Result<bool>;
        start_job(job: &JobId, worker: &str) -> Result<bool>;
        complete_job(
            job: &JobId, worker: &str, outcome: &JobOutcome, now: Timestamp
        ) -> Result<bool>;
        fail_job(job: &JobId, worker: &str, error: &str, now: Timestamp) -> Result<bool>;
        cancel_job(job: &JobId, now: Timestamp) -> Result<bool>;
        job(job: &JobId) -> Result<Option<TrainingJob>>;
        jobs(
            model_name: Option<&str>, state: Option<JobState>, limit: usize
        ) -> Result<Vec<TrainingJob>>;
        add_metrics(job: &JobId, points: &[MetricPoint]) -> Result<()>;
        metrics(job: &JobId) -> Result<Vec<MetricPoint>>;
    }
    Keys {
        create_key(key: &ApiKey) -> Result<bool>;
        keys() -> Result<Vec<ApiKey>>;
        revoke_key(key_id: &str, now: Timestamp) -> Result<bool>;
        keys_revision() -> Result<i64>;
        touch_keys(used: &[(String, Timestamp)]) -> Result<()>;
    }
    Embeddings {
        put_embeddings(model: &str, embeddings: &[Embedding], now: Timestamp) -> Result<()>;
        embeddings_of(model: &str, entities: &[Entity]) -> Result<Vec<Embedding>>;
        embeddings_after(
            model: &str, entity_type: EntityType, after: &str, limit: usize
        ) -> Result<Vec<Embedding>>;
        complete_embeddings(model: &str, width: usize, now: Timestamp) -> Result<()>;
        embedding_models() -> Result<Vec<EmbeddingModel>>;
        delete_embeddings(model: &str) -> Result<bool>;
    }
    Lessons {
        append_lessons(model_version: i64, lessons: &[Vec<u8>]) -> Result<()>;
        lessons_after(
            model_version: i64, sequence: i64, limit: usize
        ) -> Result<Vec<(i64, Vec<u8>)>>;
        learned(model_version: i64) -> Result<Option<Learned>>;
        put_learned(model_version: i64, learned: &Learned) -> Result<bool>;
        delete_lessons_before(model_version: i64) -> Result<()>;
    }
    Exposures {
        put_exposures(exposures: &[Exposure]) -> Result<()>;
        exposure(id: &RecommendationId) -> Result<Option<Exposure>>;
        delete_exposures(before: Timestamp, limit: usize) -> Result<u64>;
    }
    Adapters {
        save_adapter(new: &NewAdapter, parent: Parent, now: Timestamp) -> Result<Saved>;
        served_adapter(user: &UserId, name: &AdapterName) -> Result<Option<Adapter>>;
        adapter(user: &UserId, name: &AdapterName, version: i64) -> Result<Option<Adapter>>;
        serve_adapter(
            user: &UserId, name: &AdapterName, expected: Option<i64>, version: i64, now: Timestamp
        ) -> Result<bool>;
        roll_back_adapter(
            user: &UserId, name: &AdapterName, served: i64, now: Timestamp
        ) -> Result<Option<i64>>;
        pin_adapter(
            user: &UserId, name: &AdapterName, version: i64, pinned: bool, now: Timestamp
        ) -> Result<bool>;
        delete_adapter(user: &UserId, name: &AdapterName, version: i64) -> Result<bool>;
        delete_adapters_named(user: &UserId, name: &AdapterName, now: Timestamp) -> Result<u64>;
        delete_adapters(user: &UserId, now: Timestamp) -> Result<u64>;
        retain_adapters(user: &UserId, name: &AdapterName, keep: usize) -> Result<u64>;
        adapters(
            user: &UserId, name: Option<&AdapterName>, after: Option<&AdapterPosition>, limit: usize
        ) -> Result<Vec<Adapter>>;
        count_adapters(user: &UserId, name: Option<&AdapterName>) -> Result<u64>;
        adapter_statistics() -> Result<AdapterStatistics>;
    }
    AdapterChanges {
        adapter_changes_head() -> Result<i64>;
        adapter_changes_after(sequence: i64, limit: usize) -> Result<Vec<AdapterChange>>;
        opt_out_of_adapters(user: &UserId, now: Timestamp) -> Result<u64>;
        opt_in_to_adapters(user: &UserId, now: Timestamp) -> Result<bool>;
        opted_out_at(user: &UserId) -> Result<Option<Timestamp>>;
        opted_out_after(after: Option<&UserId>, limit: usize) -> Result<Vec<UserId>>;
    }
    WrittenUsers {
        put_users(users: &[(UserId, UserAttributes)], now: Timestamp) -> Result<()>;
        written_users(model: Option<&str>, users: &[UserId]) -> Result<Vec<WrittenUser>>;
        user_writes_head() -> Result<i64>;
        user_writes_after(sequence: i64, limit: usize) -> Result<Vec<UserWrite>>;
    }
}

#[async_trait]
impl Store for CountingStore {
    fn describe(&self) -> String {
        self.store.describe()
    }

    async fn ping(&self) -> Result<()> {
        self.note("ping");
        self.store.ping().await
    }

    async fn migrations(&self) -> Result<Vec<(i64, String)>> {
        self.note("migrations");
        self.store.migrations().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
