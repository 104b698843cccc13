//! Trying again while the server does not answer, and what its errors mean.

use std::time::Duration;

use qdrant_client::QdrantError;
use tonic::Code;

use crate::error::{Error, Result};

/// How long to wait before the second, the third and the fourth try.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900)];

/// What is called, for errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) place: &'a str,
    pub(super) encoder: &'a str,
}

/// One try. The client's futures take some 20 KB each: they are kept apart from those that wait for them.
pub(super) fn once<T>(
    call: Call<'_>,
    answer: impl Future<Output = Result<T, QdrantError>>,
) -> impl Future<Output = Result<T>> {
    let answer = Box::pin(answer);
    async move { answer.await.map_err(|error| call.meant_by(&error)) }
}

/// Tries again, later and later, while another try may help.
pub(super) async fn retried<T, A>(call: Call<'_>, mut ask: impl FnMut() -> A) -> Result<T>
where
    A: Future<Output = Result<T, QdrantError>>,
{
    for pause in PAUSES {
        match once(call, ask()).await {
            Err(error @ Error::IndexUnavailable { .. }) => {
                tracing::debug!(%error, "trying again in {pause:?}");
                tokio::time::sleep(pause).await;
            }
            settled => return settled,
        }
    }
    once(call, ask()).await
}

impl Call<'_> {
    fn meant_by(self, error: &QdrantError) -> Error {
        let unavailable =
            |detail: String| Error::IndexUnavailable { place: self.place.to_owned(), detail };
        let invalid = |detail: String| Error::Invalid(format!("{}: {detail}", self.place));
        let (QdrantError::ResponseError { status }
        | QdrantError::ResourceExhaustedError { status, .. }) = error
        else {
            return invalid(error.to_string());
        };
        let detail = format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            Code::NotFound => Error::NoSet(self.encoder.to_owned()),
            // Also what the client says where no connection can be made.
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
            | Code::Internal
            | Code::Unknown => unavailable(detail),
            Code::Ok
            | Code::InvalidArgument
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss => invalid(detail),
        }
    }
}
