//! How much an event says about taste.
//!
//! One number per event, its *engagement weight* in 0..=1, feeds every learner (ALS confidence, genre
//! affinities). Viewing events (`watch`, `complete`, `rate`) are weighed by [`viewing_weight`]; the
//! others have a constant weight. [`EventRules`] holds the table; the configuration may change it and add types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventType};

/// Viewings below this completion are glances, not engagement.
pub const MIN_COMPLETION: f32 = 0.3;

/// What an event does to the lists of the user, besides its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The title counts as seen: it is learned from and not recommended again.
    Seen,
    /// The title is learned from and may still be recommended.
    Interest,
    /// The title is not learned from and not recommended.
    Reject,
}

/// How one event type is weighed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRule {
    /// Engagement weight, 0..=1, where the event itself says nothing finer (see [`viewing_weight`]).
    pub weight: f32,
    /// What else it does.
    pub effect: Effect,
}

/// The table of event types.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRules(BTreeMap<String, EventRule>);

impl Default for EventRules {
    /// | type | weight | effect |
    /// |---|---|---|
    /// | `watch` | [`viewing_weight`]; .2 below 30 % or when `completion_rate` is not given | seen |
    /// | `complete` | [`viewing_weight`] with completion 1 (.55 alone) | seen |
    /// | `rate` | [`viewing_weight`] with completion 1 unless given (.4 to .7 for ratings 1 to 5) | seen |
    /// | `like` | .9 | seen |
    /// | `add` | .3 | interest |
    /// | `click` | .1 | interest |
    /// | `dislike`, `dismiss` | 0 | reject |
    fn default() -> Self {
        let rule = |weight, effect| EventRule { weight, effect };
        Self(BTreeMap::from([
            ("watch".to_owned(), rule(0.2, Effect::Seen)),
            ("complete".to_owned(), rule(0.55, Effect::Seen)),
            ("rate".to_owned(), rule(0.55, Effect::Seen)),
            ("like".to_owned(), rule(0.9, Effect::Seen)),
            ("add".to_owned(), rule(0.3, Effect::Interest)),
            ("click".to_owned(), rule(0.1, Effect::Interest)),
            ("dislike".to_owned(), rule(0.0, Effect::Reject)),
            ("dismiss".to_owned(), rule(0.0, Effect::Reject)),
        ]))
    }
}

impl EventRules {
    /// Adds or replaces the rule of one type.
    pub fn set(&mut self, event_type: &EventType, rule: EventRule) {
        self.0.insert(event_type.as_str().to_owned(), rule);
    }

    /// The rule of a type, if the type is known.
    pub fn get(&self, event_type: &str) -> Option<EventRule> {
        self.0.get(event_type).copied()
    }

    /// The known types, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Every type with its rule, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, EventRule)> {
        self.0.iter().map(|(name, rule)| (name.as_str(), *rule))
    }

    /// What `event` does to the user's lists. A type no longer configured counts as interest of weight 0.
    pub fn effect(&self, event: &Event) -> Effect {
        if event.dismissed {
            return Effect::Reject;
        }
        self.get(event.event_type.as_str()).map_or(Effect::Interest, |rule| rule.effect)
    }

    /// The engagement weight of `event`, 0..=1.
    pub fn weight(&self, event: &Event) -> f32 {
        let Some(rule) = self.get(event.event_type.as_str()) else { return 0.0 };
        if event.dismissed || rule.effect == Effect::Reject {
            return 0.0;
        }
        let completion = match event.event_type.as_str() {
            EventType::COMPLETE => Some(1.0),
            EventType::RATE => Some(event.completion_rate.unwrap_or(1.0)),
            EventType::WATCH => event.completion_rate,
            _ => return rule.weight,
        };
        match completion {
            Some(rate) if rate >= MIN_COMPLETION => {
                viewing_weight(rate, event.rating, event.is_rewatch, event.dismissed)
            }
            _ => rule.weight,
        }
    }
}

/// The engagement weight of a viewing of at least 30 %, 0..=.9.
///
/// `s = .5 + (completion - .3) / 1.4` maps completion .3..=1 to .5..=1; then
/// `w = .4 s + (.3 (rating - 1) / 4 if rated, else .15 s) + .2 if rewatched - .5 if dismissed`, clamped to 0..=1.
pub fn viewing_weight(
    completion: f32,
    rating: Option<f32>,
    is_rewatch: bool,
    dismissed: bool,
) -> f32 {
    let s = 0.5 + (completion - MIN_COMPLETION) / 1.4;
    let opinion = rating.map_or(0.15 * s, |stars| 0.3 * (stars - 1.0) / 4.0);
    let rewatch = if is_rewatch { 0.2 } else { 0.0 };
    let dismissal = if dismissed { 0.5 } else { 0.0 };
    (0.4 * s + opinion + rewatch - dismissal).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (completion, without rating, rated 5, rated 1, rated 5 and rewatched).
    const TABLE: [(f32, [f32; 4]); 3] = [
        (0.3, [0.275, 0.5, 0.2, 0.7]),
        (0.7, [0.4321, 0.6143, 0.3143, 0.8143]),
        (1.0, [0.55, 0.7, 0.4, 0.9]),
    ];

    #[test]
    fn viewing_weight_table() {
        for (completion, want) in TABLE {
            let got = [
                viewing_weight(completion, None, false, false),
                viewing_weight(completion, Some(5.0), false, false),
                viewing_weight(completion, Some(1.0), false, false),
                viewing_weight(completion, Some(5.0), true, false),
            ];
            for (got, want) in got.iter().zip(want) {
                assert!((got - want).abs() < 1e-4, "completion {completion}: {got} for {want}");
            }
        }
    }

    #[test]
    fn a_dismissal_takes_half_from_every_row_of_the_table() {
        for (completion, want) in TABLE {
            let got = [
                viewing_weight(completion, None, false, true),
                viewing_weight(completion, Some(5.0), false, true),
                viewing_weight(completion, Some(1.0), false, true),
                viewing_weight(completion, Some(5.0), true, true),
            ];
            for (got, want) in got.iter().zip(want) {
                let want = (want - 0.5_f32).max(0.0);
                assert!((got - want).abs() < 1e-4, "completion {completion}: {got} for {want}");
            }
        }
    }

    #[test]
    fn dismissal_takes_half_and_never_goes_below_zero() {
        assert!((viewing_weight(1.0, Some(5.0), true, true) - 0.4).abs() < 1e-6);
        assert!(viewing_weight(0.3, None, false, true).abs() < 1e-6);
    }
}
