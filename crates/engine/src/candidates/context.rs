//! Titles that fit the circumstances of the request, the popular ones first.
//!
//! What fits is a rule's word at first (lengths for devices, genres for moods and company). The rule is worth [`RULE`]
//! viewings: the more a title was watched in known circumstances, the more these say. At a time of day the user's own
//! habits count too: what they watch then.

use std::collections::HashMap;

use sona_domain::{Circumstance, Content, Region, RequestContext, Source, Timestamp};
use sona_numeric::rows::RowSet;

use super::popular::Popular;
use super::{Candidates, Question};
use crate::catalogue::View;
use crate::live::moments::Moments;
use crate::live::users::Taste;

/// The most popular titles looked at; a request never walks the whole of a large catalogue.
const LOOKED_AT: usize = 2_000;

/// How many viewings in known circumstances outweigh a rule.
const RULE: f32 = 10.0;

/// The context source for one request.
pub(crate) struct Context {
    scores: HashMap<u32, f32>,
    best: Vec<(u32, f32)>,
    absent: &'static str,
}

impl Context {
    /// Scores the popular allowed titles: half popularity, half fit; what does not fit at all scores 0.
    pub(crate) fn new(question: &Question<'_>) -> Self {
        let Some(moment) = Moment::of(question) else {
            return Self {
                scores: HashMap::new(),
                best: Vec::new(),
                absent: "the request has no context",
            };
        };
        let popular = Popular::new(question.counts);
        let mut scored: Vec<(u32, f32)> = question
            .counts
            .popular()
            .filter(|row| question.allowed.contains(*row))
            .take(LOOKED_AT)
            .filter_map(|row| {
                let fit = moment.fit(row, question.view.get(row)?);
                (fit > 0.0).then(|| (row, 0.5 * popular.score(row) + 0.5 * fit))
            })
            .collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored.truncate(question.limit);
        Self {
            scores: scored.iter().copied().collect(),
            best: scored,
            absent: "nothing popular fits the request's context",
        }
    }
}

impl Candidates for Context {
    fn source(&self) -> Source {
        Source::Context
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        self.best.iter().take(limit).copied().collect()
    }

    fn score(&self, row: u32) -> f32 {
        self.raw(row)
    }

    /// How well it fits, 0..=1.
    fn raw(&self, row: u32) -> f32 {
        self.scores.get(&row).copied().unwrap_or(0.0)
    }

    fn absent(&self) -> &'static str {
        self.absent
    }
}

/// What the request says of its circumstances, and what is known of such.
struct Moment<'q> {
    circumstances: Vec<Circumstance>,
    region: Option<Region>,
    moments: &'q Moments,
    /// What the user watches at that time of day.
    habits: Option<Habits<'q>>,
    /// What they watch at any time, where they said what they like.
    liking: Option<Liking<'q>>,
}

impl<'q> Moment<'q> {
    fn of(question: &Question<'q>) -> Option<Self> {
        let asked = question.context;
        if asked.is_empty() {
            return None;
        }
        let zone = asked.timezone.as_ref();
        // The time that was not said is read off the user's clock, never off a guessed one.
        let context =
            zone.map_or_else(|| asked.clone(), |zone| asked.clone().at(question.now, zone));
        let zone = zone.unwrap_or(question.timezone);
        let habits = |time| {
            let then = |at| zone.local(at).is_some_and(|local| local.0 == time);
            Habits::of(question.taste, question.view, then)
        };
        let liking = || Liking {
            genres: &asked.genres,
            habits: Habits::of(question.taste, question.view, |_| true),
        };
        Some(Self {
            circumstances: context.circumstances().collect(),
            region: context.region,
            moments: question.trending.moments(),
            habits: context.time_of_day.map(habits),
            liking: (!asked.genres.is_empty()).then(liking),
        })
    }

    /// How well a title fits all that is known: the mean of the parts, 0 if one part does not fit.
    fn fit(&self, row: u32, content: &Content) -> f32 {
        let liked = self.liking.iter().map(|liking| liking.fit(content));
        let fits = self.circumstances.iter().map(|one| self.fit_one(*one, row, content));
        let (mut sum, mut parts) = (0.0, 0.0_f32);
        let here = self.region.map(|region| learned(0.5, self.moments.lift_in(row, region)));
        for fit in liked.chain(fits).chain(here) {
            if fit <= 0.0 {
                return 0.0;
            }
            sum += fit;
            parts += 1.0;
        }
        sum / parts.max(1.0)
    }

    fn fit_one(&self, one: Circumstance, row: u32, content: &Content) -> f32 {
        let learned = learned(rule(one, content), self.moments.lift(row, one));
        match (one, &self.habits) {
            (Circumstance::Time(_), Some(habits)) => habits.mixed_into(learned, content),
            _ => learned,
        }
    }
}

/// A rule's word and what was learned: how often a title was watched in circumstances that are known, and how much more
/// often in this one than titles are on the whole.
fn learned(rule: f32, (known, lift): (u32, f32)) -> f32 {
    // As often as titles are on the whole is half, twice as often is all.
    mix((rule, RULE), ((lift / 2.0).min(1.0), known as f32))
}

/// What the rules say of a title, 0..=1; .5 where there is none.
fn rule(one: Circumstance, content: &Content) -> f32 {
    match one {
        Circumstance::Device(device) => device.fit(content.runtime_minutes),
        Circumstance::Mood(mood) => mood.fit(&content.moods, &content.genres),
        Circumstance::Company(company) => company.fit(&content.genres),
        Circumstance::Time(_) | Circumstance::Weekend(_) | Circumstance::Age(_) => 0.5,
    }
}

/// The mean of two opinions, each as heavy as it says.
fn mix((one, one_weight): (f32, f32), (other, other_weight): (f32, f32)) -> f32 {
    (one * one_weight + other * other_weight) / (one_weight + other_weight)
}

/// Genres the user says they like.
struct Liking<'q> {
    genres: &'q [String],
    habits: Habits<'q>,
}

impl Liking<'_> {
    /// 1 for a title of such a genre, less the more others it has; what the user does outweighs it with time.
    fn fit(&self, content: &Content) -> f32 {
        let said =
            |genre: &&String| self.genres.iter().any(|like| like.eq_ignore_ascii_case(genre));
        let share = content.genres.iter().filter(said).count() as f32;
        self.habits.mixed_into((share / content.genres.len().max(1) as f32).sqrt(), content)
    }
}

/// The genres of what the user watches.
struct Habits<'q> {
    /// By genre, relative to the one watched most.
    shares: HashMap<&'q str, f32>,
    titles: f32,
}

impl<'q> Habits<'q> {
    /// Of the latest titles that were watched when `then` says.
    fn of(taste: &Taste, view: &'q View, then: impl Fn(Timestamp) -> bool) -> Self {
        let then = taste.liked.iter().filter(|liked| then(liked.at));
        let (mut shares, mut titles) = (HashMap::new(), 0.0);
        for (liked, content) in then.filter_map(|liked| Some((liked, view.get(liked.row)?))) {
            titles += 1.0;
            for genre in &content.genres {
                *shares.entry(genre.as_str()).or_insert(0.0) += liked.weight;
            }
        }
        let most = shares.values().copied().fold(0.0, f32::max);
        for share in shares.values_mut() {
            *share /= most;
        }
        Self { shares, titles }
    }

    /// `fit` and what the user's habits say of a title, which are worth a viewing for each title they rest on.
    fn mixed_into(&self, fit: f32, content: &Content) -> f32 {
        let shares = content.genres.iter().filter_map(|genre| self.shares.get(genre.as_str()));
        let mean = shares.sum::<f32>() / content.genres.len().max(1) as f32;
        mix((fit, RULE), (mean, self.titles))
    }
}

/// Whether what [`sentence`] says is so of a title: where it speaks of people like the user, these must watch it more often than
/// others do.
pub(crate) fn speaks_of(context: &RequestContext, moments: &Moments, row: u32) -> bool {
    let more = |(known, lift): (u32, f32)| known > 0 && lift > 1.0;
    let asks = !context.genres.is_empty() || context.mood.is_some() || context.company.is_some();
    if asks || context.time_of_day.is_some() || context.device_type.is_some() {
        return true;
    }
    match (context.region, context.age_range) {
        (Some(region), _) => more(moments.lift_in(row, region)),
        (None, Some(age)) => more(moments.lift(row, Circumstance::Age(age))),
        (None, None) => true,
    }
}

/// What a title that fits is good for, strongest words first.
pub(crate) fn sentence(context: &RequestContext) -> String {
    if !context.genres.is_empty() {
        return format!("You like {}", context.genres.join(" and "));
    }
    if let Some(mood) = context.mood {
        return format!("Fits the mood: {}", mood.word());
    }
    if let Some(company) = context.company {
        return format!("Fits the company: {}", company.word());
    }
    match (context.time_of_day, context.device_type) {
        (Some(time), _) => format!("Fits the time of day: {}", time.word()),
        (None, Some(device)) => format!("Fits the device: {}", device.word()),
        (None, None) => match (context.region, context.age_range) {
            (Some(region), _) => format!("Watched often in {region}"),
            (None, Some(age)) => format!("Watched often by people of your age ({})", age.word()),
            (None, None) => "Fits the time of day".to_owned(),
        },
    }
}
