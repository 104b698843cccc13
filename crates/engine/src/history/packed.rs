//! A user's titles in as few bytes as they need: millions of them are in memory.
//!
//! A title is its row, a byte of flags and what the flags announce: weights as they are, times and cursors as
//! distances from the user's first event, in variable-length integers of seven bits a byte (LEB128, the sign in the
//! lowest bit). The common title, met once, takes 17 to 20 bytes. Titles are in order of their rows; of a long
//! history every so many bytes have a mark, so that a title is found without reading the others.

use sona_domain::{Cursor, Timestamp};

use super::{Engaged, Opinion, Place, Places, Title};

/// More bytes between two marks get a mark in their middle.
const STRETCH: usize = 1024;

/// Bytes of the longest title: a row, the flags, two weights, an opinion's time and three places.
const LONGEST: usize = 5 + 1 + 2 * 4 + 7 * 10;

/// Titles are laid into memory of this granularity.
const GRAIN: usize = 32;

const SEEN: u8 = 1;
const IMPLICIT: u8 = 2;
const OPINION: u8 = 4;
const REJECTION: u8 = 8;
const ONCE: u8 = 16;
const AGAIN: u8 = 32;

/// Titles in rising order of their rows.
#[derive(Debug, Clone)]
pub(super) struct Titles {
    bytes: Vec<u8>,
    /// In rising order; none is at the very start.
    marks: Box<[Mark]>,
    count: u32,
    /// Where times and cursors are counted from: the user's first event.
    origin: Place,
}

/// Where a title begins.
#[derive(Debug, Clone, Copy)]
struct Mark {
    row: u32,
    at: u32,
}

impl Default for Titles {
    fn default() -> Self {
        let origin = (Timestamp::from_micros(0), Cursor(0));
        Self { bytes: Vec::new(), marks: Box::default(), count: 0, origin }
    }
}

impl Titles {
    /// Bytes they take.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + size_of_val(&*self.marks)
    }

    /// All, by row.
    pub(super) fn iter(&self) -> impl Iterator<Item = Title> {
        let mut reader = self.reader(0);
        (0..self.count).map(move |_| reader.title())
    }

    /// The title of `row`.
    pub(super) fn get(&self, row: u32) -> Option<Title> {
        let at = self.find(row).ok()?;
        Some(self.reader(at).title())
    }

    /// Changes the title of `row`, a new one if there is none. `origin` is the place of the event that does it.
    pub(super) fn update(&mut self, row: u32, origin: Place, change: impl FnOnce(&mut Title)) {
        if self.count == 0 {
            self.origin = origin;
        }
        let (range, mut title) = match self.find(row) {
            Ok(at) => {
                let mut reader = self.reader(at);
                let title = reader.title();
                (at..reader.at, title)
            }
            Err(at) => {
                self.count += 1;
                (at..at, Title::new(row))
            }
        };
        change(&mut title);
        let mut writer = Writer { bytes: [0; LONGEST], length: 0, origin: self.origin };
        writer.title(&title);
        self.replace(range, writer.written());
    }

    fn replace(&mut self, range: std::ops::Range<usize>, with: &[u8]) {
        let length = self.bytes.len() - range.len() + with.len();
        if length > self.bytes.capacity() {
            // Doubling would leave a third of the memory of all histories unused.
            let room = (length + length / 8).next_multiple_of(GRAIN);
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        let (at, removed) = (range.start, range.len());
        self.bytes.splice(range, with.iter().copied());
        let later = self.marks.partition_point(|mark| mark.at as usize <= at);
        for mark in &mut self.marks[later..] {
            mark.at = (mark.at as usize + with.len() - removed) as u32;
        }
        let start = later.checked_sub(1).map_or(0, |mark| self.marks[mark].at as usize);
        let end = self.marks.get(later).map_or(length, |mark| mark.at as usize);
        if end - start > STRETCH {
            self.mark(later, start + STRETCH / 2, start);
        }
    }

    /// Puts mark number `number` on the first title from `wanted` on; the one at `start` is before it.
    fn mark(&mut self, number: usize, wanted: usize, start: usize) {
        let mut reader = self.reader(start);
        while reader.at < wanted {
            reader.title();
        }
        let mark = Mark { row: reader.row(), at: reader.at as u32 };
        let mut marks = std::mem::take(&mut self.marks).into_vec();
        marks.insert(number, mark);
        self.marks = marks.into_boxed_slice();
    }

    /// Where the title of `row` begins, or where it would.
    fn find(&self, row: u32) -> Result<usize, usize> {
        let number = self.marks.partition_point(|mark| mark.row <= row);
        let start = number.checked_sub(1).map_or(0, |mark| self.marks[mark].at as usize);
        let mut reader = self.reader(start);
        while reader.at < self.bytes.len() {
            let at = reader.at;
            let found = reader.skip();
            if found >= row {
                return if found == row { Ok(at) } else { Err(at) };
            }
        }
        Err(self.bytes.len())
    }

    fn reader(&self, at: usize) -> Reader<'_> {
        Reader { bytes: &self.bytes, at, origin: self.origin }
    }
}

/// Reads titles one after the other.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    origin: Place,
}

impl Reader<'_> {
    fn title(&mut self) -> Title {
        let row = self.unsigned() as u32;
        let flags = self.byte();
        let has = |flag| flags & flag != 0;
        let implicit = if has(IMPLICIT) { self.weight() } else { 0.0 };
        let opinion = has(OPINION).then(|| {
            let at = self.time();
            Opinion { at, weight: self.weight(), is_rejection: has(REJECTION) }
        });
        let engaged = if has(AGAIN) {
            let [counted, first, last] = [self.place(), self.place(), self.place()];
            Engaged::Again(Places { counted, first, last })
        } else if has(ONCE) {
            Engaged::Once(self.place())
        } else {
            Engaged::Never
        };
        Title { row, implicit, opinion, engaged, seen: has(SEEN) }
    }

    /// Passes a title over; its row.
    fn skip(&mut self) -> u32 {
        let row = self.unsigned() as u32;
        let flags = self.byte();
        let has = |flag| usize::from(flags & flag != 0);
        self.at += 4 * has(IMPLICIT);
        self.pass(has(OPINION));
        self.at += 4 * has(OPINION);
        self.pass(2 * has(ONCE) + 6 * has(AGAIN));
        row
    }

    /// The row of the next title, which stays the next.
    fn row(&self) -> u32 {
        Reader { at: self.at, ..*self }.unsigned() as u32
    }

    fn byte(&mut self) -> u8 {
        let byte = self.bytes[self.at];
        self.at += 1;
        byte
    }

    fn weight(&mut self) -> f32 {
        let bytes = [self.byte(), self.byte(), self.byte(), self.byte()];
        f32::from_le_bytes(bytes)
    }

    fn place(&mut self) -> Place {
        let time = self.time();
        (time, Cursor(self.origin.1.0.wrapping_add(self.signed())))
    }

    fn time(&mut self) -> Timestamp {
        Timestamp::from_micros(self.origin.0.as_micros().wrapping_add(self.signed()))
    }

    fn signed(&mut self) -> i64 {
        let value = self.unsigned();
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }

    fn unsigned(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
            shift += 7;
        }
    }

    /// Passes over so many integers.
    fn pass(&mut self, integers: usize) {
        for _ in 0..integers {
            while self.byte() >= 0x80 {}
        }
    }
}

/// Writes one title.
struct Writer {
    bytes: [u8; LONGEST],
    length: usize,
    origin: Place,
}

impl Writer {
    fn written(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn title(&mut self, title: &Title) {
        let Title { row, implicit, opinion, engaged, seen } = title;
        let rejects = opinion.is_some_and(|opinion| opinion.is_rejection);
        let flag = |holds: bool, flag| if holds { flag } else { 0 };
        let met = match engaged {
            Engaged::Never => 0,
            Engaged::Once(_) => ONCE,
            Engaged::Again(_) => AGAIN,
        };
        self.unsigned(u64::from(*row));
        self.byte(
            flag(*seen, SEEN)
                | flag(*implicit != 0.0, IMPLICIT)
                | flag(opinion.is_some(), OPINION)
                | flag(rejects, REJECTION)
                | met,
        );
        if *implicit != 0.0 {
            self.weight(*implicit);
        }
        if let Some(opinion) = opinion {
            self.time(opinion.at);
            self.weight(opinion.weight);
        }
        match engaged {
            Engaged::Never => {}
            Engaged::Once(place) => self.place(*place),
            Engaged::Again(Places { counted, first, last }) => {
                for place in [counted, first, last] {
                    self.place(*place);
                }
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn weight(&mut self, weight: f32) {
        weight.to_le_bytes().into_iter().for_each(|byte| self.byte(byte));
    }

    fn place(&mut self, (time, cursor): Place) {
        self.time(time);
        self.signed(cursor.0.wrapping_sub(self.origin.1.0));
    }

    fn time(&mut self, time: Timestamp) {
        self.signed(time.as_micros().wrapping_sub(self.origin.0.as_micros()));
    }

    fn signed(&mut self, value: i64) {
        self.unsigned((value << 1 ^ value >> 63) as u64);
    }

    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn place() -> impl Strategy<Value = Place> {
        let time = prop_oneof![Just(i64::MIN), Just(i64::MAX), 0..2_000_000_000_000_000_i64];
        let cursor = prop_oneof![Just(i64::MAX), 0..5_000_000_i64];
        (time, cursor).prop_map(|(time, cursor)| (Timestamp::from_micros(time), Cursor(cursor)))
    }

    fn title() -> impl Strategy<Value = Title> {
        let row = prop_oneof![Just(u32::MAX), 0..400_u32];
        let weight = prop_oneof![Just(0.0), 0.0..1.0_f32];
        let opinion = (place(), any::<f32>(), any::<bool>());
        let opinion =
            proptest::option::of(opinion.prop_map(|((at, _), weight, is_rejection)| Opinion {
                at,
                weight,
                is_rejection,
            }));
        let engaged =
            prop_oneof![
                Just(Engaged::Never),
                place().prop_map(Engaged::Once),
                [place(), place(), place()].prop_map(|[counted, first, last]| Engaged::Again(
                    Places { counted, first, last }
                )),
            ];
        (row, weight, opinion, engaged, any::<bool>()).prop_map(
            |(row, implicit, opinion, engaged, seen)| Title {
                row,
                implicit,
                opinion,
                engaged,
                seen,
            },
        )
    }

    proptest! {
        #[test]
        fn titles_come_back_as_they_went_in(
            origin in place(),
            titles in prop::collection::vec(title(), 0..600),
        ) {
            let mut packed = Titles::default();
            let mut plain = BTreeMap::new();
            for title in titles {
                let known = plain.contains_key(&title.row);
                packed.update(title.row, origin, |packed| {
                    assert!(known || *packed == Title::new(title.row));
                    *packed = title.clone();
                });
                plain.insert(title.row, title);
            }
            prop_assert_eq!(packed.count as usize, plain.len());
            prop_assert!(packed.iter().eq(plain.values().cloned()));
            for row in (0..420).chain([u32::MAX]) {
                prop_assert_eq!(packed.get(row), plain.get(&row).cloned());
            }
            let stretches = packed.bytes.len().div_ceil(STRETCH);
            prop_assert!(packed.marks.len() + 1 >= stretches, "{} marks", packed.marks.len());
        }
    }

    #[test]
    fn the_common_title_is_small() {
        let mut titles = Titles::default();
        let start = Timestamp::from_seconds(1_800_000_000);
        for n in 0..1000_u32 {
            let place = (start.plus_seconds(i64::from(n) * 40_000), Cursor(i64::from(n) * 90_000));
            titles.update(n * 20, place, |title| {
                title.implicit = 0.9;
                title.seen = true;
                title.engaged = Engaged::Once(place);
            });
        }
        assert!(titles.bytes.len() <= 20 * 1000, "{} bytes", titles.bytes.len());
        assert!(titles.memory() <= 23 * 1000, "{} bytes", titles.memory());
    }
}
