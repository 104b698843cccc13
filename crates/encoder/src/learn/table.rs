//! The rows of the tokens.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sona_numeric::{Matrix, dot, ridge, svd};

use super::corpus::Corpus;
use super::vocabulary::{BYTES, PAD, START, Vocabulary};
use super::{Error, Options, Targets};

/// Users after whom a title's factors count half of what they can count at most.
const HALF_EVIDENCE: f32 = 10.0;

/// The first byte of a character says which script it is of, the others which character: it counts less.
const LEADING_BYTE: f32 = 0.2;

/// What opens a text is this much shorter than other tokens, so that it decides only where there is no other.
const START_LENGTH: f32 = 1e-3;

/// What was learned.
pub(super) struct Table {
    /// A row a token.
    pub(super) rows: Matrix,
    /// Singular vectors.
    pub(super) components: usize,
    /// Share of the texts' squares they hold.
    pub(super) explained: f64,
    /// Share of the targets' squares expected to be explained for titles not seen.
    pub(super) engagement_explained: Option<f64>,
}

/// Learns the table.
pub(super) fn learn(
    corpus: &Corpus,
    vocabulary: &Vocabulary,
    targets: Option<Targets<'_>>,
    options: &Options,
) -> Result<Table, Error> {
    let svd = svd::sketch(&corpus.rows, options.width, options.seed).map_err(Error::Svd)?;
    let texts = svd::times(&corpus.rows, &svd.right);
    let engagement = match targets {
        Some(targets) if options.engagement_share > 0.0 => regress(&texts, targets)?,
        _ => None,
    };
    let share = match &engagement {
        // Worse than nothing is left out.
        Some(fit) if fit.explained > 0.0 => f64::from(options.engagement_share),
        _ => 0.0,
    };
    let metric = metric(&texts, engagement.as_ref(), share)?;
    let directions = ridge::apply(&svd.right, &metric);
    let mut rows = own_directions(vocabulary.len(), options);
    for (token, idf) in corpus.idf.iter().enumerate() {
        let row = rows.row_mut(token);
        for (value, direction) in row.iter_mut().zip(directions.row(token)) {
            *value += direction;
        }
        scale(row, *idf);
    }
    open_texts(&mut rows, corpus);
    let held: f64 = svd.values.iter().map(|value| f64::from(*value).powi(2)).sum();
    Ok(Table {
        rows,
        components: svd.values.len(),
        explained: (held / corpus.texts as f64).min(1.0),
        engagement_explained: engagement.map(|fit| fit.explained),
    })
}

/// From the texts to the targets' directions, less the one they share; `None` if too few are known.
fn regress(texts: &Matrix, targets: Targets<'_>) -> Result<Option<ridge::Fit>, Error> {
    let width = targets.vectors.width();
    let mut directions = targets.vectors.clone();
    let mut weights = vec![0.0_f32; targets.evidence.len()];
    for (row, evidence) in targets.evidence.iter().enumerate() {
        let direction = directions.row_mut(row);
        let length = dot(direction, direction).sqrt();
        if length > 0.0 && *evidence > 0.0 {
            scale(direction, length.recip());
            weights[row] = evidence / (evidence + HALF_EVIDENCE);
        }
    }
    let total: f32 = weights.iter().sum();
    if weights.iter().filter(|weight| **weight > 0.0).count() < 2 {
        return Ok(None);
    }
    let mut mean = vec![0.0_f32; width];
    for (row, weight) in weights.iter().enumerate() {
        mean.iter_mut().zip(directions.row(row)).for_each(|(sum, value)| *sum += weight * value);
    }
    for row in 0..weights.len() {
        let direction = directions.row_mut(row);
        direction.iter_mut().zip(&mean).for_each(|(value, sum)| *value -= sum / total);
    }
    ridge::fit(texts, &directions, &weights).map(Some).map_err(Error::Ridge)
}

/// `M`: texts have length 1 on average, `share` of it (squared) from where the regression takes them.
fn metric(texts: &Matrix, engagement: Option<&ridge::Fit>, share: f64) -> Result<Matrix, Error> {
    let mean_square = |x: &Matrix| {
        let sum: f64 = x.as_slice().iter().map(|value| f64::from(*value).powi(2)).sum();
        (sum / x.rows() as f64).max(f64::MIN_POSITIVE)
    };
    let plain = (1.0 - share) / mean_square(texts);
    let none = Matrix::zeros(texts.width(), 1);
    let (coefficients, turned) = match engagement {
        Some(fit) if share > 0.0 => {
            let reached = mean_square(&ridge::apply(texts, &fit.coefficients));
            (&fit.coefficients, share / reached)
        }
        _ => (&none, 0.0),
    };
    ridge::metric(plain, turned, coefficients).map_err(Error::Ridge)
}

/// `ρ r_t`: a direction of its own for every token.
fn own_directions(tokens: usize, options: &Options) -> Matrix {
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let value = options.own_direction / (options.width as f32).sqrt();
    let mut rows = Matrix::zeros(tokens, options.width);
    for (at, row) in (0..tokens).zip(rows.as_mut_slice().chunks_exact_mut(options.width)) {
        let value = if is_leading_byte(at as u32) { value * LEADING_BYTE } else { value };
        row.fill_with(|| if random.random_bool(0.5) { value } else { -value });
    }
    rows
}

/// Whether a token is the first byte of a character that has several.
fn is_leading_byte(token: u32) -> bool {
    (BYTES + 0xC0..BYTES + 0x100).contains(&token)
}

/// What fills up is zero; what opens a text is the middle of all texts, very short.
fn open_texts(rows: &mut Matrix, corpus: &Corpus) {
    let mut middle = vec![0.0_f32; rows.width()];
    for text in 0..corpus.rows.users() {
        let (tokens, weights) = corpus.rows.row(text);
        for (token, weight) in tokens.iter().zip(weights) {
            // A row has idf in it already; the text's weight has it once more.
            let once = weight / corpus.idf[*token as usize];
            let row = rows.row(*token as usize);
            middle.iter_mut().zip(row).for_each(|(sum, value)| *sum += once * value);
        }
    }
    let length = dot(&middle, &middle).sqrt();
    let own = rows.row(START as usize).to_vec();
    // Texts that cancel out leave its own direction.
    let middle = if length > f32::MIN_POSITIVE { middle } else { own };
    let start = rows.row_mut(START as usize);
    start.copy_from_slice(&middle);
    scale(start, START_LENGTH / dot(&middle, &middle).sqrt());
    rows.row_mut(PAD as usize).fill(0.0);
}

fn scale(vector: &mut [f32], by: f32) {
    for value in vector {
        *value *= by;
    }
}
