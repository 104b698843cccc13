//! A ranker that serves, and what its layer has learned by now.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use sona_numeric::listwise::Scratch;
use sona_numeric::online::{self, Lesson};

use super::foresee::{Based, SOLVED_EVERY};
use super::{Ranker, stored};

/// What the lessons came to is written after so many.
const WRITTEN_EVERY: i64 = 500;

/// A ranker that serves.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) version: i64,
    pub(crate) ranker: Ranker,
    layer: RwLock<Layer>,
    /// Lessons that are not in the store yet.
    waiting: Mutex<Vec<Vec<u8>>>,
}

#[derive(Debug)]
struct Layer {
    state: online::State,
    /// The last lesson that is in it.
    through: i64,
    /// The last one that is in what was written.
    written: i64,
}

impl Serving {
    /// The ranker as it was trained.
    pub(crate) fn new(version: i64, ranker: Ranker) -> Self {
        let layer = Layer { state: ranker.layer.clone(), through: 0, written: 0 };
        Self { version, ranker, layer: RwLock::new(layer), waiting: Mutex::default() }
    }

    /// What every feature weighs at this moment.
    pub(crate) fn weights(&self, moment: &[f32]) -> Vec<f64> {
        let learned = self.layer_weights(moment);
        self.ranker.weights.iter().zip(learned).map(|(weight, more)| weight + more).collect()
    }

    /// What the layer adds to that.
    pub(crate) fn layer_weights(&self, moment: &[f32]) -> Vec<f64> {
        self.read().state.weights(moment)
    }

    /// What a choice teaches.
    pub(super) fn lesson(&self, based: &Based<'_>) -> Option<Lesson> {
        self.read().state.lesson(based.list(), &based.choice.moment, &mut Scratch::default())
    }

    /// Keeps what events taught that are applied now; it counts once it is in the store.
    pub(crate) fn keep(&self, lessons: &[Lesson]) {
        self.waiting().extend(lessons.iter().map(stored::lesson_to_bytes));
    }

    /// The last lesson that is taken in.
    pub(crate) fn through(&self) -> i64 {
        self.read().through
    }

    /// Lessons that are not in the store yet.
    pub(super) fn waiting(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in those of these lessons that follow what is taken in: somebody else may have read the same ones and have been
    /// here first. One that cannot be read is passed over, by everybody alike.
    pub(super) fn take_in(&self, lessons: &[(i64, Vec<u8>)]) {
        let mut layer = self.layer.write().unwrap_or_else(PoisonError::into_inner);
        let (features, moments) = layer.state.shape();
        for (sequence, bytes) in lessons {
            if *sequence != layer.through + 1 {
                continue;
            }
            let lesson = stored::lesson_of_bytes(bytes, features, moments);
            if lesson.is_some_and(|lesson| layer.state.learn(&lesson).is_ok())
                && layer.state.lessons().is_multiple_of(SOLVED_EVERY)
            {
                layer.state.solve();
            }
            layer.through = *sequence;
        }
    }

    /// Goes on from a state that holds the lessons up to `through`, unless more are taken in by now.
    pub(super) fn replace(&self, state: online::State, through: i64) {
        let mut layer = self.layer.write().unwrap_or_else(PoisonError::into_inner);
        if through > layer.through {
            *layer = Layer { state, through, written: through };
        }
    }

    /// What is to be written of the layer, if it is time.
    pub(super) fn due(&self) -> Option<(online::State, i64)> {
        let layer = self.read();
        let due = layer.through - layer.written >= WRITTEN_EVERY;
        due.then(|| (layer.state.clone(), layer.through))
    }

    /// Notes that it was written, by this process or another one.
    pub(super) fn wrote(&self, through: i64) {
        self.layer.write().unwrap_or_else(PoisonError::into_inner).written = through;
    }

    fn read(&self) -> RwLockReadGuard<'_, Layer> {
        self.layer.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sona_numeric::online::{Lesson, State};

    use super::*;
    use crate::ranker::features::Layout;
    use crate::ranker::moment;

    /// Two tasks of a process that follow the lessons at once read the same ones.
    #[test]
    fn lessons_count_once() {
        let layout = Layout::new(Vec::new());
        let d = layout.width();
        let lesson = |pull: f32| Lesson {
            context: moment::UNKNOWN.to_vec(),
            curvature: vec![0.1; d * (d + 1) / 2],
            pull: vec![pull; d],
            weight: 1.0,
        };
        let lessons: Vec<_> = (1..=i64::try_from(SOLVED_EVERY).expect("few"))
            .map(|sequence| (sequence, stored::lesson_to_bytes(&lesson(sequence as f32))))
            .collect();
        let weights = vec![0.0; d];
        let serving = || Serving::new(1, Ranker::new(layout.clone(), weights.clone()));
        let (once, twice) = (serving(), serving());
        once.take_in(&lessons);
        twice.take_in(&lessons[..7]);
        twice.take_in(&lessons[..7]);
        twice.take_in(&lessons[4..]);
        let state = |serving: &Serving| serving.read().state.clone();
        assert_eq!(state(&once).lessons(), SOLVED_EVERY);
        assert!(state(&once).solution().iter().any(|weight| *weight != 0.0));
        assert_eq!(state(&once), state(&twice));

        // What is stored and holds fewer is no news.
        twice.replace(State::new(d, moment::MOMENT, state(&once).options()), 3);
        assert_eq!(state(&once), state(&twice));
    }
}
