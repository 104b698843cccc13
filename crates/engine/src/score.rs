//! What given titles score for a user, on the scale of the list they would get.

use std::collections::HashSet;

use sona_domain::{
    ContentId, KeptOut, NotScored, RequestContext, ScoredTitle, Scores, Unscored, UserId,
};

use crate::Engine;
use crate::catalogue::View;
use crate::error::Result;
use crate::fuse::Fused;
use crate::live::users::User;
use crate::reasons::Reasons;
use crate::recommend::{RecommendRequest, SPARE, present};
use crate::written_users::completed;

/// Most titles of one request.
pub const MAX_SCORED: usize = 100;

/// The length of the list whose scale it is: that of a list for which no length is asked.
const LIST: usize = 20;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRequest {
    /// For whom.
    pub user_id: UserId,
    /// Which titles, 1..=[`MAX_SCORED`]; one that comes twice is answered once.
    pub content_ids: Vec<ContentId>,
    /// The circumstances.
    pub context: RequestContext,
}

impl Engine {
    /// Scores titles as the user's list scores its candidates, also those that no source brings. A title that may not be
    /// shown to anybody has no score; one that this user has seen or dismissed has one, and it says so.
    pub async fn score(&self, request: &ScoreRequest) -> Result<Scores> {
        let user = self.user(&request.user_id).await?;
        let as_list = RecommendRequest {
            user_id: request.user_id.clone(),
            limit: LIST,
            exclude: Vec::new(),
            context: completed(&request.context, user.written().as_deref()),
        };
        let now = self.clock.now();
        Ok(self.look(&as_list, &user, now, |question, reasons| {
            let (rows, unscored) = self.sort_out(&request.content_ids, question.view);
            let longest = self.options.diversity.pool_of(LIST) + SPARE;
            let order = self.order(question, longest, &rows);
            let rows = rows.into_iter().filter_map(|row| Some((row, order.score(row)?)));
            let items = order.explain(&rows.collect::<Vec<_>>()).into_iter();
            let scores = items.filter_map(|item| scored(item, reasons, &user));
            Scores {
                user_id: request.user_id.clone(),
                scores: scores.collect(),
                unscored,
                interaction_count: user.state().interaction_count,
                model_version: question.snapshot.version(),
                generated_at: now,
            }
        }))
    }

    /// The rows of the titles that can be scored, each once, and the others.
    fn sort_out(&self, ids: &[ContentId], view: &View) -> (Vec<u32>, Vec<Unscored>) {
        let (mut rows, mut unscored, mut met) = (Vec::new(), Vec::new(), HashSet::new());
        for id in ids.iter().filter(|id| met.insert(*id)) {
            let row = self.catalogue.row(id).filter(|row| view.get(*row).is_some());
            let reason = match row {
                Some(row) if view.available().contains(row) => {
                    rows.push(row);
                    continue;
                }
                Some(_) => NotScored::Unavailable,
                None => NotScored::Unknown,
            };
            unscored.push(Unscored { content_id: id.clone(), reason });
        }
        (rows, unscored)
    }
}

fn scored(item: Fused, reasons: &Reasons<'_>, user: &User) -> Option<ScoredTitle> {
    let row = item.row;
    let title = present(item, reasons.view, reasons)?;
    Some(ScoredTitle {
        content_id: title.content_id,
        title: title.title,
        year: title.year,
        score: title.score,
        recommendation_type: title.recommendation_type,
        sources: title.sources,
        adjustments: title.adjustments,
        based_on: title.based_on,
        explanation: title.explanation,
        kept_out: kept_out(row, user),
    })
}

fn kept_out(row: u32, user: &User) -> Option<KeptOut> {
    let state = user.state();
    if state.history.is_seen(row) {
        Some(KeptOut::Seen)
    } else {
        state.history.is_blocked(row).then_some(KeptOut::Rejected)
    }
}
