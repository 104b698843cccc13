//! Titles whose texts are like those of the user's titles: near all of the latest together, and near each of the very latest.
//! A vector of the user's own, made elsewhere, stands for titles they have not had yet.

use std::collections::HashMap;

use sona_domain::{Source, Timestamp};
use sona_numeric::matrix::dot;
use sona_numeric::rows::RowSet;
use sona_numeric::select;

use super::{Candidates, Question, scaled};
use crate::history::Liked;
use crate::options::ContentBased;
use crate::vectors::{Found, Vectors, Wanted};

/// Days after which a title counts [`ContentBased::monthly_decay`] of what it did.
const MONTH_DAYS: f64 = 30.0;

/// As many titles the user's own vector is worth: with five somebody is no newcomer any more, and what they did says as much
/// as what was known of them before.
pub(crate) const OWN_VECTOR: f32 = 5.0;

/// The content source for one request.
pub(crate) struct Content<'q> {
    vectors: &'q Vectors,
    /// Of length 1; `None` if neither the user nor any title of theirs has a vector.
    preference: Option<Vec<f32>>,
    /// A title is near the preference vector if their cosine is above this.
    floor: f32,
    /// What is near the latest titles, and how much.
    near: HashMap<u32, f32>,
    best: Vec<(u32, f32)>,
    scale: f32,
    absent: &'static str,
    degraded: Option<&'static str>,
}

/// What an index outside of this process is to look for, to spare [`Content::new`] the search: what is near all of the latest
/// titles, at most `limit` of `allowed`, and near those of the very latest of which that is not known.
pub(crate) fn wanted(
    vectors: &Vectors,
    (liked, own): (&[Liked], Option<&[f32]>),
    (options, now): (&ContentBased, Timestamp),
    (allowed, limit): (&RowSet, usize),
) -> Vec<Wanted> {
    let liked = weighed(vectors, liked, options, now);
    let near = preference(vectors, &liked, own).map(|vector| Wanted::Near {
        vector,
        limit,
        allowed: allowed.clone(),
    });
    let unknown = seeds(&liked, options)
        .iter()
        .map(|seed| seed.row)
        .filter(|row| !vectors.has_near(*row, options.neighbours))
        .map(|row| Wanted::Neighbours { row, limit: options.neighbours });
    near.into_iter().chain(unknown).collect()
}

impl<'q> Content<'q> {
    /// Looks for what is near all of the latest titles together, and near each of the very latest.
    pub(crate) fn new(question: &Question<'q>) -> Self {
        let Question { vectors, taste, content: options, own_vector, .. } = *question;
        let liked = weighed(vectors, &taste.liked, options, question.now);
        let mut content = Self {
            vectors,
            preference: preference(vectors, &liked, own_vector),
            floor: options.similarity_threshold.next_down(),
            near: near(vectors, &liked, options),
            best: Vec::new(),
            scale: 0.0,
            absent: match (vectors.len(), taste.liked.is_empty()) {
                (0, _) => "no title has a vector yet",
                (_, true) => "the user has no history yet",
                (_, false) => "nothing is like the user's titles",
            },
            degraded: question.found.lack(),
        };
        content.best = content.look(question);
        content.scale = content.best.first().map_or(0.0, |(_, score)| score.recip());
        content
    }

    /// The best rows with what speaks for them. Where nothing reaches the threshold there is none.
    fn look(&mut self, question: &Question<'_>) -> Vec<(u32, f32)> {
        let Question { allowed, limit, .. } = *question;
        let Some(preference) = &self.preference else { return Vec::new() };
        let nearest = nearest((self.vectors, question.found), preference, (allowed, limit));
        // By the cosines that scores go by, to the last bit.
        let nearest: Vec<_> = nearest.into_iter().map(|(row, _)| (row, self.cosine(row))).collect();
        if nearest.iter().all(|(_, cosine)| *cosine <= self.floor) {
            self.floor = 0.0;
        }
        let near_enough = nearest.into_iter().filter(|(_, cosine)| *cosine > self.floor);
        let mut rows: Vec<_> = near_enough.map(|(row, _)| row).collect();
        rows.extend(self.near.keys().filter(|row| allowed.contains(**row)));
        rows.sort_unstable();
        rows.dedup();
        select::top_k_of(rows.into_iter().map(|row| (row, self.near_enough(row))), limit, 0.0)
    }

    /// Half of what lies near all titles together, half of what lies near each.
    fn near_enough(&self, row: u32) -> f32 {
        let cosine = self.cosine(row);
        let together = if cosine > self.floor { cosine } else { 0.0 };
        f32::midpoint(together, self.near.get(&row).copied().unwrap_or(0.0))
    }

    /// With the preference vector; 0 where there is none.
    fn cosine(&self, row: u32) -> f32 {
        match (&self.preference, self.vectors.get(row)) {
            (Some(preference), Some(vector)) => dot(preference, vector),
            _ => 0.0,
        }
    }
}

/// The `limit` rows of `allowed` nearest to `vector`, the nearest first: of those found outside of this process, or else found
/// here.
fn nearest(
    (vectors, found): (&Vectors, &Found),
    vector: &[f32],
    (allowed, limit): (&RowSet, usize),
) -> Vec<(u32, f32)> {
    let Some(rows) = found.near(vectors) else {
        return vectors.nearest(vector, limit, allowed);
    };
    let rows = rows.iter().copied().filter(|row| allowed.contains(*row)).collect();
    vectors.ranked(vector, rows, limit)
}

/// Those of `liked` that have a vector and any weight left, with that.
fn weighed(
    vectors: &Vectors,
    liked: &[Liked],
    options: &ContentBased,
    now: Timestamp,
) -> Vec<Liked> {
    let liked = liked.iter().filter(|liked| vectors.get(liked.row).is_some());
    liked
        .map(|liked| aged(*liked, options.monthly_decay, now))
        .filter(|liked| liked.weight > 0.0)
        .collect()
}

/// The very latest titles.
fn seeds<'l>(liked: &'l [Liked], options: &ContentBased) -> &'l [Liked] {
    &liked[..liked.len().min(options.seeds)]
}

/// `liked` with what is left of its weight. What comes from the future is as new as it can be.
fn aged(liked: Liked, monthly_decay: f32, now: Timestamp) -> Liked {
    let days = (now.seconds_since(liked.at) / 86_400.0).floor().max(0.0);
    Liked { weight: liked.weight * monthly_decay.powf((days / MONTH_DAYS) as f32), ..liked }
}

/// What the user likes at length 1: their own vector and the mean of their titles', the latter counting more with every title.
fn preference(vectors: &Vectors, liked: &[Liked], own: Option<&[f32]>) -> Option<Vec<f32>> {
    let mean = mean(vectors, liked);
    let own = own.filter(|own| own.len() == vectors.width());
    let (Some(mean), Some(own)) = (&mean, own) else { return mean.or(own.map(<[f32]>::to_vec)) };
    let said = OWN_VECTOR / (OWN_VECTOR + liked.len() as f32);
    let both = own.iter().zip(mean);
    unit(both.map(|(own, mean)| said * own + (1.0 - said) * mean).collect())
}

/// The weighted mean of the titles' vectors at length 1; `None` if nothing is left of it.
fn mean(vectors: &Vectors, liked: &[Liked]) -> Option<Vec<f32>> {
    let mut sum = vec![0.0; vectors.width()];
    for Liked { row, weight, .. } in liked {
        for (sum, number) in sum.iter_mut().zip(vectors.get(*row)?) {
            *sum += weight * number;
        }
    }
    unit(sum)
}

/// A vector at length 1; `None` if it points nowhere.
pub(crate) fn unit(vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = dot(&vector, &vector).sqrt();
    (length > 0.0 && length.is_finite())
        .then(|| vector.into_iter().map(|number| number / length).collect())
}

/// What is near each of the very latest titles: the weighted mean of the cosines.
fn near(vectors: &Vectors, liked: &[Liked], options: &ContentBased) -> HashMap<u32, f32> {
    let seeds = seeds(liked, options);
    let sum: f32 = seeds.iter().map(|seed| seed.weight).sum();
    let mut near = HashMap::new();
    for seed in seeds {
        for (row, cosine) in vectors.near(seed.row, options.neighbours).iter() {
            *near.entry(*row).or_insert(0.0) += cosine.max(0.0) * seed.weight / sum;
        }
    }
    near
}

/// Of the user's titles those most like `row`, the most alike first, at most `limit`.
pub(crate) fn evidence(vectors: &Vectors, liked: &[Liked], row: u32, limit: usize) -> Vec<u32> {
    let Some(target) = vectors.get(row) else { return Vec::new() };
    let alike = liked.iter().filter_map(|liked| {
        let vector = vectors.get(liked.row)?;
        Some((liked.row, dot(vector, target) * liked.weight))
    });
    select::top_k_of(alike, limit, 0.0).into_iter().map(|(row, _)| row).collect()
}

impl Candidates for Content<'_> {
    fn source(&self) -> Source {
        Source::Content
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        scaled(&self.best, limit, self.scale)
    }

    fn score(&self, row: u32) -> f32 {
        (self.near_enough(row) * self.scale).clamp(0.0, 1.0)
    }

    /// As the score, whether the threshold is reached or not.
    fn raw(&self, row: u32) -> f32 {
        f32::midpoint(self.cosine(row), self.near.get(&row).copied().unwrap_or(0.0))
    }

    fn absent(&self) -> &'static str {
        self.absent
    }

    fn degraded(&self) -> Option<&'static str> {
        self.degraded
    }
}

/// Titles whose texts are like that of one title: how like, by the cosine.
pub(crate) struct Alike<'q> {
    vectors: &'q Vectors,
    row: u32,
    best: Vec<(u32, f32)>,
    scale: f32,
    absent: &'static str,
}

impl<'q> Alike<'q> {
    /// At most `limit` of `allowed`, those `found` outside of this process or else those found here. `absent` is said if
    /// there are none.
    pub(crate) fn new(
        (vectors, found): (&'q Vectors, &Found),
        row: u32,
        (allowed, limit): (&RowSet, usize),
        absent: &'static str,
    ) -> Self {
        let vector = vectors.get(row);
        let mut best = vector
            .map(|vector| nearest((vectors, found), vector, (allowed, limit)))
            .unwrap_or_default();
        best.retain(|(_, cosine)| *cosine > 0.0);
        let scale = best.first().map_or(0.0, |(_, cosine)| cosine.recip());
        Self { vectors, row, best, scale, absent }
    }
}

impl Candidates for Alike<'_> {
    fn source(&self) -> Source {
        Source::Content
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        scaled(&self.best, limit, self.scale)
    }

    fn score(&self, row: u32) -> f32 {
        (self.raw(row) * self.scale).clamp(0.0, 1.0)
    }

    fn raw(&self, row: u32) -> f32 {
        let both = self.vectors.get(self.row).zip(self.vectors.get(row));
        both.map_or(0.0, |(one, other)| dot(one, other))
    }

    fn absent(&self) -> &'static str {
        self.absent
    }
}
