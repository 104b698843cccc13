//! Training jobs and their state machine.
//!
//! ```text
//! queued ──claim──▶ initializing ──▶ running ──▶ completed
//!    │                   │              ├──────▶ failed
//!    └───────────────────┴──────────────┴──────▶ cancelled
//! ```
//!
//! A worker holds a job by a lease. A lease that runs out (the worker died) lets another worker claim the
//! job again from the start, until [`MAX_ATTEMPTS`] are used up. Every transition is a compare-and-set in
//! the store, guarded by [`JobState::may_become`] and the lease's owner.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::time::Timestamp;

/// A job whose lease ran out this many times is failed instead of claimed again.
pub const MAX_ATTEMPTS: u32 = 5;

/// Names a training job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub String);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for a worker.
    Queued,
    /// Claimed; reading its input.
    Initializing,
    /// Fitting.
    Running,
    /// Done; [`TrainingJob::outcome`] says whether its model is served.
    Completed,
    /// Gave up; [`TrainingJob::error`] says why.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Initializing,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The wire and database name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Initializing => "initializing",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the database name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// True if nothing can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// True if a job may go from `self` to `next`. A claim after an expired lease goes back to
    /// `initializing` from `initializing` or `running`.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Initializing | Self::Failed | Self::Cancelled),
            Self::Initializing => {
                matches!(next, Self::Initializing | Self::Running | Self::Failed | Self::Cancelled)
            }
            Self::Running => matches!(
                next,
                Self::Initializing | Self::Completed | Self::Failed | Self::Cancelled
            ),
            Self::Completed | Self::Failed | Self::Cancelled => false,
        }
    }
}

/// What became of a completed job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum JobOutcome {
    /// Registered and made the current version.
    Registered {
        /// The version.
        version: i64,
    },
    /// Worse on held-out events than the serving model beyond the margin; not registered.
    Rejected {
        /// The comparison in words.
        reason: String,
    },
    /// The catalogue was encoded.
    Encoded {
        /// The text encoder.
        encoder: String,
        /// Titles that have its vector now.
        titles: u64,
    },
}

/// A training job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingJob {
    /// Its name.
    pub job_id: JobId,
    /// The model it trains; `embeddings` is the encoding of the catalogue.
    pub model_name: String,
    /// Where it stands.
    pub state: JobState,
    /// The options it trains with.
    pub options: Map<String, Value>,
    /// How often it was claimed.
    pub attempts: u32,
    /// Who holds it.
    pub worker: Option<String>,
    /// Until when.
    pub lease_until: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    /// What became of its model.
    pub outcome: Option<JobOutcome>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it was last claimed.
    pub started_at: Option<Timestamp>,
    /// When it reached a final state.
    pub finished_at: Option<Timestamp>,
}

/// One measurement of a running job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricPoint {
    /// Which try of the job.
    pub attempt: u32,
    /// Position within the try, such as the iteration.
    pub step: i64,
    /// What was measured, such as `loss`.
    pub name: String,
    /// The value; finite.
    pub value: f64,
    /// When.
    pub timestamp: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_stay() {
        for state in JobState::ALL {
            for next in JobState::ALL {
                if state.is_final() {
                    assert!(!state.may_become(next), "{state:?} to {next:?}");
                }
                assert!(!state.may_become(JobState::Queued), "nothing returns to the queue");
            }
            assert_eq!(JobState::parse(state.as_str()), Some(state));
        }
    }

    #[test]
    fn success_passes_through_running() {
        assert!(!JobState::Queued.may_become(JobState::Completed));
        assert!(!JobState::Initializing.may_become(JobState::Completed));
        assert!(JobState::Running.may_become(JobState::Completed));
    }
}
