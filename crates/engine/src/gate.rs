//! What must not be shown is not shown: on the way in no source may offer it, on the way out everything is
//! looked at once more against the state of that moment.

use sona_domain::Timestamp;
use sona_numeric::rows::RowSet;

use crate::Engine;
use crate::catalogue::View;
use crate::live::users::{Taste, User};

/// The rows a request may be answered with: available now, not seen or rejected by the user, not excluded.
pub(crate) fn allowed(view: &View, taste: &Taste, excluded: &[u32]) -> RowSet {
    let mut allowed = view.available().clone();
    for row in taste.blocked.iter().chain(excluded) {
        allowed.remove(*row);
    }
    allowed
}

/// Drops what became forbidden since `view` and the user's taste were looked at.
pub(crate) fn recheck<T>(
    engine: &Engine,
    (view, user): (&View, Option<(&User, &Taste)>),
    now: Timestamp,
    list: &mut Vec<T>,
    row_of: impl Fn(&T) -> u32,
) {
    let fresh = engine.catalogue.view(now);
    let changed = user.map(|(user, taste)| (user.state(), taste));
    let changed = changed.filter(|(state, taste)| !taste.rests_on(state)).map(|(state, _)| state);
    if fresh.revision() == view.revision() && changed.is_none() {
        return;
    }
    list.retain(|item| {
        let row = row_of(item);
        fresh.available().contains(row)
            && changed.as_ref().is_none_or(|state| !state.history.is_blocked(row))
    });
}
