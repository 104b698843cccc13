//! How an answer comes about, measured where somebody asks for it. Where nobody does nothing is measured.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sona_domain::{Drops, Explain, Source, SourceStatus, SourceTrace, Stages};
use sona_numeric::rows::RowSet;

use crate::candidates::{Candidates, Question};
use crate::live::users::User;

/// What is measured as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    /// What follows from the user's state.
    Prepare,
    /// What may be shown.
    Gate,
    /// An index outside of the process.
    Search,
    /// The sources and the order.
    Order,
    /// Which titles do not repeat each other.
    Diversify,
    /// Why.
    Reasons,
}

/// The measurements of one answer.
pub(crate) struct Trace {
    started: Instant,
    user: Duration,
    measured: Mutex<Measured>,
}

#[derive(Default)]
struct Measured {
    /// By [`Stage`].
    stages: [Duration; 6],
    /// By source; `None` if it was not asked.
    sources: [Option<Duration>; Source::ALL.len()],
}

impl Trace {
    /// An answer that was begun at `started` and has found its user now.
    pub(crate) fn new(started: Instant) -> Self {
        Self { started, user: started.elapsed(), measured: Mutex::default() }
    }

    /// Does some work of a stage, measured if there is a trace.
    pub(crate) fn time<R>(trace: Option<&Self>, stage: Stage, work: impl FnOnce() -> R) -> R {
        let Some(trace) = trace else { return work() };
        let started = Instant::now();
        let result = work();
        trace.add(stage, started.elapsed());
        result
    }

    /// Counts time spent on a stage.
    pub(crate) fn add(&self, stage: Stage, spent: Duration) {
        self.measured().stages[stage as usize] += spent;
    }

    /// A source whose answers are measured.
    pub(crate) fn ask<'q>(
        &'q self,
        source: Source,
        ask: impl FnOnce() -> Box<dyn Candidates + 'q>,
    ) -> Box<dyn Candidates + 'q> {
        let asked = self.time_source(source, ask);
        Box::new(Timed { asked, trace: self })
    }

    fn time_source<R>(&self, source: Source, work: impl FnOnce() -> R) -> R {
        let started = Instant::now();
        let result = work();
        *self.measured().sources[source as usize].get_or_insert_default() += started.elapsed();
        result
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found. `statuses` says what the sources brought.
    pub(crate) fn finish(&self, statuses: &[SourceStatus], dropped: Drops) -> Explain {
        let measured = self.measured();
        let spent = |stage: Stage| measured.stages[stage as usize];
        let asked: Duration = measured.sources.iter().flatten().sum();
        let sources = statuses.iter().filter_map(|status| {
            let spent = measured.sources[status.source as usize]?;
            let (source, candidates) = (status.source, status.candidates);
            Some(SourceTrace { source, candidates, microseconds: micros(spent) })
        });
        Explain {
            stages: Stages {
                user: micros(self.user),
                prepare: micros(spent(Stage::Prepare)),
                gate: micros(spent(Stage::Gate)),
                search: micros(spent(Stage::Search)),
                sources: micros(asked),
                order: micros(spent(Stage::Order).saturating_sub(asked)),
                diversify: micros(spent(Stage::Diversify)),
                reasons: micros(spent(Stage::Reasons)),
                total: micros(self.started.elapsed()),
            },
            sources: sources.collect(),
            dropped,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What became of the candidates of one answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    /// How many the sources brought.
    pub(crate) candidates: usize,
    /// How many of them became forbidden.
    pub(crate) became_forbidden: usize,
    /// How many are in the list.
    pub(crate) shown: usize,
}

/// Why the other titles of the catalogue are not in the list.
pub(crate) fn drops(question: &Question<'_>, user: &User, passed: Passed) -> Drops {
    let Passed { candidates, became_forbidden, shown } = passed;
    let available: &RowSet = question.view.available();
    let (mut seen, mut rejected) = (0, 0);
    {
        let state = user.state();
        let blocked = question.taste.blocked.iter().filter(|row| available.contains(**row));
        for row in blocked {
            *(if state.history.is_seen(*row) { &mut seen } else { &mut rejected }) += 1;
        }
    }
    let (entries, available) = (question.view.entries(), available.count());
    let allowed = question.allowed.count();
    let excluded = available.saturating_sub(seen + rejected + allowed);
    let rest = |all: usize, some: usize| all.saturating_sub(some) as u64;
    Drops {
        unavailable: rest(entries, available),
        seen: seen as u64,
        rejected: rejected as u64,
        excluded: excluded as u64,
        not_brought: rest(allowed, candidates),
        became_forbidden: became_forbidden as u64,
        beyond_limit: rest(candidates, became_forbidden + shown),
    }
}

/// A source that says how long it takes to bring its best.
struct Timed<'q> {
    asked: Box<dyn Candidates + 'q>,
    trace: &'q Trace,
}

impl Candidates for Timed<'_> {
    fn source(&self) -> Source {
        self.asked.source()
    }

    fn best(&self, allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        self.trace.time_source(self.source(), || self.asked.best(allowed, limit))
    }

    fn score(&self, row: u32) -> f32 {
        self.asked.score(row)
    }

    fn raw(&self, row: u32) -> f32 {
        self.asked.raw(row)
    }

    fn by_newest(&self, row: u32) -> f32 {
        self.asked.by_newest(row)
    }

    fn absent(&self) -> &'static str {
        self.asked.absent()
    }
}
