//! In which circumstances titles are watched.

use sona_domain::{Circumstance, Event, RequestContext, Zone};

/// A set of circumstances: one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Circumstances(u32);

const _: () = assert!(Circumstance::COUNT <= u32::BITS as usize, "one bit each");

impl Circumstances {
    /// Those of an event; its time is read off a clock in `zone` unless it names another.
    pub(crate) fn of(event: &Event, zone: &Zone) -> Self {
        let context = event.context.as_ref().map(RequestContext::of_event).unwrap_or_default();
        let context = context.at(event.timestamp, zone);
        Self(context.circumstances().fold(0, |bits, one| bits | 1 << one.index()))
    }

    fn indexes(self) -> impl Iterator<Item = usize> {
        (0..Circumstance::COUNT).filter(move |index| self.0 >> index & 1 == 1)
    }
}

/// How often every title was watched in which circumstances.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moments {
    all: Times,
    /// By row; only titles that were watched take room.
    titles: Vec<Option<Box<Times>>>,
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
    }

    /// Takes out what [`Moments::add`] took in.
    pub(crate) fn take_out(&mut self, row: u32, circumstances: Circumstances) {
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
}

#[cfg(test)]
mod tests {
    use sona_domain::{DeviceType, TimeOfDay};

    use super::*;

    fn bits(of: &[Circumstance]) -> Circumstances {
        Circumstances(of.iter().fold(0, |bits, one| bits | 1 << one.index()))
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
    fn what_is_taken_out_leaves_nothing() {
        let mut moments = Moments::default();
        let both = bits(&[Circumstance::Weekend(true), Circumstance::Device(DeviceType::Tv)]);
        moments.add(3, both);
        moments.take_out(3, both);
        assert!(moments.titles.iter().all(Option::is_none));
        assert_eq!(moments.all, Times::default());
    }
}
