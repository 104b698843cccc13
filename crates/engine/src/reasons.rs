//! Why an item is in a list, in one sentence that is true.

use sona_domain::{Content, Source};
use sona_numeric::{matrix, sequence};

use crate::catalogue::View;
use crate::fuse::Fused;
use crate::live::counts::Counts;
use crate::live::users::{Taste, User};
use crate::snapshot::Snapshot;

/// Most titles of the history named as evidence.
const EVIDENCE: usize = 2;

/// How alike two titles' factors must be (cosine) to say one speaks for the other.
const ALIKE: f32 = 0.3;

/// Everything a reason may rest on.
pub(crate) struct Reasons<'a> {
    pub(crate) view: &'a View,
    pub(crate) counts: &'a Counts,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) user: &'a User,
    pub(crate) taste: &'a Taste,
    pub(crate) sequence: &'a sequence::Options,
    pub(crate) window_days: f64,
    pub(crate) mood: Option<&'static str>,
}

impl Reasons<'_> {
    /// The sentence, and the rows of the history it rests on.
    pub(crate) fn explain(&self, item: &Fused) -> (String, Vec<u32>) {
        let evidence = self.evidence(item);
        let sentence = match item.sources.first().map(|strongest| strongest.source) {
            Some(Source::Collaborative | Source::ItemItem | Source::Sequence)
                if !evidence.is_empty() =>
            {
                self.because(&evidence)
            }
            Some(Source::Collaborative | Source::ItemItem) => {
                "People with a taste like yours engaged with it".to_owned()
            }
            Some(Source::Sequence) => "Often watched after titles like your latest".to_owned(),
            Some(Source::Trending) => {
                let viewers = self.counts.trending.viewers(item.row);
                let days = self.window_days;
                format!("Trending: {} in the last {days} days", count(viewers, "viewer"))
            }
            Some(Source::Context) => match self.mood {
                Some(mood) => format!("Fits the mood: {mood}"),
                None => "Fits your device".to_owned(),
            },
            Some(Source::Popular) => {
                let viewers = self.counts.viewers.get(item.row as usize).copied().unwrap_or(0);
                format!("Popular: {} so far", count(viewers, "viewer"))
            }
            None => "Nobody has watched it yet".to_owned(),
        };
        (sentence, evidence)
    }

    /// The titles of the history that speak most for the item.
    fn evidence(&self, item: &Fused) -> Vec<u32> {
        let personal = |source: Source| {
            matches!(source, Source::Collaborative | Source::ItemItem | Source::Sequence)
        };
        if !item.sources.iter().any(|part| personal(part.source)) {
            return Vec::new();
        }
        let followed = self.counts.transitions.evidence(
            &self.taste.recent,
            item.row,
            &self.counts.viewers,
            self.sequence,
        );
        let mut rows: Vec<u32> = followed.into_iter().take(EVIDENCE).map(|(row, _)| row).collect();
        if rows.is_empty() {
            let near = self.snapshot.near(&self.taste.engaged, item.row);
            rows.extend(near.into_iter().take(EVIDENCE).map(|(row, _)| row));
        }
        if rows.is_empty() {
            rows.extend(self.most_alike(item.row));
        }
        rows.retain(|row| self.view.get(*row).is_some());
        rows
    }

    fn most_alike(&self, row: u32) -> Option<u32> {
        let factors = self.snapshot.factors(row)?;
        self.taste
            .recent
            .iter()
            .filter_map(|other| {
                Some((*other, matrix::cosine(factors, self.snapshot.factors(*other)?)))
            })
            .filter(|(_, alike)| *alike >= ALIKE)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(other, _)| other)
    }

    fn because(&self, evidence: &[u32]) -> String {
        let titles: Vec<_> = evidence
            .iter()
            .filter_map(|row| self.view.get(*row))
            .map(|content: &std::sync::Arc<Content>| content.title.as_str())
            .collect();
        let state = self.user.state();
        let seen = evidence.iter().all(|row| state.history.is_blocked(*row));
        let verb = if seen { "Because you watched" } else { "Because of your interest in" };
        format!("{verb} {}", titles.join(" and "))
    }
}

fn count(n: u32, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
