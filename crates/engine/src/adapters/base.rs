//! The base layer: the directions in which users differ most from each other.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use sona_domain::ModelVersion;
use sona_formats::adapters::BaseLayer as File;
use sona_numeric::listwise::Scratch;
use sona_numeric::lora::gate::MOST;
use sona_numeric::lora::{Adapter, Base, BaseFit, Evidence};
use sona_numeric::matrix::Matrix;
use sona_numeric::rank;
use sona_store::Blobs;

use super::learn::OwnChoice;
use super::resident::CONTEXTS;
use crate::artifact::checksum;
use crate::error::{self, Error};
use crate::options;
use crate::ranker::Ranker;
use crate::ranker::choice::{Choice, Head};
use crate::ranker::features::{About, Layout};
use crate::ranker::fit::again;
use crate::ranker::foresee::{Based, teach};
use crate::train::{GoOn, Stopped};

/// The name of the base layer's model.
pub const BASE_LAYER_NAME: &str = "base-layer";

/// With fewer users it is not known in what users differ.
const LEAST_USERS: usize = 20;

/// How strong users' own weights may be pulled towards 0, the strongest first.
const PULLS: [f64; 4] = [10.0, 3.0, 1.0, 0.3];

/// Of the choices, the first so many say in which directions users differ when the others say how much.
const DIRECTIONS_SHARE: f64 = 0.6;

/// A base layer in use.
#[derive(Debug)]
pub(crate) struct BaseLayer {
    pub(crate) version: i64,
    pub(crate) base: Base,
    /// The names of its inputs.
    pub(super) inputs: Vec<String>,
    /// An adapter on it that has learned nothing.
    fresh: OnceLock<Arc<Adapter>>,
}

impl BaseLayer {
    /// The one of a file.
    ///
    /// # Errors
    /// In words, if it is damaged.
    pub(crate) fn of_file(version: i64, file: File) -> Result<Self, String> {
        let File { layout, rank, inputs, rows, .. } = file;
        let names: Vec<String> = serde_json::from_str(&layout).map_err(|e| e.to_string())?;
        if names.len() != inputs || rows.len() != rank * inputs {
            return Err("its inputs are not as many as their names".to_owned());
        }
        let base = Base::from_matrix(Matrix::from_vec(rows, inputs)).map_err(|e| e.to_string())?;
        Ok(Self { version, base, inputs: names, fresh: OnceLock::new() })
    }

    /// An adapter on it that has learned nothing.
    pub(super) fn fresh(&self, options: &options::Adapters) -> Arc<Adapter> {
        let new = || Arc::new(Adapter::new(self.base.rank(), CONTEXTS, options.into()));
        self.fresh.get_or_init(new).clone()
    }

    /// Whether these features are its inputs.
    pub(crate) fn is_for(&self, layout: &Layout) -> bool {
        self.inputs == layout.names()
    }
}

/// The file of a registered base layer.
///
/// # Errors
/// If it cannot be read, is missing, or is not what was registered.
pub(super) async fn read_file(blobs: &dyn Blobs, model: &ModelVersion) -> error::Result<File> {
    let unusable = |detail: String| Error::Artifact { key: model.blob_key.clone(), detail };
    let bytes = blobs.get(&model.blob_key).await?;
    let bytes = bytes.ok_or_else(|| unusable("the file is missing".to_owned()))?;
    if checksum(&bytes) != model.sha256 {
        return Err(unusable("it is not what was registered".to_owned()));
    }
    File::decode(&bytes).map_err(unusable)
}

/// A base layer that was found in choices.
pub(crate) struct FittedBase {
    pub(super) file: File,
    /// The pull it rests on ([`PULLS`]).
    pub(super) pull: f64,
    /// What the same choices teach each user's adapter on it.
    pub(super) adapters: HashMap<u64, Adapter>,
}

/// Finds the base layer of what a ranker does not foresee in `choices`, which are in the order of time; `None` if there are
/// too few users to tell.
pub(super) fn fit_base(
    ranker: &Ranker,
    choices: &[Choice],
    (options, trees): (&options::Adapters, &rank::Options),
    go_on: GoOn<'_>,
) -> Result<Option<FittedBase>, Stopped> {
    let foreseen = foresee(ranker, choices, trees, go_on)?;
    let users = gather(&foreseen, go_on)?;
    if users.len() < LEAST_USERS {
        return Ok(None);
    }
    let pull = best_pull(&ranker.layout, &foreseen, options, go_on)?;
    let found = find(&ranker.layout, &users, options.rank).and_then(|base| pulled(&base, pull));
    let base = match found {
        Ok(base) => base,
        Err(error) => {
            tracing::warn!(%error, "no base layer is made");
            return Ok(None);
        }
    };
    let adapters = teach_all(&base, &foreseen, options, |_, _, _| {}, go_on)?;
    let rows = base.as_matrix();
    let file = File {
        layout: serde_json::json!(ranker.layout.names()).to_string(),
        rank: rows.rows(),
        inputs: rows.width(),
        users: users.len() as u64,
        rows: (0..rows.rows()).flat_map(|row| rows.row(row)).copied().collect(),
    };
    Ok(Some(FittedBase { file, pull, adapters }))
}

/// A choice at the top of a list, and what the ranker with its layer, as it had learned by then, knew of every title.
struct Foreseen<'c> {
    choice: &'c Choice,
    known: Vec<f32>,
}

impl Foreseen<'_> {
    /// `None` if the chosen title did not compete for the first places.
    fn head(&self) -> Option<Head> {
        self.choice.head(&self.known)?.of_best()
    }
}

/// The ranker itself was fitted on these choices and knows more of them than it will of others. So each half of the users is
/// foreseen by one that was fitted on the other half alone.
fn foresee<'c>(
    ranker: &Ranker,
    choices: &'c [Choice],
    trees: &rank::Options,
    go_on: GoOn<'_>,
) -> Result<Vec<Foreseen<'c>>, Stopped> {
    let fitted_without = |half: u64| {
        let others: Vec<&Choice> =
            choices.iter().filter(|choice| half_of(choice) != half).collect();
        again(ranker, &others, trees, go_on)
    };
    let rankers = [fitted_without(0)?, fitted_without(1)?];
    let based = |choice| go_on().map(|()| Based::new(choice, &rankers[half_of(choice) as usize]));
    let based = choices.par_iter().map(based).collect::<Result<Vec<_>, Stopped>>()?;
    let (mut layer, mut scratch) = (ranker.fresh_layer(), Scratch::default());
    let mut foreseen = Vec::new();
    for based in based {
        go_on()?;
        let known = based.offsets_with(&layer.weights(&based.choice.moment));
        if based.choice.at_top {
            foreseen.push(Foreseen { choice: based.choice, known });
        }
        teach(&mut layer, &based, &mut scratch);
    }
    Ok(foreseen)
}

/// Which half of the users a choice belongs to, 0 or 1.
fn half_of(choice: &Choice) -> u64 {
    choice.who / 2 % 2
}

/// What each user's choices say that was not foreseen.
fn gather(foreseen: &[Foreseen<'_>], go_on: GoOn<'_>) -> Result<BTreeMap<u64, Evidence>, Stopped> {
    let mut scratch = Scratch::default();
    let mut users: BTreeMap<u64, Evidence> = BTreeMap::new();
    for one in foreseen {
        go_on()?;
        let Some(head) = one.head() else { continue };
        let width = head.features.len() / head.offsets.len();
        let evidence = users.entry(one.choice.who).or_insert_with(|| Evidence::new(width));
        if let Err(error) = evidence.add(head.list(one.choice.weight), &mut scratch) {
            tracing::debug!(%error, "a choice is left out of the base layer");
        }
    }
    Ok(users)
}

/// The pull with which adapters foresee the later choices best, on directions found in the earlier ones. How much users
/// differ from each other is not the same everywhere.
fn best_pull(
    layout: &Layout,
    foreseen: &[Foreseen<'_>],
    options: &options::Adapters,
    go_on: GoOn<'_>,
) -> Result<f64, Stopped> {
    let from = (foreseen.len() as f64 * DIRECTIONS_SHARE) as usize;
    let early = gather(&foreseen[..from], go_on)?;
    let Ok(base) = find(layout, &early, options.rank) else { return Ok(PULLS[0]) };
    let gain = |pull: &f64| {
        let base = pulled(&base, *pull).ok()?;
        let gain = gain(&base, (foreseen, from), options, go_on);
        Some(gain.map(|gain| (gain, *pull)))
    };
    let gains = PULLS.par_iter().filter_map(gain).collect::<Result<Vec<_>, Stopped>>()?;
    // Of equal ones, and where nothing is gained, the strongest.
    let best = gains.into_iter().filter(|(gain, _)| *gain > 0.0);
    let best = best.reduce(|a, b| if b.0 > a.0 { b } else { a });
    Ok(best.map_or(PULLS[0], |(_, pull)| pull))
}

/// How much better adapters on `base` foresee the liked choices from the one at `from` on, in nats, where they would be served.
fn gain(
    base: &Base,
    (foreseen, from): (&[Foreseen<'_>], usize),
    options: &options::Adapters,
    go_on: GoOn<'_>,
) -> Result<f64, Stopped> {
    let mut sum = 0.0;
    let before = |at: usize, own: &OwnChoice, adapter: &Adapter| {
        let choice = foreseen[at].choice;
        if at >= from && choice.weight >= 1.0 && choice.titles as u64 >= options.least_events {
            let (without, with) = adapter.losses(&own.choice());
            // As the gate of an adapter counts it.
            sum += (without - with).clamp(-MOST, MOST);
        }
    };
    teach_all(base, foreseen, options, before, go_on)?;
    Ok(sum)
}

/// Every user's adapter on `base` after these choices. `before` sees each choice, by its place, with the adapter that is about
/// to learn from it.
fn teach_all(
    base: &Base,
    foreseen: &[Foreseen<'_>],
    options: &options::Adapters,
    mut before: impl FnMut(usize, &OwnChoice, &Adapter),
    go_on: GoOn<'_>,
) -> Result<HashMap<u64, Adapter>, Stopped> {
    let (mut scratch, mut adapters) = (Scratch::default(), HashMap::new());
    for (at, one) in foreseen.iter().enumerate() {
        go_on()?;
        let Some(head) = one.head() else { continue };
        let own = OwnChoice::new(base, one.choice, head);
        let fresh = || Adapter::new(base.rank(), CONTEXTS, options.into());
        let adapter: &mut Adapter = adapters.entry(one.choice.who).or_insert_with(fresh);
        before(at, &own, adapter);
        if let Err(error) = adapter.learn(own.choice(), &mut scratch) {
            tracing::debug!(%error, "an adapter learns nothing from a choice");
        }
    }
    Ok(adapters)
}

fn find(
    layout: &Layout,
    users: &BTreeMap<u64, Evidence>,
    rank: usize,
) -> Result<Base, sona_numeric::lora::base::Error> {
    let ridge: Vec<f64> = layout.about().map(prior).collect();
    let mut fit = BaseFit::new(&ridge)?;
    for evidence in users.values() {
        fit.add(evidence)?;
    }
    fit.finish(rank)
}

/// The base layer for adapters that are pulled towards 0 by `pull`: as if they were pulled by 1 on features that are smaller.
fn pulled(base: &Base, pull: f64) -> Result<Base, sona_numeric::lora::base::Error> {
    let mut rows = base.as_matrix().clone();
    for row in 0..rows.rows() {
        rows.row_mut(row).iter_mut().for_each(|value| *value /= pull.sqrt() as f32);
    }
    Base::from_matrix(rows)
}

/// How strong the pull of a user's own weight towards 0 is beside that of others.
pub(super) fn prior(about: About) -> f64 {
    match about {
        About::Source(_) => 3.0,
        About::Year => 10.0,
        About::Genre => 30.0,
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use sona_domain::Cursor;

    use super::*;
    use crate::ranker::moment::UNKNOWN;
    use crate::train::{GO_ON, stopped_after};

    const USERS: u64 = 40;
    const TITLES: usize = 20;

    /// Choices in which half of the users want more of the first feature and the others less, so much in logits.
    fn choices(own: f32) -> Vec<Choice> {
        choices_of(|who| if who.is_multiple_of(2) { own } else { -own })
    }

    /// Choices of users who want so much of the first feature.
    fn choices_of(wants: impl Fn(u64) -> f32) -> Vec<Choice> {
        let width = Layout::new(Vec::new()).width();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let choice = |who: u64| {
            let own = wants(who);
            let mut features = vec![0.0; TITLES * width];
            let scores = features.chunks_exact_mut(width).map(|row| {
                row[0] = rng.random_range(-1.0..1.0);
                row[2] = rng.random_range(-1.0..1.0);
                // The largest of these is a draw from the softmax.
                own * row[0] - (-rng.random_range(f32::MIN_POSITIVE..1.0).ln()).ln()
            });
            let best = scores.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
            Choice {
                chosen: best.map_or(0, |(at, _)| at),
                offsets: vec![0.0; TITLES],
                at_top: true,
                weight: 1.0,
                moment: UNKNOWN,
                titles: 30,
                who,
                cursor: Cursor::default(),
                features,
            }
        };
        (0..USERS).cycle().take(30 * USERS as usize).map(choice).collect()
    }

    #[test]
    fn nobody_is_foreseen_by_what_was_learned_of_themselves() {
        // Each half of the users wants the opposite of the other half.
        let choices = choices_of(|who| if who / 2 % 2 == 0 { 3.0 } else { -3.0 });
        let layout = Layout::new(Vec::new());
        let ranker = Ranker::new(layout.clone(), vec![0.0; layout.width()]);
        // The layer, which learns from everybody, knows nothing before the first of them.
        let foreseen = foresee(&ranker, &choices[..], &rank::Options::default(), GO_ON);
        let foreseen = foreseen.expect("nobody stops it");
        let known = &foreseen[0].known;
        let mean = known.iter().sum::<f32>() / known.len() as f32;
        assert!(known[choices[0].chosen] < mean, "{known:?}");
    }

    #[test]
    fn the_more_users_differ_the_less_they_are_held_back() {
        let layout = Layout::new(Vec::new());
        let ranker = Ranker::new(layout.clone(), vec![0.0; layout.width()]);
        let pull = |own: f32| {
            let options = (&options::Adapters::default(), &rank::Options::default());
            let fitted = fit_base(&ranker, &choices(own), options, GO_ON);
            fitted.expect("nobody stops it").expect("there are enough users").pull
        };
        assert!(pull(4.0) <= 1.0, "{}", pull(4.0));
        assert_eq!(pull(0.0), PULLS[0], "all want the same");
    }

    #[test]
    fn a_base_layer_that_is_stopped_is_none() {
        let (layout, choices) = (Layout::new(Vec::new()), choices(1.0));
        let ranker = Ranker::new(layout.clone(), vec![0.0; layout.width()]);
        let options = (&options::Adapters::default(), &rank::Options::default());
        let ask = |most: usize| {
            stopped_after(most, |go_on| Ok(fit_base(&ranker, &choices, options, go_on)?.is_some()))
        };
        let (found, all) = ask(usize::MAX);
        assert_eq!(found, Ok(true));
        let threads = rayon::current_num_threads().max(PULLS.len());
        for most in (0..all).step_by(all / 8) {
            let (found, asked) = ask(most);
            assert_eq!(found, Err(Stopped));
            assert!(asked <= most + threads, "{asked} questions of {most}");
        }
    }
}
