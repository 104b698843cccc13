//! The index on a Qdrant server, over gRPC: a collection for each set.
//!
//! Written against the protocol of `qdrant-client` 1.20, <https://qdrant.tech/documentation/>.

mod place;
mod request;
mod retry;

use std::time::Duration;

use async_trait::async_trait;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{Distance, ScoredPoint, VectorParams};
use sona_domain::ContentId;

use super::{Allowed, Page, Point, Search, VectorIndex, VectorSet, check_width};
use crate::error::{Error, Result};
use place::Place;
use retry::{Call, once, retried};

/// How long one request may take; searches are given up sooner by those who wait for them.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Numbers in the vectors of one request: 1 MB.
const BATCH_NUMBERS: usize = 250_000;

/// How many times as many titles are asked for as are wanted where the server cannot tell which are allowed, and how many
/// times more each time they were not enough.
const OVER_FETCH: usize = 2;
const OVER_FETCH_GROWTH: usize = 4;

/// A Qdrant server.
pub(super) struct Qdrant {
    client: qdrant_client::Qdrant,
    place: Place,
}

impl Qdrant {
    pub(super) fn open(url: &str, api_key: &str) -> Result<Self> {
        let place = Place::read(url)?;
        let client = qdrant_client::Qdrant::from_url(&place.endpoint)
            .api_key((!api_key.is_empty()).then_some(api_key))
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // It would block, and print.
            .skip_compatibility_check()
            .build()
            .map_err(|error| Error::Invalid(format!("{}: {error}", place.shown)))?;
        Ok(Self { client, place })
    }

    fn call<'a>(&'a self, set: &'a VectorSet) -> Call<'a> {
        Call { place: &self.place.shown, encoder: &set.encoder }
    }

    fn collection(&self, set: &VectorSet) -> String {
        self.place.collection(&set.encoder)
    }

    /// How the collection of a set is laid out; `None` if there is none.
    async fn layout(&self, set: &VectorSet) -> Result<Option<VectorParams>> {
        let collection = self.collection(set);
        let info = retried(self.call(set), || self.client.collection_info(collection.as_str()));
        let info = match info.await {
            Ok(response) => response.result,
            Err(Error::NoSet(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let params = info.and_then(|info| info.config?.params?.vectors_config?.config);
        match params {
            Some(Config::Params(params)) => Ok(Some(params)),
            Some(Config::ParamsMap(_)) | None => Err(Error::Invalid(format!(
                "the collection {collection} of {} is not Sona's",
                self.place.shown
            ))),
        }
    }

    /// The layout of a set's collection, which is made if there is none; `None` if it is gone again.
    async fn made(&self, set: &VectorSet) -> Result<Option<VectorParams>> {
        if let Some(params) = self.layout(set).await? {
            return Ok(Some(params));
        }
        let create =
            || self.client.create_collection(request::create(self.collection(set), set.width));
        let made = retried(self.call(set), create).await;
        let params = self.layout(set).await?;
        // Another process may have been first.
        if params.is_none() { made.map(|_| None) } else { Ok(params) }
    }

    /// The nearest `limit` points of those the filter lets through.
    async fn query(
        &self,
        set: &VectorSet,
        search: &Search<'_>,
        (limit, exact): (usize, bool),
    ) -> Result<Vec<Option<ContentId>>> {
        let collection = self.collection(set);
        let query = request::query(collection, search.vector, &search.allowed, limit, exact);
        let response = once(self.call(set), self.client.query(query)).await?;
        let title = |point: ScoredPoint| request::content_id(&point.payload);
        Ok(response.result.into_iter().map(title).collect())
    }

    /// Asks for more and more until enough of what comes is allowed, or nothing more comes.
    async fn search(
        &self,
        set: &VectorSet,
        search: &Search<'_>,
        exact: bool,
    ) -> Result<Vec<ContentId>> {
        let allowed = |title: &ContentId| match search.allowed {
            Allowed::Where(allowed) => allowed(title),
            Allowed::Only(_) | Allowed::AllBut(_) => true,
        };
        let mut limit = match search.allowed {
            Allowed::Where(_) => search.limit.saturating_mul(OVER_FETCH),
            Allowed::Only(_) | Allowed::AllBut(_) => search.limit,
        };
        loop {
            let points = self.query(set, search, (limit, exact)).await?;
            let is_all = points.len() < limit;
            let found: Vec<_> =
                points.into_iter().flatten().filter(allowed).take(search.limit).collect();
            if is_all || found.len() == search.limit {
                return Ok(found);
            }
            limit = limit.saturating_mul(OVER_FETCH_GROWTH);
        }
    }
}

#[async_trait]
impl VectorIndex for Qdrant {
    fn describe(&self) -> String {
        self.place.shown.clone()
    }

    async fn ping(&self) -> Result<String> {
        let call = Call { place: &self.place.shown, encoder: "" };
        Ok(once(call, self.client.health_check()).await?.version)
    }

    async fn create(&self, set: &VectorSet) -> Result<()> {
        let Some(params) = self.made(set).await? else { return Ok(()) };
        let (size, cosine) = (set.width as u64, Distance::Cosine as i32);
        if (params.size, params.distance) == (size, cosine) {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "the collection {} of {} holds vectors of {} numbers by {:?}, not of {size} by Cosine",
            self.collection(set),
            self.place.shown,
            params.size,
            params.distance(),
        )))
    }

    async fn upsert(&self, set: &VectorSet, points: &[Point]) -> Result<()> {
        for point in points {
            check_width(set, point.vector.len())?;
        }
        for batch in points.chunks((BATCH_NUMBERS / set.width.max(1)).max(1)) {
            let upsert = || self.client.upsert_points(request::upsert(self.collection(set), batch));
            retried(self.call(set), upsert).await?;
        }
        Ok(())
    }

    async fn remove(&self, set: &VectorSet, titles: &[ContentId]) -> Result<()> {
        if titles.is_empty() {
            return Ok(());
        }
        let delete = || self.client.delete_points(request::delete(self.collection(set), titles));
        retried(self.call(set), delete).await?;
        Ok(())
    }

    async fn page(&self, set: &VectorSet, from: Option<&str>, limit: u32) -> Result<Page> {
        let scroll = || self.client.scroll(request::scroll(self.collection(set), from, limit));
        let response = retried(self.call(set), scroll).await?;
        let title = |payload: &_| Some((request::content_id(payload)?, request::digest(payload)));
        let titles = response.result.iter().filter_map(|point| title(&point.payload)).collect();
        let next = response.next_page_offset.and_then(request::uuid);
        Ok(Page { titles, next })
    }

    async fn nearest(&self, set: &VectorSet, search: &Search<'_>) -> Result<Vec<ContentId>> {
        check_width(set, search.vector.len())?;
        if search.limit == 0 {
            return Ok(Vec::new());
        }
        let found = self.search(set, search, false).await?;
        if found.len() == search.limit {
            return Ok(found);
        }
        // A graph may not reach everything; a scan does.
        self.search(set, search, true).await
    }

    async fn keep_only(&self, set: &VectorSet) -> Result<usize> {
        let kept = self.collection(set);
        let collections = retried(self.call(set), || self.client.list_collections()).await?;
        let mut dropped = 0;
        for collection in collections.collections {
            if self.place.owns(&collection.name) && collection.name != kept {
                let name = collection.name.as_str();
                retried(self.call(set), || self.client.delete_collection(name)).await?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }
}
