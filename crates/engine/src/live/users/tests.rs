//! A user who is removed while somebody reads their history.

use sona_domain::{ContentId, Event, EventId, EventType};
use tokio::sync::Notify;

use super::*;

/// A log of one user's one event. The first read of it stops, with the answer in hand, until it is told to go on.
#[derive(Default)]
struct SlowLog {
    removed: std::sync::atomic::AtomicBool,
    reads: AtomicU64,
    reading: Notify,
    go_on: Notify,
}

impl StoredUsers for SlowLog {
    async fn read(&self, ids: &[UserId]) -> Result<Vec<StoredUser>> {
        let events = if self.removed.load(Ordering::SeqCst) { vec![] } else { vec![event()] };
        if self.reads.fetch_add(1, Ordering::SeqCst) == 0 {
            self.reading.notify_one();
            self.go_on.notified().await;
        }
        Ok(vec![StoredUser { events, written: None }; ids.len()])
    }
}

fn user() -> UserId {
    UserId::new("u").expect("an id")
}

fn event() -> LoggedEvent {
    let event = Event {
        event_id: EventId::new("e").expect("an id"),
        user_id: user(),
        content_id: ContentId::new("c").expect("an id"),
        event_type: EventType::new("watch").expect("a type"),
        completion_rate: None,
        rating: None,
        is_rewatch: false,
        dismissed: false,
        context: None,
        recommendation_id: None,
        timestamp: Timestamp::from_seconds(1),
    };
    LoggedEvent { cursor: Cursor(1), event }
}

/// Removes the user while `load` reads them; what `load` answers and what is kept is of after the removal.
async fn check<L: Future<Output = Arc<User>>>(
    load: impl FnOnce(Arc<Users>, Arc<SlowLog>, Arc<Catalogue>) -> L,
) {
    let users = Arc::new(Users::new(1_000_000, EventRules::default()));
    let (log, catalogue) = (Arc::new(SlowLog::default()), Arc::new(Catalogue::new()));
    let remove = async {
        log.reading.notified().await;
        log.removed.store(true, Ordering::SeqCst);
        users.forget(&user()).await;
        log.go_on.notify_one();
    };
    let (loaded, ()) = tokio::join!(load(users.clone(), log.clone(), catalogue.clone()), remove);
    assert_eq!(loaded.state().interaction_count, 0);
    let kept = users.get(&user(), &*log, &catalogue).await.expect("read");
    assert_eq!(kept.state().interaction_count, 0);
}

#[tokio::test]
async fn a_request_does_not_bring_them_back() {
    check(async |users, log, catalogue| users.get(&user(), &*log, &catalogue).await.expect("read"))
        .await;
}

#[tokio::test]
async fn a_batch_does_not_bring_them_back() {
    check(async |users, log, catalogue| {
        users.load_all(&[user()], &*log, &catalogue).await.expect("read").swap_remove(0)
    })
    .await;
}
