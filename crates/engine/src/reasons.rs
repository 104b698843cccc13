//! Why an item is in a list, in one sentence that is true.

use sona_domain::{RequestContext, Source};
use sona_numeric::walk::Walk;

use crate::candidates::{content, context};
use crate::catalogue::View;
use crate::fuse::Fused;
use crate::live::attributes::Alike;
use crate::live::counts::Counts;
use crate::live::users::Taste;
use crate::snapshot::Snapshot;
use crate::snapshot::embedding::Placed;
use crate::snapshot::graph::{Kind, Now};
use crate::vectors::Vectors;

/// Most titles of the history named as evidence.
const EVIDENCE: usize = 2;

/// Room made at once for a sentence, in bytes.
const ROOM: usize = 80;

/// How alike two titles' factors must be (cosine) to say one speaks for the other.
const ALIKE: f32 = 0.3;

/// Everything a reason may rest on.
pub(crate) struct Reasons<'a> {
    pub(crate) view: &'a View,
    pub(crate) counts: &'a Counts,
    pub(crate) alike: &'a Alike,
    pub(crate) embedding: Option<&'a Placed>,
    /// The model's graph, and the walk over it from the user's latest titles.
    pub(crate) walk: Option<(&'a Now<'a>, &'a Walk<'a>)>,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) taste: &'a Taste,
    pub(crate) vectors: &'a Vectors,
    /// The user's latest titles as the sequence source weighs them.
    pub(crate) latest: &'a [(u32, f32)],
    pub(crate) window_days: f64,
    pub(crate) context: &'a RequestContext,
}

impl Reasons<'_> {
    /// The sentence, and the rows of the history it rests on.
    pub(crate) fn explain(&self, item: &Fused) -> (String, Vec<u32>) {
        // What has nothing to say of the item is no reason, however it is weighed.
        let moments = self.counts.trending.moments();
        let says = |source| {
            source != Source::Context || context::speaks_of(self.context, moments, item.row)
        };
        let speaks = item.sources.iter().find(|part| part.score > 0.0 && says(part.source));
        let strongest = speaks.map(|strongest| strongest.source);
        if strongest == Some(Source::Attributes)
            && let Some((sentence, row)) = self.shares(item.row)
        {
            return (sentence, vec![row]);
        }
        if strongest == Some(Source::Graph)
            && let Some((sentence, row)) = self.connects(item.row)
        {
            return (sentence, vec![row]);
        }
        let evidence = self.evidence(item);
        let sentence = match strongest {
            Some(
                Source::Collaborative
                | Source::Recent
                | Source::ItemItem
                | Source::Sequence
                | Source::Embedding
                | Source::Content,
            ) if !evidence.is_empty() => self.because(&evidence),
            Some(Source::Collaborative | Source::Recent | Source::ItemItem | Source::Embedding) => {
                "People with a taste like yours engaged with it".to_owned()
            }
            Some(Source::Sequence) => "Often watched after titles like your latest".to_owned(),
            Some(Source::Attributes | Source::Graph) => "Like your latest titles".to_owned(),
            Some(Source::Trending) => {
                let viewers = self.counts.trending.viewers(item.row);
                let days = self.window_days;
                format!("Trending: {} in the last {days} days", count(viewers, "viewer"))
            }
            Some(Source::Context) => context::sentence(self.context),
            Some(Source::Content) if self.taste.liked.is_empty() => {
                "Close to what is known of your taste".to_owned()
            }
            Some(Source::Content) => "Like titles you watched".to_owned(),
            Some(Source::Popular) => {
                let viewers = self.counts.viewers.of(item.row);
                format!("Popular: {} so far", count(viewers, "viewer"))
            }
            None => match self.counts.viewers.of(item.row) {
                0 => "Nobody has watched it yet".to_owned(),
                viewers => format!("{} so far", count(viewers, "viewer")),
            },
        };
        (sentence, evidence)
    }

    /// What the item shares with the title of the history that is most like it, and that title.
    fn shares(&self, row: u32) -> Option<(String, u32)> {
        let (near, viewers) = (&self.alike.near, self.counts.viewers.viewers());
        let (like, _) = near.evidence(&self.taste.recent, row, viewers).into_iter().next()?;
        let title = &self.view.get(like)?.title;
        let words = listed(&self.alike.shared(like, row))?;
        Some((format!("Shares {words} with {title}"), like))
    }

    /// The strongest way from the user's titles to the item, and the title it begins at.
    fn connects(&self, row: u32) -> Option<(String, u32)> {
        let (graph, walk) = self.walk?;
        let way = graph.way(walk.paths(row).first()?)?;
        let (name, title) = (way.name, &self.view.get(way.seed)?.title);
        let sentence = match way.kind {
            Kind::Genre | Kind::Theme => format!("Shares {name} with {title}"),
            Kind::Actor => format!("With {name}, like {title}"),
            Kind::Director => format!("Directed by {name}, like {title}"),
            Kind::Viewer => format!("Watched by people who watched {title}"),
        };
        Some((sentence, way.seed))
    }

    /// The titles of the history that speak most for the item, by a source that brought it.
    fn evidence(&self, item: &Fused) -> Vec<u32> {
        let says =
            |source| item.sources.iter().any(|part| part.source == source && part.score > 0.0);
        let mut rows = Vec::new();
        if says(Source::Sequence) {
            let (counts, viewers) = (&self.counts.transitions, &self.counts.viewers);
            let followed = counts.evidence(self.latest, item.row, viewers);
            rows.extend(followed.into_iter().take(EVIDENCE).map(|(row, _)| row));
        }
        if rows.is_empty() && says(Source::ItemItem) {
            let near = self.snapshot.near(&self.taste.engaged, item.row);
            rows.extend(near.into_iter().take(EVIDENCE).map(|(row, _)| row));
        }
        if let (true, true, Some(placed)) =
            (rows.is_empty(), says(Source::Embedding), self.embedding)
        {
            let spoken = placed.vectors.evidence(&self.taste.recent, item.row);
            rows.extend(spoken.into_iter().take(EVIDENCE).map(|(row, _)| row));
        }
        if rows.is_empty() && (says(Source::Collaborative) || says(Source::Recent)) {
            rows.extend(self.most_alike(item.row));
        }
        if rows.is_empty() && says(Source::Content) {
            rows.extend(content::evidence(self.vectors, &self.taste.liked, item.row, EVIDENCE));
        }
        // A title that is scored may be one the user knows: it is no reason for itself.
        rows.retain(|row| *row != item.row && self.view.get(*row).is_some());
        rows
    }

    fn most_alike(&self, row: u32) -> Option<u32> {
        match &self.taste.by_factors.get() {
            Some(shortlist) => shortlist.most_alike(row, || self.work_out_most_alike(row)),
            None => self.work_out_most_alike(row),
        }
    }

    fn work_out_most_alike(&self, row: u32) -> Option<u32> {
        let recent = self.taste.recent.iter();
        recent
            .map(|other| (*other, self.snapshot.cosine(*other, row)))
            .filter(|(_, alike)| *alike >= ALIKE)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(other, _)| other)
    }

    fn because(&self, evidence: &[u32]) -> String {
        let seen = evidence.iter().all(|row| self.taste.is_blocked(*row));
        let verb = if seen { "Because you watched " } else { "Because of your interest in " };
        let mut sentence = String::with_capacity(ROOM);
        sentence.push_str(verb);
        for (at, content) in evidence.iter().filter_map(|row| self.view.get(*row)).enumerate() {
            sentence.push_str(if at > 0 { " and " } else { "" });
            sentence.push_str(&content.title);
        }
        sentence
    }
}

/// `a`, `a and b`, `a, b and c`; `None` of nothing.
fn listed(words: &[&str]) -> Option<String> {
    match words {
        [] => None,
        [one] => Some((*one).to_owned()),
        [rest @ .., last] => Some(format!("{} and {last}", rest.join(", "))),
    }
}

fn count(n: u32, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
