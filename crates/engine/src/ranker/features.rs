//! What a ranker knows of a candidate: a row of numbers.
//!
//! Each source's own value enters on a scale on which differences mean the same everywhere: values that span orders of
//! magnitude by their logarithm. Three of them enter a second time, multiplied by how much is known of the user, since what
//! follows from a history deserves the more trust the longer it is. What a title is (its year, its genres) has no source.
//! A source that is absent leaves its features at one value for all candidates, which changes no order.

use std::collections::HashMap;

use sona_domain::{Content, Source};

use super::viewer::Viewer;
use crate::catalogue::View;

/// Genres that have a feature, the most frequent of the catalogue.
const GENRES: usize = 20;

/// Years around which a title counts as of that time, and how wide that is.
const YEARS: [(f32, f32); 8] = [
    (1940.0, 15.0),
    (1965.0, 12.0),
    (1980.0, 8.0),
    (1990.0, 5.0),
    (1997.0, 4.0),
    (2003.0, 4.0),
    (2009.0, 4.0),
    (2015.0, 4.0),
];

/// How old a title is, in years, around which it counts as of that age, and how wide that is. What is new becomes old: an
/// age goes on meaning what a year meant when a ranker was trained.
const AGES: [(f32, f32); 6] =
    [(0.0, 1.0), (2.0, 1.5), (5.0, 2.5), (11.0, 5.0), (22.0, 8.0), (40.0, 12.0)];

/// The name of a genre's feature begins so.
const OF_GENRE: &str = "genre ";

/// Features of genres follow those of sources, years and ages.
const GENRES_FROM: usize = TERMS.len() + YEARS.len() + AGES.len();

/// One feature of a source.
struct Term {
    source: Source,
    name: &'static str,
    /// Which of the source's values.
    value: Value,
    /// What becomes of it.
    of: fn(f32) -> f32,
    /// Whether it is multiplied by how much is known of the user.
    by_depth: bool,
}

/// A value of a source.
#[derive(Clone, Copy)]
enum Value {
    /// What it knows.
    Raw,
    /// What it knows by the newest title alone.
    ByNewest,
    /// What it knows beside the best title of the request, 0..=1.
    Relative,
}

const fn term(source: Source, name: &'static str, of: fn(f32) -> f32) -> Term {
    Term { source, name, value: Value::Raw, of, by_depth: false }
}

/// Features of sources, in order. The scales make a difference of 1 matter about equally much.
const TERMS: [Term; 22] = [
    term(Source::Collaborative, "collaborative", |x| 5.0 * x),
    term(Source::Collaborative, "ln collaborative", |x| 0.5 * (0.02 + x.max(0.0)).ln()),
    term(Source::Recent, "recent", |x| 5.0 * x),
    term(Source::Recent, "ln recent", |x| 0.5 * (0.02 + x.max(0.0)).ln()),
    term(Source::ItemItem, "ln item_item", |x| 0.3 * (0.003 + x.max(0.0)).ln()),
    term(Source::Sequence, "ln sequence", |x| 0.3 * (0.003 + x.max(0.0)).ln()),
    term(Source::Attributes, "ln attributes", |x| 0.3 * (0.05 + x.max(0.0)).ln()),
    term(Source::Embedding, "embedding", |x| 0.3 * x),
    term(Source::Trending, "ln trending", |x| 0.3 * (0.1 + x.max(0.0)).ln()),
    term(Source::Popular, "popular", |x| 0.3 * x),
    term(Source::Context, "context", |x| x),
    term(Source::Content, "content", |x| 2.0 * x),
    term(Source::Graph, "ln graph", |x| 0.3 * (0.001 + x.max(0.0)).ln()),
    Term {
        source: Source::Collaborative,
        name: "collaborative by depth",
        value: Value::Raw,
        of: |x| 5.0 * x,
        by_depth: true,
    },
    Term {
        source: Source::Sequence,
        name: "ln sequence by depth",
        value: Value::Raw,
        of: |x| 0.3 * (0.003 + x.max(0.0)).ln(),
        by_depth: true,
    },
    Term {
        source: Source::Trending,
        name: "ln trending by depth",
        value: Value::Raw,
        of: |x| 0.3 * (0.1 + x.max(0.0)).ln(),
        by_depth: true,
    },
    Term {
        source: Source::Popular,
        name: "popular by depth",
        value: Value::Raw,
        of: |x| 0.3 * x,
        by_depth: true,
    },
    Term {
        value: Value::ByNewest,
        ..term(Source::Sequence, "ln sequence by newest", |x| 0.3 * (0.003 + x.max(0.0)).ln())
    },
    Term {
        value: Value::ByNewest,
        ..term(Source::Attributes, "ln attributes by newest", |x| 0.3 * (0.05 + x.max(0.0)).ln())
    },
    Term { value: Value::Relative, ..term(Source::Sequence, "sequence beside the best", |x| x) },
    Term {
        value: Value::Relative,
        ..term(Source::Attributes, "attributes beside the best", |x| x)
    },
    Term { value: Value::Relative, ..term(Source::Embedding, "embedding beside the best", |x| x) },
];

/// Features whose order among the best trees see: how a title compares with those beside it says more than its value.
pub(crate) const ORDERED: [usize; 7] = [0, 2, 5, 6, 7, 8, 9];

/// Features of how a title suits what the user has watched lately, after all others.
const FITS: [(About, &str); 2] =
    [(About::Year, "years watched lately"), (About::Genre, "genres watched lately")];

/// What a feature is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// What a source says.
    Source(Source),
    /// When the title was made.
    Year,
    /// What kind of title it is.
    Genre,
}

/// Which features there are, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    genres: Vec<String>,
    /// Where each is among them, by name: they are looked up for every candidate.
    places: Vec<(String, usize)>,
    /// What each feature is called, in order.
    names: Vec<String>,
}

impl Layout {
    /// The layout for a catalogue.
    pub(crate) fn of(view: &View) -> Self {
        let mut titles: HashMap<&str, usize> = HashMap::new();
        for (_, content) in view.iter() {
            for genre in &content.genres {
                *titles.entry(genre).or_default() += 1;
            }
        }
        let mut genres: Vec<_> = titles.into_iter().collect();
        genres.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let mut genres: Vec<_> =
            genres.into_iter().take(GENRES).map(|(genre, _)| genre.to_owned()).collect();
        // As long as these are the most frequent, no new title changes the layout: adapters go on learning on it.
        genres.sort_unstable();
        Self::new(genres)
    }

    /// The layout with these genres.
    pub(crate) fn new(genres: Vec<String>) -> Self {
        let mut places: Vec<_> = genres.iter().cloned().zip(0..).collect();
        places.sort_unstable();
        let names = names(&genres);
        Self { genres, places, names }
    }

    /// The layout whose features have these names; `None` if this program has none such.
    pub(crate) fn of_names(names: &[String]) -> Option<Self> {
        let genres = names.iter().filter_map(|name| name.strip_prefix(OF_GENRE));
        let layout = Self::new(genres.map(str::to_owned).collect());
        (layout.names == names).then_some(layout)
    }

    /// Genres that have a feature.
    pub(crate) fn genres(&self) -> &[String] {
        &self.genres
    }

    /// How many features there are.
    pub(crate) fn width(&self) -> usize {
        self.fits_from() + FITS.len()
    }

    fn fits_from(&self) -> usize {
        GENRES_FROM + self.genres.len()
    }

    /// The features' names, in order.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// What each feature is about, in order.
    pub(crate) fn about(&self) -> impl Iterator<Item = About> {
        let terms = TERMS.iter().map(|term| About::Source(term.source));
        let years = YEARS.iter().chain(&AGES).map(|_| About::Year);
        let genres = self.genres.iter().map(|_| About::Genre);
        terms.chain(years).chain(genres).chain(FITS.iter().map(|(about, _)| *about))
    }

    /// What each number is about that trees see of a title, in order, without those of the user.
    pub(crate) fn about_trees(&self) -> impl Iterator<Item = About> {
        self.about().chain(ORDERED.iter().map(|feature| About::Source(TERMS[*feature].source)))
    }

    /// Which of the layout's genres these are.
    pub(crate) fn places_of(&self, genres: &[String]) -> impl Iterator<Item = usize> {
        genres.iter().filter_map(|genre| {
            let found = self.places.binary_search_by(|(name, _)| name.cmp(genre)).ok()?;
            Some(self.places[found].1)
        })
    }

    /// Writes a candidate's features for a user into `row`; `raw` is what each source knows of it.
    pub(crate) fn fill(
        &self,
        row: &mut [f32],
        raw: &RawValues,
        viewer: &Viewer,
        content: Option<&Content>,
    ) {
        let depth = viewer.depth();
        for (value, term) in row.iter_mut().zip(&TERMS) {
            let scale = if term.by_depth { depth } else { 1.0 };
            let values = match term.value {
                Value::Raw => &raw.all,
                Value::ByNewest => &raw.by_newest,
                Value::Relative => &raw.relative,
            };
            *value = (term.of)(values[term.source as usize]) * scale;
        }
        row[TERMS.len()..].fill(0.0);
        let Some(content) = content else { return };
        if let Some(made) = content.year {
            let (years, ages) = row[TERMS.len()..GENRES_FROM].split_at_mut(YEARS.len());
            bumps(years, f32::from(made), &YEARS);
            bumps(ages, (viewer.year() - f32::from(made)).max(0.0), &AGES);
        }
        let genres = GENRES_FROM;
        for place in self.places_of(&content.genres) {
            row[genres + place] = 1.0;
        }
        let fits = self.fits_from();
        row[fits] = 0.5 * (0.05 + viewer.year_fit(content.year)).ln();
        row[fits + 1] = 2.0 * viewer.genre_fit(&row[genres..fits]);
    }
}

fn names(genres: &[String]) -> Vec<String> {
    let terms = TERMS.iter().map(|term| term.name.to_owned());
    let years = YEARS.iter().map(|(year, _)| format!("made around {year}"));
    let ages = AGES.iter().map(|(age, _)| format!("{age} years old"));
    let genres = genres.iter().map(|genre| format!("{OF_GENRE}{genre}"));
    let fits = FITS.iter().map(|(_, name)| (*name).to_owned());
    terms.chain(years).chain(ages).chain(genres).chain(fits).collect()
}

/// How near `at` is to each of the places.
fn bumps(values: &mut [f32], at: f32, places: &[(f32, f32)]) {
    for (value, (place, width)) in values.iter_mut().zip(places) {
        *value = (-0.5 * ((at - place) / width).powi(2)).exp();
    }
}

/// What each source knows of one candidate, by source; 0 where a source is absent. See [`Value`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RawValues {
    pub(crate) all: [f32; Source::ALL.len()],
    pub(crate) by_newest: [f32; Source::ALL.len()],
    pub(crate) relative: [f32; Source::ALL.len()],
}

/// What trees see of a title before which so many come.
pub(crate) fn by_order(before: f32) -> f32 {
    (1.0 + before).ln()
}

/// How much is known of a user with so many titles, about -1 to 1.
pub(crate) fn depth(titles: usize) -> f32 {
    (1.0 + titles as f32).ln() / 4.0 - 0.9
}
