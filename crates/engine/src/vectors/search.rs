//! Searching outside of this process before a list is made.
//!
//! It is planned while the vectors are held, done while nothing is, and what it found is checked against what is in memory when
//! the list is made: cosines are always those of the vectors in memory. Rows the index may not have as they are now are looked at
//! in memory. Where there is no such index nothing of this is done, and nothing is waited for.

use std::time::Duration;

use futures_util::future::try_join_all;
use sona_domain::ContentId;
use sona_numeric::rows::RowSet;
use sona_store::vectors::{Allowed, Search, VectorSet};

use super::Vectors;
use super::elsewhere::{Copied, Elsewhere, Lack};
use crate::Engine;
use crate::catalogue::Catalogue;

/// Lists of titles are sent with a search up to this length; what is longer is looked through here.
const LISTED: usize = 512;

/// What is looked for.
pub(crate) enum Wanted {
    /// The rows of `allowed` nearest to `vector`, which has length 1.
    Near {
        /// As wide as the vectors.
        vector: Vec<f32>,
        /// How many.
        limit: usize,
        /// Among which.
        allowed: RowSet,
    },
    /// The rows nearest to this one; they are kept like those found in memory ([`Vectors::near`]).
    Neighbours {
        /// Of which.
        row: u32,
        /// How many.
        limit: usize,
    },
}

/// What was found outside of this process.
#[derive(Debug, Default)]
pub(crate) struct Found {
    generation: u64,
    near: Option<Vec<u32>>,
    lack: Option<Lack>,
}

impl Found {
    /// The rows found for [`Wanted::Near`], in no order; `None` if they are to be looked for in memory.
    pub(crate) fn near(&self, vectors: &Vectors) -> Option<&[u32]> {
        // Rows of another encoder's vectors are near something else.
        let near = self.near.as_deref();
        near.filter(|_| self.generation == vectors.generation())
    }

    /// Why they are, where they should not have to be.
    pub(crate) fn lack(&self) -> Option<&'static str> {
        self.lack.map(Lack::explain)
    }
}

/// A search as it is sent.
struct Sent {
    /// Whose neighbours they are.
    of: Option<u32>,
    vector: Vec<f32>,
    /// How many are wanted.
    wanted: usize,
    /// How many of those that the index has.
    limit: usize,
    among: Among,
    /// Rows that may be found.
    allowed: RowSet,
    /// Allowed rows that the index may not have as they are.
    here: Vec<u32>,
}

enum Among {
    Only(Vec<ContentId>),
    AllBut(Vec<ContentId>),
    Allowed,
}

/// Of which vectors the plan is.
struct Plan {
    set: VectorSet,
    generation: u64,
    changes: u64,
    searches: Vec<Sent>,
}

impl Engine {
    /// Looks outside of this process for what is wanted, if there is an index; for [`Wanted::Near`] at most once.
    pub(crate) async fn find(&self, wanted: impl FnOnce(&Vectors) -> Vec<Wanted>) -> Found {
        let Some(elsewhere) = &self.elsewhere else { return Found::default() };
        let plan = {
            let vectors = self.vectors();
            let wanted = wanted(&vectors);
            if wanted.is_empty() {
                return Found::default();
            }
            plan(&vectors, elsewhere, wanted)
        };
        let now = self.clock.now();
        let lacks = |lack: Lack, detail: &str| {
            elsewhere.note_lack(lack, detail, now);
            Found { lack: Some(lack), ..Found::default() }
        };
        let Some(plan) = plan else { return lacks(Lack::Incomplete, "") };
        if elsewhere.is_resting(now) {
            return lacks(Lack::Resting, "");
        }
        match plan.ask(elsewhere, &self.catalogue).await {
            Ok(rows) => {
                elsewhere.note_answer();
                self.take(plan, rows)
            }
            Err((lack, detail)) => lacks(lack, &detail),
        }
    }

    /// Keeps neighbours, hands out the rest.
    fn take(&self, plan: Plan, found: Vec<Vec<u32>>) -> Found {
        let vectors = self.vectors();
        let mut near = None;
        for (search, mut rows) in plan.searches.into_iter().zip(found) {
            rows.extend(search.here);
            match search.of {
                None => near = Some(rows),
                Some(row) => {
                    let ranked = vectors.ranked(&search.vector, rows, search.wanted);
                    vectors.keep_near(row, ranked, (plan.generation, plan.changes));
                }
            }
        }
        Found { generation: plan.generation, near, lack: None }
    }
}

/// `None` if the index does not have these vectors.
fn plan(vectors: &Vectors, elsewhere: &Elsewhere, wanted: Vec<Wanted>) -> Option<Plan> {
    let copied = elsewhere.copied();
    if copied.generation != vectors.generation() || copied.generation == 0 {
        return None;
    }
    let mut there = vectors.all().clone();
    there.intersect(copied.rows());
    for row in elsewhere.journal.rows() {
        there.remove(row);
    }
    let send = |wanted| match wanted {
        Wanted::Near { vector, limit, allowed } => {
            Some(sent(vectors, (&copied, &there), vector, (limit, allowed, None)))
        }
        Wanted::Neighbours { row, limit } => {
            let mut others = vectors.all().clone();
            others.remove(row);
            let vector = vectors.get(row)?.to_vec();
            Some(sent(vectors, (&copied, &there), vector, (limit, others, Some(row))))
        }
    };
    Some(Plan {
        set: VectorSet { encoder: vectors.encoder().to_owned(), width: vectors.width() },
        generation: vectors.generation(),
        changes: vectors.changes(),
        searches: wanted.into_iter().filter_map(send).collect(),
    })
}

fn sent(
    vectors: &Vectors,
    (copied, there): (&Copied, &RowSet),
    vector: Vec<f32>,
    (limit, mut allowed, of): (usize, RowSet, Option<u32>),
) -> Sent {
    allowed.intersect(vectors.all());
    let mut here = allowed.clone();
    here.subtract(there);
    allowed.intersect(there);
    let mut forbidden = copied.rows().clone();
    forbidden.subtract(&allowed);
    let titles = |rows: &RowSet| rows.iter().filter_map(|row| copied.title(row).cloned()).collect();
    let count = allowed.count();
    let among = if count <= LISTED {
        Among::Only(titles(&allowed))
    } else if forbidden.count() <= LISTED {
        Among::AllBut(titles(&forbidden))
    } else {
        Among::Allowed
    };
    let here = here.iter().collect();
    Sent { of, vector, wanted: limit, limit: limit.min(count), among, allowed, here }
}

impl Plan {
    /// For each search the rows found, the nearest first, without those that are looked at here.
    async fn ask(
        &self,
        elsewhere: &Elsewhere,
        catalogue: &Catalogue,
    ) -> Result<Vec<Vec<u32>>, (Lack, String)> {
        let searches = self.searches.iter();
        let all = try_join_all(searches.map(|search| search.ask(elsewhere, &self.set, catalogue)));
        let late = |deadline: Duration| (Lack::Late, format!("no answer within {deadline:?}"));
        let found = tokio::time::timeout(elsewhere.deadline, all).await;
        let found = found.map_err(|_| late(elsewhere.deadline))?.map_err(|error| {
            if matches!(error, sona_store::Error::NoSet(_)) {
                // Somebody dropped it; the copying makes it anew.
                elsewhere.forget();
            }
            (Lack::Failed, error.to_string())
        })?;
        let short = self.searches.iter().zip(&found).find(|(sent, rows)| rows.len() < sent.limit);
        match short {
            None => Ok(found),
            Some((sent, rows)) => {
                Err((Lack::TooFew, format!("{} titles found of {}", rows.len(), sent.limit)))
            }
        }
    }
}

impl Sent {
    async fn ask(
        &self,
        elsewhere: &Elsewhere,
        set: &VectorSet,
        catalogue: &Catalogue,
    ) -> sona_store::Result<Vec<u32>> {
        if self.limit == 0 {
            return Ok(Vec::new());
        }
        let row =
            |title: &ContentId| catalogue.row(title).filter(|row| self.allowed.contains(*row));
        let is_allowed = |title: &ContentId| row(title).is_some();
        let allowed = match &self.among {
            Among::Only(titles) => Allowed::Only(titles),
            Among::AllBut(titles) => Allowed::AllBut(titles),
            Among::Allowed => Allowed::Where(&is_allowed),
        };
        let search = Search { vector: &self.vector, limit: self.limit, allowed };
        let titles = elsewhere.index.nearest(set, &search).await?;
        Ok(titles.iter().filter_map(row).collect())
    }
}
