//! What is known before, and what must be found: the protocols' splits.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use sha2::{Digest, Sha256};
use sona_domain::Timestamp;

use super::data::{Data, Engagement};

/// How lists are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// A given test side, or a random share of each user's items, ranked among all items the user has not
    /// in training.
    FullRanking,
    /// Each user's last item, ranked among all items the user has not had.
    LastItem,
    /// Given test pairs, each ranked among given items.
    SampledNegatives,
    /// Users nobody was fitted on, each asked after their first few items for the one that came next, ranked among all
    /// items they have not had (strong generalisation: Liang et al., *Variational autoencoders for collaborative
    /// filtering*, 2018).
    ColdStart,
    /// A cut in time: what comes after it arrives one by one, as in a serving engine, and each choice is looked for in the
    /// list that would have been shown just before.
    TimeSplit,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 5] = [
        Self::FullRanking,
        Self::LastItem,
        Self::SampledNegatives,
        Self::ColdStart,
        Self::TimeSplit,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FullRanking => "full-ranking",
            Self::LastItem => "last-item",
            Self::SampledNegatives => "sampled-negatives",
            Self::ColdStart => "cold-start",
            Self::TimeSplit => "time-split",
        }
    }

    /// The metric a model is chosen by under this protocol.
    pub const fn main_metric(self) -> &'static str {
        match self {
            Self::FullRanking => "ndcg@20",
            Self::LastItem | Self::SampledNegatives | Self::ColdStart | Self::TimeSplit => {
                "ndcg@10"
            }
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|protocol| protocol.as_str() == text);
        let names = || Self::ALL.map(Self::as_str).join(", ");
        found.ok_or_else(|| format!("there is no protocol {text:?}; there are {}", names()))
    }
}

/// Which rows are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rows {
    /// The rows a final number is reported on.
    Test,
    /// Rows of the training side: what options are chosen by. No test row is looked at.
    Validation,
}

/// How a data set is split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitOptions {
    /// The protocol.
    pub protocol: Protocol,
    /// Test or validation rows.
    pub rows: Rows,
    /// Share of each user's items (or of the users) that is cut off where the protocol needs a cut and none is given, in
    /// 0..1.
    pub cut: f64,
    /// How many of their items are known of a user under [`Protocol::ColdStart`].
    pub known: usize,
    /// At most so many users, drawn by the seed; 0 = all.
    pub sample: usize,
    /// Decides the cut and the sample.
    pub seed: u64,
}

/// A split.
#[derive(Debug, Clone)]
pub(crate) struct Split {
    /// Per user what models are fitted on, oldest first.
    pub(crate) fit: Vec<Vec<Engagement>>,
    /// Who is asked for, by time.
    pub(crate) cases: Vec<Case>,
    /// In one sentence, for people.
    pub(crate) rule: String,
}

/// One list to be made.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) user: u32,
    /// What the user had before, oldest first; none of it may be in the list.
    pub(crate) history: Vec<Engagement>,
    /// What should be in the list.
    pub(crate) targets: Vec<u32>,
    /// The only items that may be in the list, targets included; all if `None`.
    pub(crate) only: Option<Vec<u32>>,
    /// The moment the list is made for.
    pub(crate) at: Timestamp,
}

impl Split {
    /// Splits `data`.
    ///
    /// # Errors
    /// In words, when the data set has not what the protocol needs.
    pub(crate) fn new(data: &Data, options: &SplitOptions) -> Result<Self, String> {
        let mut split = match options.protocol {
            Protocol::LastItem => last_item(data, held_back(options.rows)),
            Protocol::FullRanking if data.is_split() && options.rows == Rows::Test => given(data),
            Protocol::FullRanking => cut(data, &data.train, options),
            Protocol::SampledNegatives if options.rows == Rows::Test => trials(data)?,
            // Negatives are given for test pairs only; validation is the same question on training rows.
            Protocol::SampledNegatives => last_item(data, 0),
            Protocol::ColdStart => cold_start(data, options, held_back(options.rows) as u64),
            Protocol::TimeSplit => return Err("time-split replays events in a database".to_owned()),
        };
        if split.cases.is_empty() {
            let least = "every user has too few items";
            return Err(format!("nobody can be asked for under {}: {least}", options.protocol));
        }
        draw(&mut split, data, options);
        split.cases.sort_by_key(|case| case.at);
        Ok(split)
    }
}

impl Split {
    /// The same question again, asked of what this split is fitted on: what a ranker learns from, so that nothing it rests on
    /// knows what is looked for. At most `most` cases, drawn by the seed.
    pub(crate) fn within(&self, data: &Data, options: &SplitOptions, most: usize) -> Self {
        let inner = SplitOptions { sample: most, seed: options.seed.wrapping_add(1), ..*options };
        let held_back = held_back(options.rows);
        let mut split = match options.protocol {
            Protocol::LastItem | Protocol::TimeSplit => last_item(data, held_back + 1),
            // Test pairs may be anybody's last items: they are not among the training rows.
            Protocol::SampledNegatives => last_item(data, 1),
            Protocol::FullRanking => cut(data, &self.fit, &inner),
            Protocol::ColdStart => cold_start(data, options, held_back as u64 + 1),
        };
        draw(&mut split, data, &inner);
        split.cases.sort_by_key(|case| case.at);
        split
    }
}

/// How many items at the end of every user are not to be looked at.
fn held_back(rows: Rows) -> usize {
    match rows {
        Rows::Test => 0,
        Rows::Validation => 1,
    }
}

/// The last item is the test, the one before it is validation: known at test time, but not fitted on. A split
/// for validation has the same shape one item earlier.
fn last_item(data: &Data, drop: usize) -> Split {
    let target = match drop {
        0 => "the last item".to_owned(),
        1 => "the last item but one".to_owned(),
        more => format!("the last item but {more}"),
    };
    let mut split = Split {
        fit: Vec::with_capacity(data.train.len()),
        cases: Vec::new(),
        rule: format!(
            "each user's target is {target} of at least {}; the item before it is history but not fitted on; \
             everything earlier is fitted on",
            3 + drop
        ),
    };
    for (user, all) in data.train.iter().enumerate() {
        let known = &all[..all.len().saturating_sub(drop)];
        let [fit @ .., _, target] = known else {
            split.fit.push(known.to_vec());
            continue;
        };
        split.fit.push(fit.to_vec());
        if !fit.is_empty() {
            split.cases.push(Case {
                user: user as u32,
                history: known[..known.len() - 1].to_vec(),
                targets: vec![target.item],
                only: None,
                at: target.at,
            });
        }
    }
    split
}

/// A share of the users is asked for, the `nth`; those before it are left out altogether.
fn cold_start(data: &Data, options: &SplitOptions, nth: u64) -> Split {
    let share = (options.cut * f64::from(CUT_BUCKETS)).round() as u64;
    let from = share * nth;
    let known = options.known;
    let mut split = Split {
        fit: Vec::with_capacity(data.train.len()),
        cases: Vec::new(),
        rule: format!(
            "users of whom the first 8 bytes of SHA-256(\"{}:user:cold\") mod {CUT_BUCKETS} are in {from}..{} are \
             not fitted on; their first {known} items are known and the next one is the target",
            options.seed,
            from + share
        ),
    };
    for (user, all) in data.train.iter().enumerate() {
        let place = bucket(options.seed, &data.users[user], "cold") % u64::from(CUT_BUCKETS);
        split.fit.push(if place < from + share { Vec::new() } else { all.clone() });
        let asked = (from..from + share).contains(&place);
        if let (true, Some(target)) = (asked, all.get(known)) {
            let (history, targets) = (all[..known].to_vec(), vec![target.item]);
            split.cases.push(Case {
                user: user as u32,
                history,
                targets,
                only: None,
                at: target.at,
            });
        }
    }
    split
}

fn given(data: &Data) -> Split {
    let mut cases = Vec::new();
    for (user, (history, test)) in data.train.iter().zip(&data.test).enumerate() {
        let had: std::collections::HashSet<_> = history.iter().map(|e| e.item).collect();
        let new: Vec<_> = test.iter().filter(|e| !had.contains(&e.item)).collect();
        if let Some(first) = new.first() {
            let targets = new.iter().map(|e| e.item).collect();
            let (history, at) = (history.clone(), first.at);
            cases.push(Case { user: user as u32, history, targets, only: None, at });
        }
    }
    let rule = "the given test side, without pairs that are in training".to_owned();
    Split { fit: data.train.clone(), cases, rule }
}

/// A share of each user's items goes, at least one stays.
fn cut(data: &Data, rows: &[Vec<Engagement>], options: &SplitOptions) -> Split {
    let below = (options.cut * f64::from(CUT_BUCKETS)).round() as u64;
    let mut split = Split {
        fit: Vec::with_capacity(rows.len()),
        cases: Vec::new(),
        rule: format!(
            "an item is a target if the first 8 bytes of SHA-256(\"{}:user:item\") mod {CUT_BUCKETS} are below \
             {below}; the first item of a user who would be left with none stays",
            options.seed
        ),
    };
    for (user, all) in rows.iter().enumerate() {
        let chosen = |e: &Engagement| {
            let id = &data.items[e.item as usize];
            bucket(options.seed, &data.users[user], id) % u64::from(CUT_BUCKETS) < below
        };
        let mut left: Vec<bool> = all.iter().map(|e| !chosen(e)).collect();
        if let (true, Some(first)) = (left.iter().all(|stays| !stays), left.first_mut()) {
            *first = true;
        }
        let side = |stays: bool| {
            all.iter().zip(&left).filter(move |(_, left)| **left == stays).map(|(e, _)| *e)
        };
        let (fit, gone): (Vec<_>, Vec<_>) = (side(true).collect(), side(false).collect());
        if let Some(first) = gone.first() {
            let targets = gone.iter().map(|e| e.item).collect();
            let (history, at) = (fit.clone(), first.at);
            split.cases.push(Case { user: user as u32, history, targets, only: None, at });
        }
        split.fit.push(fit);
    }
    split
}

const CUT_BUCKETS: u32 = 10_000;

fn bucket(seed: u64, user: &str, item: &str) -> u64 {
    let digest = Sha256::digest(format!("{seed}:{user}:{item}"));
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn trials(data: &Data) -> Result<Split, String> {
    if !data.has_trials() {
        return Err("sampled-negatives needs a file of negatives beside the test pairs".to_owned());
    }
    let case = |trial: &super::data::Trial| {
        let history = data.train[trial.user as usize].clone();
        let at = history.last().map_or(Timestamp::from_micros(0), |e| e.at);
        let mut only = trial.negatives.clone();
        only.push(trial.item);
        Case { user: trial.user, history, targets: vec![trial.item], only: Some(only), at }
    };
    let rule = "each given test pair ranked among its given negatives".to_owned();
    Ok(Split { fit: data.train.clone(), cases: data.trials.iter().map(case).collect(), rule })
}

/// Keeps a sample of the cases if one is asked for.
fn draw(split: &mut Split, data: &Data, options: &SplitOptions) {
    if options.sample == 0 || options.sample >= split.cases.len() {
        return;
    }
    split
        .cases
        .sort_by_cached_key(|case| bucket(options.seed, &data.users[case.user as usize], "sample"));
    split.cases.truncate(options.sample);
    split.rule = format!("{}; {} users drawn by the seed", split.rule, options.sample);
}
