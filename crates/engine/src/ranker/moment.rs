//! The moment of a request as the shared layer sees it: what is wanted differs between the first title after weeks and the
//! fifth of an evening, and between hours.

use sona_domain::{Timestamp, Zone};

use crate::history::Liked;

/// Numbers that describe a moment.
pub(crate) const MOMENT: usize = 5;

/// A moment of which nothing is known.
pub(crate) const UNKNOWN: [f32; MOMENT] = [1.0, 0.0, 0.0, 0.0, 0.0];

/// A pause of so many seconds ends a session.
const SESSION_PAUSE: f64 = 1800.0;

/// The moment `now` of a user whose latest titles are `liked`, newest first: 1, how long ago the latest was, how many came
/// just before, and the hour of the day as a point on a circle. Each but the first lies around -1 to 1.
pub(crate) fn moment(liked: &[Liked], now: Timestamp, zone: &Zone) -> [f32; MOMENT] {
    let pause = liked.first().map(|latest| now.seconds_since(latest.at).max(0.0));
    let gap = pause.map_or(0.0, |seconds| ((1.0 + seconds).log10() - 3.5) / 2.0);
    let place = (1.0 + session(liked, now) as f32).ln() - 1.0;
    let angle = f32::from(zone.hour(now).unwrap_or(0)) / 24.0 * std::f32::consts::TAU;
    let known = if pause.is_some() { 0.5 } else { 0.0 };
    [1.0, 0.5 * gap as f32, known * place, 0.5 * angle.sin(), 0.5 * angle.cos()]
}

/// How many titles came before `now` without a longer pause.
fn session(liked: &[Liked], now: Timestamp) -> usize {
    let mut after = now;
    liked
        .iter()
        .take_while(|liked| {
            let pause = after.seconds_since(liked.at);
            after = liked.at;
            pause <= SESSION_PAUSE
        })
        .count()
}
