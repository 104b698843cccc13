//! A user as features see them: how much is known of them, and which years and genres their latest titles are of.

use sona_domain::Timestamp;

use super::features::{Layout, depth};
use crate::catalogue::View;

/// The latest titles that count.
const LATEST: usize = 30;

/// What a title counts beside the one after it.
const DECAY: f32 = 0.95;

/// Years so far apart have nothing in common.
const REACH: i32 = 12;

/// The earliest year that is told from those before it.
const FIRST_YEAR: i32 = 1880;

/// Years that are told apart.
const YEARS: usize = 256;

/// A user as features see them.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    titles: usize,
    /// When they ask, in years.
    year: f32,
    /// By year from [`FIRST_YEAR`]: how near the latest titles' years are on average, 0..=1; empty if none has a year.
    years: Vec<f32>,
    /// By genre of the layout, of length 1; empty if none has such a genre.
    genres: Vec<f32>,
}

impl Viewer {
    /// Somebody with so many titles, of which these are the `latest`, newest first, who asks `now`.
    pub(crate) fn of(
        layout: &Layout,
        view: &View,
        now: Timestamp,
        titles: usize,
        latest: impl Iterator<Item = u32>,
    ) -> Self {
        let (mut years, mut dated) = (vec![0.0; YEARS], 0.0);
        let mut genres = vec![0.0; layout.genres().len()];
        let mut weight = 1.0;
        for content in latest.take(LATEST).filter_map(|row| view.get(row)) {
            if let Some(year) = content.year {
                spread(&mut years, year, weight);
                dated += weight;
            }
            let known: Vec<_> = layout.places_of(&content.genres).collect();
            for place in &known {
                genres[*place] += weight / (known.len() as f32).sqrt();
            }
            weight *= DECAY;
        }
        let length = genres.iter().map(|share| share * share).sum::<f32>().sqrt();
        Self {
            titles,
            year: year_of(now),
            years: scaled(years, dated),
            genres: scaled(genres, length),
        }
    }

    /// How many titles they have.
    pub(crate) fn titles(&self) -> usize {
        self.titles
    }

    /// When they ask, in years.
    pub(crate) fn year(&self) -> f32 {
        self.year
    }

    /// How much is known of them, about -1 to 1.
    pub(crate) fn depth(&self) -> f32 {
        depth(self.titles)
    }

    /// How near a year is to those of their latest titles, 0..=1; 0 if nothing is known.
    pub(crate) fn year_fit(&self, year: Option<u16>) -> f32 {
        let place = year.map(place_of).filter(|_| !self.years.is_empty());
        place.map_or(0.0, |place| self.years[place])
    }

    /// The cosine between a title's genres, 1 for each of the layout's that it has, and those of their latest titles; 0 if
    /// nothing is known.
    pub(crate) fn genre_fit(&self, genres: &[f32]) -> f32 {
        let count: f32 = genres.iter().sum();
        let shared: f32 = genres.iter().zip(&self.genres).map(|(has, share)| has * share).sum();
        if count > 0.0 { shared / count.sqrt() } else { 0.0 }
    }
}

/// Adds what a title of this year says of the years around it, the less the further they are.
fn spread(years: &mut [f32], year: u16, weight: f32) {
    let middle = place_of(year) as i32;
    for place in (middle - REACH).max(0)..(middle + REACH).min(YEARS as i32) {
        let near = 1.0 - (place - middle).abs() as f32 / REACH as f32;
        years[place as usize] += weight * near;
    }
}

fn year_of(now: Timestamp) -> f32 {
    let years = now.seconds_since(Timestamp::from_seconds(0)) / (365.2425 * 86_400.0);
    1970.0 + years as f32
}

fn place_of(year: u16) -> usize {
    (i32::from(year) - FIRST_YEAR).clamp(0, YEARS as i32 - 1) as usize
}

/// The values, divided; none if there is nothing to divide by.
fn scaled(mut values: Vec<f32>, by: f32) -> Vec<f32> {
    if by <= 0.0 {
        return Vec::new();
    }
    for value in &mut values {
        *value /= by;
    }
    values
}
