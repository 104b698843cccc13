//! Who engaged with what, read from anywhere: dense rows, each user's items oldest first and each once.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sona_domain::{Content, ContentId, Timestamp};
use sona_numeric::Attributes;

use crate::attributes::Vocabulary;
use crate::catalogue::View;
use crate::encoder::text_of;

/// One engagement as it is read.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    /// Whose.
    pub user: &'r str,
    /// With what.
    pub item: &'r str,
    /// Engagement weight, finite; rows that are not above 0 only make the ids known.
    pub weight: f32,
    /// When. If one row has no time, the order of rows is the order of events.
    pub at: Option<Timestamp>,
}

/// Which side of a given split a row is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Known before.
    Train,
    /// To be found.
    Test,
}

/// A data set.
#[derive(Clone)]
pub struct Data {
    /// What it is, for people: a path and the layout recognised there.
    pub name: String,
    pub(crate) users: Vec<String>,
    /// Row to id. Rows are in the order of the ids' digests: files often number items by first appearance,
    /// and a row number that carries information would decide ties.
    pub(crate) items: Vec<String>,
    /// What is said of each item; no attribute at all if the data has no catalogue.
    pub(crate) attributes: Attributes,
    /// What the attributes are called, kind first.
    pub(crate) attribute_names: Vec<Arc<str>>,
    /// The years and genres of the items, by row.
    pub(crate) view: View,
    /// The catalogue's texts in the order of their ids, also of entries that nobody engages with.
    pub(crate) texts: Vec<Described>,
    /// Per user, oldest first.
    pub(crate) train: Vec<Vec<Engagement>>,
    /// Per user, if the data came split.
    pub(crate) test: Vec<Vec<Engagement>>,
    /// Test pairs that came with items to rank them among.
    pub(crate) trials: Vec<Trial>,
    /// Whether every row had a time; without, `at` counts rows.
    pub(crate) timed: bool,
    /// Rows that named a pair again; the first one counts.
    pub(crate) repeated: usize,
}

/// One pair of a user and an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Engagement {
    pub(crate) item: u32,
    pub(crate) weight: f32,
    pub(crate) at: Timestamp,
}

/// A test pair and what to rank it among.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) user: u32,
    pub(crate) item: u32,
    pub(crate) negatives: Vec<u32>,
}

/// What the catalogue says of one entry, as an encoder reads it.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) id: String,
    /// Its row; `None` if nobody engages with it.
    pub(crate) row: Option<u32>,
    pub(crate) text: String,
}

/// Takes rows in and makes a [`Data`] of them.
#[derive(Debug, Default)]
pub struct Builder {
    users: Ids,
    items: Ids,
    described: HashMap<String, Description>,
    vocabulary: Vocabulary,
    train: Vec<Vec<Engagement>>,
    test: Vec<Vec<Engagement>>,
    trials: Vec<Trial>,
    rows: i64,
    untimed: bool,
}

/// An entry's attributes and text.
#[derive(Debug)]
struct Description {
    year: Option<u16>,
    genres: Vec<String>,
    attributes: Vec<u32>,
    text: String,
}

#[derive(Debug, Default)]
struct Ids {
    rows: HashMap<String, u32>,
    ids: Vec<String>,
}

impl Ids {
    fn row(&mut self, id: &str) -> u32 {
        if let Some(row) = self.rows.get(id) {
            return *row;
        }
        let row = self.ids.len() as u32;
        self.ids.push(id.to_owned());
        self.rows.insert(id.to_owned(), row);
        row
    }
}

impl Builder {
    /// Takes one row in.
    pub fn add(&mut self, part: Part, row: Row<'_>) {
        let (user, item) = (self.users.row(row.user), self.items.row(row.item));
        self.rows += 1;
        self.untimed |= row.at.is_none();
        self.train.resize(self.users.ids.len(), Vec::new());
        self.test.resize(self.users.ids.len(), Vec::new());
        if row.weight > 0.0 {
            let at = row.at.unwrap_or(Timestamp::from_micros(self.rows));
            let side = if part == Part::Train { &mut self.train } else { &mut self.test };
            side[user as usize].push(Engagement { item, weight: row.weight, at });
        }
    }

    /// Takes in a test pair and the items to rank it among. Items nobody engaged with may be named too.
    pub fn add_trial<'i>(
        &mut self,
        user: &str,
        item: &str,
        negatives: impl IntoIterator<Item = &'i str>,
    ) {
        let (user, item) = (self.users.row(user), self.items.row(item));
        self.train.resize(self.users.ids.len(), Vec::new());
        self.test.resize(self.users.ids.len(), Vec::new());
        let negatives = negatives.into_iter().map(|id| self.items.row(id)).collect();
        self.trials.push(Trial { user, item, negatives });
    }

    /// Takes in what the catalogue says of an item; the last entry of an item counts. One that nobody engages with does
    /// not become an item by it.
    pub fn describe(&mut self, content: &Content) {
        let attributes = self.vocabulary.numbers_of(content);
        let (year, genres) = (content.year, content.genres.clone());
        let described = Description { year, genres, attributes, text: text_of(content) };
        self.described.insert(content.content_id.as_str().to_owned(), described);
    }

    /// How many rows were taken in.
    pub fn len(&self) -> usize {
        self.rows as usize
    }

    /// True before the first row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The data set of these rows.
    pub fn finish(self, name: impl Into<String>) -> Data {
        let Self {
            users,
            items,
            described,
            vocabulary,
            mut train,
            mut test,
            mut trials,
            untimed,
            ..
        } = self;
        let (items, place) = by_digest(items.ids);
        let view = facts(&described, &items);
        let (attributes, texts) = by_row(described, &items);
        let mut repeated = 0;
        for user in train.iter_mut().chain(&mut test) {
            for engagement in &mut *user {
                engagement.item = place[engagement.item as usize];
            }
            repeated += order(user, !untimed);
        }
        for trial in &mut trials {
            trial.item = place[trial.item as usize];
            for negative in &mut trial.negatives {
                *negative = place[*negative as usize];
            }
        }
        let users = users.ids;
        Data {
            name: name.into(),
            users,
            items,
            attributes,
            attribute_names: vocabulary.names().to_vec(),
            view,
            texts,
            train,
            test,
            trials,
            timed: !untimed,
            repeated,
        }
    }
}

/// The ids in the order of their digests, and where each of the given ones went.
fn by_digest(ids: Vec<String>) -> (Vec<String>, Vec<u32>) {
    let mut sorted: Vec<_> =
        ids.into_iter().enumerate().map(|(old, id)| (Sha256::digest(&id), old, id)).collect();
    sorted.sort_unstable_by_key(|(digest, ..)| *digest);
    let mut place = vec![0; sorted.len()];
    for (new, (_, old, _)) in sorted.iter().enumerate() {
        place[*old] = new as u32;
    }
    (sorted.into_iter().map(|(_, _, id)| id).collect(), place)
}

/// Every item with its year and genres.
fn facts(described: &HashMap<String, Description>, items: &[String]) -> View {
    let entries = items.iter().map(|id| {
        let mut content = Content::new(ContentId::new(id).ok()?, "");
        if let Some(known) = described.get(id) {
            content.year = known.year;
            content.genres.clone_from(&known.genres);
        }
        Some(content)
    });
    View::of(entries)
}

/// The attributes of every row, and the texts of all entries in the order of their ids.
fn by_row(
    described: HashMap<String, Description>,
    items: &[String],
) -> (Attributes, Vec<Described>) {
    let rows: HashMap<&str, u32> = items.iter().map(String::as_str).zip(0..).collect();
    let mut attributes = vec![Vec::new(); items.len()];
    let mut texts = Vec::with_capacity(described.len());
    for (id, entry) in described {
        let row = rows.get(id.as_str()).copied();
        if let Some(row) = row {
            attributes[row as usize] = entry.attributes;
        }
        texts.push(Described { id, row, text: entry.text });
    }
    texts.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    (attributes.into_iter().collect(), texts)
}

/// Oldest first, each item at its first place; says how many rows went.
fn order(engagements: &mut Vec<Engagement>, timed: bool) -> usize {
    if timed {
        engagements.sort_by_key(|engagement| engagement.at);
    }
    let before = engagements.len();
    let mut met = std::collections::HashSet::with_capacity(before);
    engagements.retain(|engagement| met.insert(engagement.item));
    before - engagements.len()
}

impl Data {
    /// Users that occur.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// Items that occur.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// Distinct pairs.
    pub fn pairs(&self) -> usize {
        self.train.iter().chain(&self.test).map(Vec::len).sum()
    }

    /// Whether a catalogue says something of its items.
    pub fn is_described(&self) -> bool {
        self.attributes.count() > 0
    }

    /// Whether every row had a time.
    pub fn is_timed(&self) -> bool {
        self.timed
    }

    /// Whether the rows came as a training and a test side.
    pub fn is_split(&self) -> bool {
        self.test.iter().any(|user| !user.is_empty())
    }

    /// Whether test pairs came with items to rank them among.
    pub fn has_trials(&self) -> bool {
        !self.trials.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'r>(user: &'r str, item: &'r str, at: Option<i64>) -> Row<'r> {
        Row { user, item, weight: 0.5, at: at.map(Timestamp::from_seconds) }
    }

    fn ids(data: &Data, user: usize) -> Vec<&str> {
        data.train[user].iter().map(|e| data.items[e.item as usize].as_str()).collect()
    }

    #[test]
    fn oldest_first_and_each_item_once() {
        let mut builder = Builder::default();
        for (item, at) in [("c", 30), ("a", 10), ("b", 20), ("a", 40)] {
            builder.add(Part::Train, row("u", item, Some(at)));
        }
        let data = builder.finish("three");
        assert_eq!(ids(&data, 0), ["a", "b", "c"]);
        assert_eq!((data.repeated, data.pairs(), data.is_timed()), (1, 3, true));
    }

    #[test]
    fn without_times_the_order_of_rows_counts() {
        let mut builder = Builder::default();
        builder.add(Part::Train, row("u", "b", Some(9)));
        builder.add(Part::Train, row("u", "a", None));
        builder.add(Part::Test, row("u", "c", Some(1)));
        let data = builder.finish("untimed");
        assert_eq!(ids(&data, 0), ["b", "a"]);
        assert!(!data.is_timed() && data.is_split());
    }

    #[test]
    fn rows_do_not_follow_the_order_of_appearance() {
        let mut builder = Builder::default();
        for n in 0..100 {
            builder.add(Part::Train, row("u", &n.to_string(), None));
        }
        let data = builder.finish("many");
        let ascending = data.train[0].windows(2).filter(|pair| pair[0].item < pair[1].item).count();
        assert!((30..70).contains(&ascending), "{ascending} of 99 neighbours ascend");
    }
}
