//! Whether an adapter is worth being served: progressive validation (Blum, Kalai & Langford, *Beating the hold-out*, 1999).
//!
//! ```text
//! G ← .98 G + (loss without the adapter − loss with it)
//! ```
//!
//! on every positive choice, before the adapter learns from it. The loss is the list's negative log-likelihood, in nats.

/// What is left of `G` after another choice.
pub const DECAY: f64 = 0.98;

/// The adapter is served while `G` is at least this: it may have lost one nat.
pub const TOLERANCE: f64 = -1.0;

/// One comparison counts no more than this, in nats: a choice that nobody could foresee shuts no gate for good.
pub const MOST: f64 = 20.0;

/// What the adapter has gained over the last choices.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Gate {
    gain: f64,
}

impl Gate {
    /// A gate that was stored.
    ///
    /// # Errors
    /// If the gain is not finite.
    pub fn from_gain(gain: f64) -> Result<Self, crate::online::Error> {
        if gain.is_finite() { Ok(Self { gain }) } else { Err(crate::online::Error::Number) }
    }

    /// `G`, in nats: 0 before the first choice.
    pub fn gain(&self) -> f64 {
        self.gain
    }

    /// Whether the adapter may be served.
    pub fn is_open(&self) -> bool {
        self.gain >= TOLERANCE
    }

    /// Notes the losses of one choice; a loss that is not finite says nothing.
    pub(super) fn note(&mut self, without: f64, with: f64) {
        let gained = without - with;
        if gained.is_finite() {
            self.gain = DECAY * self.gain + gained.clamp(-MOST, MOST);
        }
    }
}
