//! What must not be shown is not shown: on the way in no source may offer it, on the way out everything is
//! looked at once more against the state of that moment.

use sona_domain::Timestamp;
use sona_numeric::rows::RowSet;

use crate::Engine;
use crate::catalogue::View;
use crate::live::users::User;

/// The rows a request may be answered with: available now, not seen or rejected by the user, not excluded.
pub(crate) fn allowed(view: &View, user: &User, excluded: &[u32]) -> RowSet {
    let mut allowed = view.available().clone();
    for row in user.state().history.blocked() {
        allowed.remove(row);
    }
    for row in excluded {
        allowed.remove(*row);
    }
    allowed
}

/// Drops what became forbidden while the request was worked on.
pub(crate) fn recheck<T>(
    engine: &Engine,
    user: Option<&User>,
    now: Timestamp,
    list: &mut Vec<T>,
    row_of: impl Fn(&T) -> u32,
) {
    let view = engine.catalogue.view(now);
    let state = user.map(User::state);
    list.retain(|item| {
        let row = row_of(item);
        view.available().contains(row)
            && state.as_ref().is_none_or(|state| !state.history.is_blocked(row))
    });
}
