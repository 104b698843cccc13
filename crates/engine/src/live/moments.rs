//! In which circumstances titles are watched.

use std::collections::HashMap;

use sona_domain::{Circumstance, Event, Region, RequestContext, UserAttributes, Zone};

/// A set of circumstances: one bit each, and where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Circumstances {
    bits: u32,
    region: Option<Region>,
}

const _: () = assert!(Circumstance::COUNT <= u32::BITS as usize, "one bit each");

impl Circumstances {
    /// Those of an event; its time is read off a clock in `zone` unless it names another, and who did it is looked up in what
    /// is known of the user unless it says so.
    pub(crate) fn of(event: &Event, user: Option<&UserAttributes>, zone: &Zone) -> Self {
        let context = event.context.as_ref().map(RequestContext::of_event).unwrap_or_default();
        let mut context = context.at(event.timestamp, zone);
        if let Some(user) = user {
            context.age_range = context.age_range.or(user.age_range);
            context.region = context.region.or(user.region);
        }
        let bits = context.circumstances().fold(0, |bits, one| bits | 1 << one.index());
        Self { bits, region: context.region }
    }

    fn indexes(self) -> impl Iterator<Item = usize> {
        (0..Circumstance::COUNT).filter(move |index| self.bits >> index & 1 == 1)
    }
}

/// How often every title was watched in which circumstances.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moments {
    all: Times,
    /// By row; only titles that were watched take room.
    titles: Vec<Option<Box<Times>>>,
    /// How often titles were watched in a known region, and in which.
    somewhere: u32,
    regions: HashMap<Region, u32>,
    /// Titles watched in a known region.
    by_region: HashMap<(u32, Region), u32>,
    /// How often in any.
    in_regions: HashMap<u32, u32>,
}

/// How often, by [`Circumstance::index`].
type Times = [u32; Circumstance::COUNT];

impl Moments {
    /// The title of `row` was watched once.
    pub(crate) fn add(&mut self, row: u32, circumstances: Circumstances) {
        if self.titles.len() <= row as usize {
            self.titles.resize(row as usize + 1, None);
        }
        let title = self.titles[row as usize].get_or_insert_default();
        for index in circumstances.indexes() {
            title[index] += 1;
            self.all[index] += 1;
        }
        if let Some(region) = circumstances.region {
            self.somewhere += 1;
            *self.regions.entry(region).or_default() += 1;
            *self.by_region.entry((row, region)).or_default() += 1;
            *self.in_regions.entry(row).or_default() += 1;
        }
    }

    /// Takes out what [`Moments::add`] took in.
    pub(crate) fn take_out(&mut self, row: u32, circumstances: Circumstances) {
        if let Some(region) = circumstances.region {
            self.somewhere -= 1;
            lower(&mut self.regions, &region);
            lower(&mut self.by_region, &(row, region));
            lower(&mut self.in_regions, &row);
        }
        let Some(Some(title)) = self.titles.get_mut(row as usize) else { return };
        for index in circumstances.indexes() {
            title[index] -= 1;
            self.all[index] -= 1;
        }
        if title.iter().all(|times| *times == 0) {
            self.titles[row as usize] = None;
        }
    }

    /// How often the title was watched in circumstances known of this kind, and how much more often in this one than
    /// titles are on the whole: 1 is as often.
    pub(crate) fn lift(&self, row: u32, one: Circumstance) -> (u32, f32) {
        let Some(Some(title)) = self.titles.get(row as usize) else { return (0, 1.0) };
        let known = |times: &Times| times[one.alternatives()].iter().sum::<u32>();
        let (known, of_all) = (known(title), known(&self.all));
        let usual = self.all[one.index()] as f32 / of_all.max(1) as f32;
        if known == 0 || usual == 0.0 {
            return (known, 1.0);
        }
        (known, title[one.index()] as f32 / known as f32 / usual)
    }

    /// The same of a region.
    pub(crate) fn lift_in(&self, row: u32, region: Region) -> (u32, f32) {
        let known = self.in_regions.get(&row).copied().unwrap_or(0);
        let here = self.regions.get(&region).copied().unwrap_or(0);
        if known == 0 || here == 0 {
            return (known, 1.0);
        }
        let usual = here as f32 / self.somewhere as f32;
        let times = self.by_region.get(&(row, region)).copied().unwrap_or(0);
        (known, times as f32 / known as f32 / usual)
    }
}

/// Takes one away.
fn lower<K: std::hash::Hash + Eq>(times: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = times.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            times.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use sona_domain::{DeviceType, TimeOfDay};

    use super::*;

    fn bits(of: &[Circumstance]) -> Circumstances {
        let bits = of.iter().fold(0, |bits, one| bits | 1 << one.index());
        Circumstances { bits, region: None }
    }

    #[test]
    fn a_title_watched_mostly_in_the_evening_is_lifted_then() {
        let (evening, morning) =
            (Circumstance::Time(TimeOfDay::Evening), Circumstance::Time(TimeOfDay::Morning));
        let mut moments = Moments::default();
        for _ in 0..3 {
            moments.add(1, bits(&[evening]));
            moments.add(2, bits(&[morning]));
        }
        moments.add(1, bits(&[morning]));
        moments.add(7, bits(&[Circumstance::Device(DeviceType::Tv)]));
        let (known, lift) = moments.lift(1, evening);
        assert!(known == 4 && (lift - 0.75 / (3.0 / 7.0)).abs() < 1e-6, "{lift}");
        assert_eq!(moments.lift(7, evening), (0, 1.0));
        assert_eq!(moments.lift(99, evening), (0, 1.0));
    }

    #[test]
    fn a_title_watched_mostly_in_one_country_is_lifted_there() {
        let region = |code| Region::parse(code).expect("a region");
        let from = |code| Circumstances { bits: 0, region: Some(region(code)) };
        let mut moments = Moments::default();
        for _ in 0..3 {
            moments.add(1, from("DE"));
            moments.add(2, from("FR"));
        }
        moments.add(1, from("FR"));
        let (known, lift) = moments.lift_in(1, region("DE"));
        assert!(known == 4 && (lift - 0.75 / (3.0 / 7.0)).abs() < 1e-6, "{lift}");
        assert_eq!(moments.lift_in(2, region("DE")), (3, 0.0));
        assert_eq!(moments.lift_in(1, region("PL")), (4, 1.0), "nobody is from there");
        assert_eq!(moments.lift_in(9, region("DE")), (0, 1.0));
    }

    #[test]
    fn what_is_taken_out_leaves_nothing() {
        let mut moments = Moments::default();
        let both = bits(&[Circumstance::Weekend(true), Circumstance::Device(DeviceType::Tv)]);
        let both = Circumstances { region: Region::parse("DE").ok(), ..both };
        moments.add(3, both);
        moments.take_out(3, both);
        assert!(moments.titles.iter().all(Option::is_none));
        assert_eq!(moments.all, Times::default());
        assert!(moments.regions.is_empty() && moments.by_region.is_empty());
        assert!(moments.in_regions.is_empty());
    }
}
