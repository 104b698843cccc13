//! The double's gRPC services. What Sona does not call is not there.

#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "the functions that answer are alike, so that one macro can call them"
)]

use std::pin::Pin;

use ::qdrant_client::qdrant::collections_server::Collections;
use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::qdrant_server::Qdrant;
use ::qdrant_client::qdrant::vectors_config::Config;
use ::qdrant_client::qdrant::{
    self, CollectionConfig, CollectionDescription, CollectionInfo, CollectionOperationResponse,
    CollectionParams, CreateCollection, DeleteCollection, DeletePoints, Distance,
    GetCollectionInfoRequest, GetCollectionInfoResponse, HealthCheckReply, HealthCheckRequest,
    ListCollectionsRequest, ListCollectionsResponse, PointsOperationResponse, QueryPoints,
    QueryResponse, ScrollPoints, ScrollResponse, UpdateResult, UpdateStatus, UpsertPoints,
};
use tonic::{Request, Response, Status};

use super::collection::Collection;
use super::{Inner, State};

type Answer<'f, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'f>>;

/// Methods as `async_trait` writes them, answered by functions of what the server holds.
macro_rules! answered {
    ($($name:ident: $request:ident => $response:ident = $answer:path;)+) => {$(
        fn $name<'s, 'f>(&'s self, request: Request<qdrant::$request>) -> Answer<'f, qdrant::$response>
        where
            's: 'f,
            Self: 'f,
        {
            Box::pin(async move {
                let request = self.enter(stringify!($answer), request).await?;
                Ok(Response::new($answer(&mut self.inner(), request)?))
            })
        }
    )+};
}

/// Methods that are not there.
macro_rules! absent {
    ($($name:ident: $request:ident => $response:ident;)+) => {$(
        fn $name<'s, 'f>(&'s self, _: Request<qdrant::$request>) -> Answer<'f, qdrant::$response>
        where
            's: 'f,
            Self: 'f,
        {
            Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
        }
    )+};
}

impl Points for State {
    answered! {
        upsert: UpsertPoints => PointsOperationResponse = upsert;
        delete: DeletePoints => PointsOperationResponse = delete;
        scroll: ScrollPoints => ScrollResponse = scroll;
        query: QueryPoints => QueryResponse = query;
    }
    absent! {
        get: GetPoints => GetResponse;
        update_vectors: UpdatePointVectors => PointsOperationResponse;
        delete_vectors: DeletePointVectors => PointsOperationResponse;
        set_payload: SetPayloadPoints => PointsOperationResponse;
        overwrite_payload: SetPayloadPoints => PointsOperationResponse;
        delete_payload: DeletePayloadPoints => PointsOperationResponse;
        clear_payload: ClearPayloadPoints => PointsOperationResponse;
        create_field_index: CreateFieldIndexCollection => PointsOperationResponse;
        delete_field_index: DeleteFieldIndexCollection => PointsOperationResponse;
        create_vector_name: CreateVectorNameRequest => PointsOperationResponse;
        delete_vector_name: DeleteVectorNameRequest => PointsOperationResponse;
        search: SearchPoints => SearchResponse;
        search_batch: SearchBatchPoints => SearchBatchResponse;
        search_groups: SearchPointGroups => SearchGroupsResponse;
        recommend: RecommendPoints => RecommendResponse;
        recommend_batch: RecommendBatchPoints => RecommendBatchResponse;
        recommend_groups: RecommendPointGroups => RecommendGroupsResponse;
        discover: DiscoverPoints => DiscoverResponse;
        discover_batch: DiscoverBatchPoints => DiscoverBatchResponse;
        count: CountPoints => CountResponse;
        update_batch: UpdateBatchPoints => UpdateBatchResponse;
        query_batch: QueryBatchPoints => QueryBatchResponse;
        query_groups: QueryPointGroups => QueryGroupsResponse;
        facet: FacetCounts => FacetResponse;
        search_matrix_pairs: SearchMatrixPoints => SearchMatrixPairsResponse;
        search_matrix_offsets: SearchMatrixPoints => SearchMatrixOffsetsResponse;
    }
}

impl Collections for State {
    answered! {
        get: GetCollectionInfoRequest => GetCollectionInfoResponse = collection_info;
        list: ListCollectionsRequest => ListCollectionsResponse = list_collections;
        create: CreateCollection => CollectionOperationResponse = create_collection;
        delete: DeleteCollection => CollectionOperationResponse = delete_collection;
    }
    absent! {
        update: UpdateCollection => CollectionOperationResponse;
        update_aliases: ChangeAliases => CollectionOperationResponse;
        list_collection_aliases: ListCollectionAliasesRequest => ListAliasesResponse;
        list_aliases: ListAliasesRequest => ListAliasesResponse;
        collection_cluster_info: CollectionClusterInfoRequest => CollectionClusterInfoResponse;
        collection_exists: CollectionExistsRequest => CollectionExistsResponse;
        update_collection_cluster_setup: UpdateCollectionClusterSetupRequest => UpdateCollectionClusterSetupResponse;
        create_shard_key: CreateShardKeyRequest => CreateShardKeyResponse;
        delete_shard_key: DeleteShardKeyRequest => DeleteShardKeyResponse;
        list_shard_keys: ListShardKeysRequest => ListShardKeysResponse;
    }
}

impl Qdrant for State {
    answered! {
        health_check: HealthCheckRequest => HealthCheckReply = health_check;
    }
}

fn found<'c>(inner: &'c mut Inner, name: &str) -> Result<&'c mut Collection, Status> {
    let missing = || Status::not_found(format!("Collection `{name}` doesn't exist!"));
    inner.collections.get_mut(name).ok_or_else(missing)
}

fn upsert(inner: &mut Inner, request: UpsertPoints) -> Result<PointsOperationResponse, Status> {
    let collection = found(inner, &request.collection_name)?;
    collection.upsert(request.points)?;
    Ok(written(request.wait))
}

fn delete(inner: &mut Inner, request: DeletePoints) -> Result<PointsOperationResponse, Status> {
    let collection = found(inner, &request.collection_name)?;
    match request.points.and_then(|points| points.points_selector_one_of) {
        Some(PointsSelectorOneOf::Points(list)) => collection.delete(&list.ids)?,
        Some(PointsSelectorOneOf::Filter(_)) | None => {
            return Err(Status::unimplemented("this selector"));
        }
    }
    Ok(written(request.wait))
}

/// Only who waits may rely on what was written.
fn written(wait: Option<bool>) -> PointsOperationResponse {
    let status = match wait {
        Some(true) => UpdateStatus::Completed,
        Some(false) | None => UpdateStatus::Acknowledged,
    };
    let result = UpdateResult { status: status.into(), ..UpdateResult::default() };
    PointsOperationResponse { result: Some(result), ..PointsOperationResponse::default() }
}

fn scroll(inner: &mut Inner, request: ScrollPoints) -> Result<ScrollResponse, Status> {
    let collection = found(inner, &request.collection_name)?;
    // Ten is the server's default.
    let limit = request.limit.unwrap_or(10) as usize;
    let payload = request.with_payload.as_ref();
    let (result, next_page_offset) = collection.scroll(request.offset.as_ref(), limit, payload)?;
    Ok(ScrollResponse { result, next_page_offset, ..ScrollResponse::default() })
}

fn query(inner: &mut Inner, request: QueryPoints) -> Result<QueryResponse, Status> {
    let overlooked = inner.overlooked;
    let result = found(inner, &request.collection_name)?.query(&request, overlooked)?;
    Ok(QueryResponse { result, ..QueryResponse::default() })
}

fn collection_info(
    inner: &mut Inner,
    request: GetCollectionInfoRequest,
) -> Result<GetCollectionInfoResponse, Status> {
    let params = found(inner, &request.collection_name)?.params;
    let params = CollectionParams {
        vectors_config: Some(Config::Params(params).into()),
        ..CollectionParams::default()
    };
    let config = CollectionConfig { params: Some(params), ..CollectionConfig::default() };
    let result = CollectionInfo { config: Some(config), ..CollectionInfo::default() };
    Ok(GetCollectionInfoResponse { result: Some(result), ..GetCollectionInfoResponse::default() })
}

fn list_collections(
    inner: &mut Inner,
    _: ListCollectionsRequest,
) -> Result<ListCollectionsResponse, Status> {
    let names = inner.collections.keys().cloned();
    let collections = names.map(|name| CollectionDescription { name }).collect();
    Ok(ListCollectionsResponse { collections, ..ListCollectionsResponse::default() })
}

fn create_collection(
    inner: &mut Inner,
    request: CreateCollection,
) -> Result<CollectionOperationResponse, Status> {
    let name = request.collection_name;
    if inner.collections.contains_key(&name) {
        return Err(Status::already_exists(format!("Collection `{name}` already exists!")));
    }
    let Some(Config::Params(params)) = request.vectors_config.and_then(|vectors| vectors.config)
    else {
        return Err(Status::unimplemented("this layout"));
    };
    if params.size == 0 || params.distance() != Distance::Cosine {
        return Err(Status::unimplemented("this layout"));
    }
    inner.collections.insert(name, Collection::new(params));
    Ok(CollectionOperationResponse { result: true, time: 0.0 })
}

fn delete_collection(
    inner: &mut Inner,
    request: DeleteCollection,
) -> Result<CollectionOperationResponse, Status> {
    let result = inner.collections.remove(&request.collection_name).is_some();
    Ok(CollectionOperationResponse { result, time: 0.0 })
}

fn health_check(_: &mut Inner, _: HealthCheckRequest) -> Result<HealthCheckReply, Status> {
    let (title, version) = ("double".to_owned(), "0.0.0".to_owned());
    Ok(HealthCheckReply { title, version, commit: None })
}
