//! Is a new ranker at least as good as the one that serves? That one was fitted on the choices there were then, and foresees
//! these better than any ranker they were held out from.
//!
//! So both are asked about the later choices that have come since. While these are few, the new one's held-out choices are
//! nearly those that were held out from the other one, whose version says how well it foresaw them.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sona_domain::Cursor;

use super::choice::Choice;
use super::fit::Fitted;
use super::foresee::{Judged, based, learn_on};
use super::{RANKER_NAME, Serving};
use crate::Engine;
use crate::error;
use crate::train::{GoOn, Stopped};

/// With fewer choices since, a difference between two rankers is chance: NDCG@10 of one choice is apart from that of another
/// by .3 or more, so that the mean of 100 is known to .03.
const LEAST_SINCE: usize = 100;

/// The log position a version was trained through.
const THROUGH: &str = "through";

/// How well it foresaw what was held out from it.
const HELD_OUT: &str = "held_out_ndcg_at_10";

/// What a version says of itself.
pub(super) fn metadata(through: Cursor, held_out: Judged) -> Map<String, Value> {
    let value = json!({
        THROUGH: through.0,
        "held_out_loss": held_out.loss,
        HELD_OUT: held_out.ndcg_at_10,
    });
    value.as_object().cloned().unwrap_or_default()
}

/// The ranker that serves, and what its version says of itself.
pub(super) struct Rival {
    serving: Arc<Serving>,
    through: Option<Cursor>,
    held_out: Option<f64>,
}

impl Engine {
    /// What a new ranker has to be as good as, if anything serves.
    pub(super) async fn rival(&self) -> error::Result<Option<Rival>> {
        let Some(serving) = self.ranking.load_full() else { return Ok(None) };
        let model = self.store.model(RANKER_NAME, serving.version).await?;
        let metadata = model.map(|model| model.metadata).unwrap_or_default();
        let through = metadata.get(THROUGH).and_then(Value::as_i64).map(Cursor);
        let held_out = metadata.get(HELD_OUT).and_then(Value::as_f64);
        Ok(Some(Rival { serving, through, held_out }))
    }
}

impl Rival {
    /// How well both foresee, where that can be compared; `fitted` was fitted on `choices`.
    pub(super) fn compare(
        &self,
        fitted: &Fitted,
        choices: &[Choice],
        go_on: GoOn<'_>,
    ) -> Result<Option<Comparison>, Stopped> {
        let from = fitted.held_out_from;
        let since: Vec<usize> =
            (from..choices.len()).filter(|at| self.has_not_seen(&choices[*at])).collect();
        if since.len() < LEAST_SINCE {
            let ours = Judged::mean(&fitted.held_out).ndcg_at_10;
            // Where most came since, they are others than those.
            let theirs = self.held_out.filter(|_| 2 * since.len() <= fitted.held_out.len());
            let by = By::Recorded { since: since.len() };
            return Ok(theirs.map(|theirs| Comparison { ours, theirs, by }));
        }
        let ranker = &self.serving.ranker;
        if ranker.layout != fitted.ranker.layout {
            return Ok(None);
        }
        // The layer that serves knows these choices: it is judged with one that does not.
        let mut layer = ranker.fresh_layer();
        let based = based(ranker, choices, go_on)?;
        let foreseen = learn_on(&mut layer, &based, from, true, go_on)?;
        let mean = |held_out: &[Judged]| {
            let of_since: Vec<_> = since.iter().map(|at| held_out[at - from]).collect();
            Judged::mean(&of_since).ndcg_at_10
        };
        let (ours, theirs) = (mean(&fitted.held_out), mean(&foreseen));
        Ok(Some(Comparison { ours, theirs, by: By::Choices { since: since.len() } }))
    }

    fn has_not_seen(&self, choice: &Choice) -> bool {
        self.through.is_some_and(|through| choice.cursor > through)
    }
}

/// NDCG@10 of a new ranker and of the one that serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Comparison {
    ours: f64,
    theirs: f64,
    by: By,
}

/// What they are compared by.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    /// The same choices, which neither was fitted on.
    Choices { since: usize },
    /// Each by what was held out from it.
    Recorded { since: usize },
}

impl Comparison {
    /// Why the new one is not served: it foresees worse by more than this share.
    pub(super) fn rejection(&self, margin: f64) -> Option<String> {
        let Self { ours, theirs, by } = self;
        let worse = *ours < theirs * (1.0 - margin);
        worse.then(|| match by {
            By::Choices { since } => format!(
                "NDCG@10 of the {since} latest choices since the ranker that serves was trained is {ours:.4}, with the \
                 ranker that serves {theirs:.4}"
            ),
            By::Recorded { since } => format!(
                "NDCG@10 of the held-out choices is {ours:.4}, with the ranker that serves {theirs:.4} when it was \
                 trained; {since} of them have come since, too few to judge both by"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use sona_numeric::rank;

    use super::*;
    use crate::ranker::Ranker;
    use crate::ranker::features::Layout;
    use crate::ranker::fit::{Wanted, fit};
    use crate::ranker::moment::UNKNOWN;
    use crate::train::GO_ON;

    const CHOICES: usize = 600;
    /// The fifth that is held out begins here.
    const LATE: usize = 480;
    const TITLES: usize = 12;

    /// Choices that nothing tells, and then such as the first feature tells; in the log they stand one after the other.
    fn choices() -> Vec<Choice> {
        let width = Layout::new(Vec::new()).width();
        let choice = |at: usize| {
            let mut features = vec![0.0; TITLES * width];
            features[0] = if at < LATE { 0.0 } else { 1.0 };
            Choice {
                features,
                offsets: vec![0.0; TITLES],
                chosen: 0,
                at_top: true,
                weight: 1.0,
                moment: UNKNOWN,
                titles: 3,
                who: at as u64,
                cursor: Cursor(at as i64 + 1),
            }
        };
        (0..CHOICES).map(choice).collect()
    }

    fn fitted(choices: &[Choice]) -> Fitted {
        let trees = rank::Options { trees: 0, ..rank::Options::default() };
        let wanted = Wanted { least: 1, layer: true, trees };
        let fitted = fit(&Layout::new(Vec::new()), choices, &wanted, GO_ON);
        fitted.expect("nobody stops it").expect("enough")
    }

    fn compare(rival: &Rival, fitted: &Fitted, choices: &[Choice]) -> Option<Comparison> {
        rival.compare(fitted, choices, GO_ON).expect("nobody stops it")
    }

    /// A ranker for which the first feature weighs so much, which has not seen the last `since` choices.
    fn rival(weight: f64, since: usize) -> Rival {
        let layout = Layout::new(Vec::new());
        let mut weights = vec![0.0; layout.width()];
        weights[0] = weight;
        let serving = Arc::new(Serving::new(1, Ranker::new(layout, weights)));
        let through = Some(Cursor((CHOICES - since) as i64));
        Rival { serving, through, held_out: Some(0.75) }
    }

    #[test]
    fn who_foresees_the_choices_since_worse_is_rejected() {
        let choices = choices();
        let fitted = fitted(&choices);
        let compare = |weight: f64, since: usize| {
            compare(&rival(weight, since), &fitted, &choices).expect("enough came since")
        };
        let better = compare(5.0, 120);
        assert_eq!((better.by, better.theirs), (By::Choices { since: 120 }, 1.0));
        let reason = better.rejection(0.0).expect("it did not know the feature at first");
        assert!(reason.starts_with("NDCG@10 of the 120 latest choices since"), "{reason}");
        assert_eq!(better.rejection(0.5), None, "not by so much");
        let worse = compare(-5.0, 120);
        assert!(worse.theirs < worse.ours && worse.rejection(0.0).is_none(), "{worse:?}");
        // By the last hundred both know: the layer has learned it.
        let last = compare(-5.0, LEAST_SINCE);
        assert_eq!(last.by, By::Choices { since: LEAST_SINCE });
        assert!(last.theirs > worse.theirs && last.ours > worse.ours, "{last:?} {worse:?}");
    }

    #[test]
    fn by_few_choices_nobody_is_judged() {
        let choices = choices();
        let mut fitted = fitted(&choices);
        let mut rival = rival(5.0, 60);
        let found = compare(&rival, &fitted, &choices).expect("it is known how good it was");
        assert_eq!((found.by, found.theirs), (By::Recorded { since: 60 }, 0.75));
        assert_eq!(found.ours, Judged::mean(&fitted.held_out).ndcg_at_10);
        assert_eq!(found.rejection(0.0), None);
        fitted.held_out.fill(Judged { loss: 1.0, ndcg_at_10: 0.7 });
        let worse = compare(&rival, &fitted, &choices).expect("the same");
        let reason = worse.rejection(0.05).expect("worse than what was found then");
        assert!(reason.contains("is 0.7000") && reason.contains("serves 0.7500"), "{reason}");

        rival.through = Some(Cursor((CHOICES - 61) as i64));
        assert_eq!(compare(&rival, &fitted, &choices), None, "most are others");
        (rival.through, rival.held_out) = (Some(Cursor(CHOICES as i64)), None);
        assert_eq!(compare(&rival, &fitted, &choices), None, "nothing is known");
    }

    #[test]
    fn a_ranker_of_other_features_cannot_be_asked() {
        let choices = choices();
        let layout = Layout::new(vec!["Drama".to_owned()]);
        let weights = vec![0.0; layout.width()];
        let serving = Arc::new(Serving::new(1, Ranker::new(layout, weights)));
        let rival = Rival { serving, ..rival(0.0, 120) };
        assert_eq!(compare(&rival, &fitted(&choices), &choices), None);
    }
}
