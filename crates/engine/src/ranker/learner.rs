//! The shared layer learns from every event: before an event is applied, what would have been shown to its user is compared
//! with what they chose.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use sona_domain::{Event, RequestContext};
use sona_numeric::online::Lesson;
use sona_store::Learned;

use super::choice::{Choice, FOR_LESSON, Head, Offer, weight_of};
use super::foresee::Based;
use super::moment::moment;
use super::rank::{Known, Ranking};
use super::{Serving, stored};
use crate::Engine;
use crate::adapters::{OwnChoice, Taught};
use crate::candidates::Question;
use crate::error::Result;
use crate::fuse::Ensemble;
use crate::recommend::{MAX_LIMIT, RecommendRequest};

/// Lessons read at once.
const PAGE: usize = 500;

impl Engine {
    /// What these events, none of which is applied yet, teach `serving`; `None` for each that teaches nothing: its user
    /// rejected the title, or knows it already.
    pub(crate) async fn lessons_of(
        &self,
        serving: &Serving,
        events: &[Event],
    ) -> Vec<(Option<Lesson>, Option<Taught>)> {
        let mut lessons = Vec::with_capacity(events.len());
        for event in events {
            match self.lesson_of(serving, event).await {
                Ok(lesson) => lessons.push(lesson),
                Err(error) => {
                    tracing::warn!(%error, "nothing could be learned from an event");
                    lessons.push((None, None));
                }
            }
        }
        lessons
    }

    /// What an event teaches everybody, and its user's adapter.
    async fn lesson_of(
        &self,
        serving: &Serving,
        event: &Event,
    ) -> Result<(Option<Lesson>, Option<Taught>)> {
        let weight = self.options.events.weight(event);
        let Some(row) = self.catalogue.row(&event.content_id).filter(|_| weight > 0.0) else {
            return Ok((None, None));
        };
        let user = self.user(&event.user_id).await?;
        if user.state().history.has_engaged(row) {
            return Ok((None, None));
        }
        let request = RecommendRequest {
            user_id: event.user_id.clone(),
            limit: MAX_LIMIT,
            exclude: Vec::new(),
            context: RequestContext::default(),
        };
        let base = self.base_layer();
        let choice = self.look(&request, &user, event.timestamp, |question, _| {
            if !question.allowed.contains(row) {
                return None;
            }
            let ensemble = Ensemble::for_ranker(question, &self.options.fusion, 1);
            let mut rng = ChaCha8Rng::from_seed(Sha256::digest(event.event_id.as_str()).into());
            let offer = Offer {
                layout: &serving.ranker.layout,
                ensemble: &ensemble,
                view: question.view,
                allowed: question.allowed,
                draw: FOR_LESSON,
                ranker: None,
            };
            let choice = offer.choice(row, (question.taste, event.timestamp), &mut rng);
            let moment = moment(&question.taste.liked, event.timestamp, question.timezone);
            let choice = Choice { weight: weight_of(event, weight), moment, ..choice };
            let head =
                base.as_ref().and_then(|_| as_served(serving, question, &ensemble, &choice, row));
            Some((choice, head))
        });
        let Some((choice, head)) = choice else { return Ok((None, None)) };
        let based = Based::new(&choice, &serving.ranker);
        let taught = base.zip(head).map(|(base, head)| {
            Taught::new((&event.user_id, &user), &base, OwnChoice::new(&base.base, &choice, head))
        });
        Ok((serving.lesson(&based), taught))
    }

    /// Writes the lessons that wait, and takes in those that everybody has written: all processes learn the same in the same
    /// order.
    pub(crate) async fn follow_lessons(&self) -> Result<()> {
        let Some(serving) = self.ranking.load_full() else { return Ok(()) };
        let waiting = std::mem::take(&mut *serving.waiting());
        if let Err(error) = self.store.append_lessons(serving.version, &waiting).await {
            let mut again = serving.waiting();
            again.splice(0..0, waiting);
            return Err(error.into());
        }
        loop {
            let through = serving.through();
            let lessons = self.store.lessons_after(serving.version, through, PAGE).await?;
            let Some((first, _)) = lessons.first() else { break };
            if *first != through + 1 {
                // They are part of what somebody wrote meanwhile.
                self.recall(&serving).await?;
                if serving.through() == through {
                    break;
                }
                continue;
            }
            serving.take_in(&lessons);
        }
        self.write_learned(&serving).await
    }

    /// Takes over what is stored if that is more than this process has taken in.
    pub(crate) async fn recall(&self, serving: &Serving) -> Result<()> {
        let Some(learned) = self.store.learned(serving.version).await? else { return Ok(()) };
        if learned.through <= serving.through() {
            return Ok(());
        }
        let trained = &serving.ranker.layer;
        let (shape, options) = (trained.shape(), trained.options());
        match stored::state_of_bytes(&learned.state, shape, options) {
            Ok(state) => serving.replace(state, learned.through),
            Err(detail) => tracing::error!(detail, "what the shared layer learned is unusable"),
        }
        Ok(())
    }

    async fn write_learned(&self, serving: &Serving) -> Result<()> {
        let Some((state, through)) = serving.due() else { return Ok(()) };
        let learned = Learned { through, state: stored::state_to_bytes(&state) };
        self.store.put_learned(serving.version, &learned).await?;
        serving.wrote(through);
        Ok(())
    }
}

/// The titles at the head of the list that would have been served without an adapter; `None` if the chosen one was not there.
fn as_served(
    serving: &Serving,
    question: &Question<'_>,
    ensemble: &Ensemble<'_>,
    choice: &Choice,
    chosen: u32,
) -> Option<Head> {
    let viewer = question.taste.viewer(&serving.ranker.layout, question.view, question.now);
    let weights = serving.weights(&choice.moment);
    let moment = choice.moment;
    let known = Known { viewer: &viewer, personal: None, moment, weights: &weights, asked: 0.0 };
    Ranking::new(&serving.ranker, ensemble, question.view, &known, &[]).head(chosen)
}
