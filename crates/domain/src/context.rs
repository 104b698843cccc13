//! The circumstances of a request or an event: on what device, in what mood and company, at what time of day, for whom.

mod company;
mod device;
mod local;
mod mood;
mod viewer;
mod words;

use serde_json::{Map, Value};

use crate::time::Timestamp;
use crate::user::UserAttributes;
use crate::violation::{Object, Violations};

pub use company::Company;
pub use device::DeviceType;
pub use local::{TimeOfDay, Weekday, Zone};
pub use mood::Mood;
pub use viewer::{AgeRange, Region};

/// Most genres a request may name.
pub const MAX_GENRES: usize = 20;

/// Their longest name, in characters.
pub(crate) const MAX_GENRE_CHARS: usize = 100;

/// The circumstances of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// On what.
    pub device_type: Option<DeviceType>,
    /// In what mood.
    pub mood: Option<Mood>,
    /// With whom.
    pub company: Option<Company>,
    /// When in the day, on the user's clock.
    pub time_of_day: Option<TimeOfDay>,
    /// On which day, on the user's calendar.
    pub weekday: Option<Weekday>,
    /// Where the user's clock hangs.
    pub timezone: Option<Zone>,
    /// How old the user is.
    pub age_range: Option<AgeRange>,
    /// In which country the user lives.
    pub region: Option<Region>,
    /// Genres the user says they like, as when they sign up. They count less the more the user has done.
    pub genres: Vec<String>,
}

impl RequestContext {
    /// Reads a context from JSON; every problem is noted under `at`.
    pub fn read(value: &Value, at: &str, problems: &mut Violations) -> Self {
        let Some(mut object) = Object::open(value, at, problems) else { return Self::default() };
        let context = Self {
            device_type: object.parsed("device_type", DeviceType::parse),
            mood: object.parsed("mood", Mood::parse),
            company: object.parsed("company", Company::parse),
            time_of_day: object.parsed("time_of_day", TimeOfDay::parse),
            weekday: object.parsed("weekday", Weekday::parse),
            timezone: object.parsed("timezone", Zone::parse),
            ..Self::default()
        };
        let user = UserAttributes::take(&mut object);
        object.finish();
        user.complete(&context)
    }

    /// What an event's context says in the same words. It may say more, which is kept for whoever reads the log; a word
    /// that is none of ours counts as not said.
    pub fn of_event(context: &Map<String, Value>) -> Self {
        Self::read_event(context, &mut Violations::new())
    }

    /// What is wrong with an event's context: our words with other values than ours.
    pub fn problems_of_event(context: &Map<String, Value>) -> Vec<String> {
        let mut problems = Violations::new();
        Self::read_event(context, &mut problems);
        let problems = problems.into_vec().into_iter();
        problems.map(|v| format!("{}: {}", v.pointer.trim_start_matches('/'), v.detail)).collect()
    }

    fn read_event(context: &Map<String, Value>, problems: &mut Violations) -> Self {
        const OURS: [&str; 8] = [
            "device_type",
            "mood",
            "company",
            "time_of_day",
            "weekday",
            "timezone",
            "age_range",
            "region",
        ];
        let said = OURS.into_iter().filter_map(|name| Some((name.to_owned(), context.get(name)?)));
        let said = said.map(|(name, value)| (name, value.clone())).collect();
        Self::read(&Value::Object(said), "", problems)
    }

    /// The same with the time of `at` where none is said, on the user's clock or, if that is not known, on one in `zone`.
    #[must_use]
    pub fn at(mut self, at: Timestamp, zone: &Zone) -> Self {
        if let Some((time, day)) = self.timezone.as_ref().unwrap_or(zone).local(at) {
            self.time_of_day = self.time_of_day.or(Some(time));
            self.weekday = self.weekday.or(Some(day));
        }
        self
    }

    /// True if nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is known, value by value; but for the region, of which there are too many.
    pub fn circumstances(&self) -> impl Iterator<Item = Circumstance> {
        let known = [
            self.device_type.map(Circumstance::Device),
            self.mood.map(Circumstance::Mood),
            self.company.map(Circumstance::Company),
            self.time_of_day.map(Circumstance::Time),
            self.weekday.map(|day| Circumstance::Weekend(day.is_weekend())),
            self.age_range.map(Circumstance::Age),
        ];
        known.into_iter().flatten()
    }
}

/// One value of one circumstance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circumstance {
    /// On this device.
    Device(DeviceType),
    /// In this mood.
    Mood(Mood),
    /// In this company.
    Company(Company),
    /// At this time of day.
    Time(TimeOfDay),
    /// At the weekend, or on another day.
    Weekend(bool),
    /// By somebody of this age.
    Age(AgeRange),
}

impl Circumstance {
    /// How many values all circumstances have together.
    pub const COUNT: usize = Self::AGES.1;

    const DEVICES: (usize, usize) = (0, DeviceType::ALL.len());
    const COMPANIES: (usize, usize) = after(Self::DEVICES, Company::ALL.len());
    const TIMES: (usize, usize) = after(Self::COMPANIES, TimeOfDay::ALL.len());
    const DAYS: (usize, usize) = after(Self::TIMES, 2);
    const MOODS: (usize, usize) = after(Self::DAYS, Mood::KINDS);
    const AGES: (usize, usize) = after(Self::MOODS, AgeRange::ALL.len());

    /// A number of its own, below [`Circumstance::COUNT`].
    pub const fn index(self) -> usize {
        let (first, place) = match self {
            Self::Device(device) => (Self::DEVICES.0, device as usize),
            Self::Company(company) => (Self::COMPANIES.0, company as usize),
            Self::Time(time) => (Self::TIMES.0, time as usize),
            Self::Weekend(weekend) => (Self::DAYS.0, weekend as usize),
            Self::Mood(mood) => (Self::MOODS.0, mood.kind()),
            Self::Age(age) => (Self::AGES.0, age as usize),
        };
        first + place
    }

    /// The numbers of all values of the same circumstance.
    pub const fn alternatives(self) -> std::ops::Range<usize> {
        let (first, end) = match self {
            Self::Device(_) => Self::DEVICES,
            Self::Company(_) => Self::COMPANIES,
            Self::Time(_) => Self::TIMES,
            Self::Weekend(_) => Self::DAYS,
            Self::Mood(_) => Self::MOODS,
            Self::Age(_) => Self::AGES,
        };
        first..end
    }
}

const fn after(before: (usize, usize), count: usize) -> (usize, usize) {
    (before.1, before.1 + count)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn full() -> Value {
        json!({
            "device_type": "tv", "mood": "happy", "company": "family", "time_of_day": "night",
            "weekday": "sunday", "timezone": "Europe/Berlin", "genres": ["Comedy"],
            "age_range": "25-34", "region": "DE"
        })
    }

    #[test]
    fn a_context_is_read_whole() {
        let mut problems = Violations::new();
        let context = RequestContext::read(&full(), "", &mut problems);
        assert!(problems.is_empty() && !context.is_empty());
        let mut indexes: Vec<_> = context.circumstances().map(Circumstance::index).collect();
        assert!(indexes.iter().all(|index| *index < Circumstance::COUNT));
        indexes.sort_unstable();
        indexes.dedup();
        assert_eq!(indexes.len(), 6);
        for one in context.circumstances() {
            assert!(one.alternatives().contains(&one.index()));
        }
    }

    #[test]
    fn unknown_words_name_the_known_ones() {
        let said = |parsed: Result<(), String>| parsed.expect_err("unknown");
        let hint = said(Mood::parse("hapy").map(drop));
        assert!(hint.contains("did you mean \"happy\"?"), "{hint}");
        assert!(said(DeviceType::parse("fridge").map(drop)).contains("tv, mobile"));
        assert!(said(Company::parse("dog").map(drop)).contains("alone, partner, friends"));
    }

    #[test]
    fn an_event_may_say_more_but_not_our_words_otherwise() {
        let Value::Object(event) = json!({"mood": "happy", "device_type": "fridge", "app": 3})
        else {
            unreachable!("an object")
        };
        let read = RequestContext::of_event(&event);
        assert_eq!((read.mood.map(|m| m.word()), read.device_type), (Some("happy"), None));
        let problems = RequestContext::problems_of_event(&event);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("device_type: \"fridge\" is not one of"), "{problems:?}");
    }

    #[test]
    fn what_is_said_of_the_time_stands() {
        let at = Timestamp::parse("2026-07-03T22:30:00Z").expect("a time");
        let told = RequestContext { time_of_day: Some(TimeOfDay::Morning), ..Default::default() };
        let told = told.at(at, &Zone::default());
        assert_eq!(told.time_of_day, Some(TimeOfDay::Morning));
        assert_eq!(told.weekday, Some(Weekday::Friday));
        let zoned = RequestContext { timezone: Zone::parse("Europe/Berlin").ok(), ..told };
        let zoned = RequestContext { time_of_day: None, weekday: None, ..zoned };
        assert_eq!(zoned.at(at, &Zone::default()).weekday, Some(Weekday::Saturday));
    }
}
