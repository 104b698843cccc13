//! Connections for the short reads that requests wait for.
//!
//! A pool of sqlx asks the database whether a connection is alive each time one is given back to it, and PostgreSQL also before
//! it hands one out. Each is a round trip, and reading a row by its key is not more than one. So a few connections are kept here
//! instead, as they are, if what they were used for last went well.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Connection, Database, Pool};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Result;

/// One that has waited for so long is asked whether it is alive before it is lent.
const TRUSTED: Duration = Duration::from_secs(1);

/// The connections kept.
pub(crate) struct AtHand<DB: Database> {
    /// Where they come from, and what serves whoever finds all of them lent.
    pool: Pool<DB>,
    /// One for each that may be lent.
    permits: Semaphore,
    count: u32,
    waiting: Mutex<Vec<(DB::Connection, Instant)>>,
}

impl<DB: Database> AtHand<DB> {
    /// Keeps up to `count` connections besides those of the pool; none are opened yet.
    pub(crate) fn new(pool: Pool<DB>, count: u32) -> Self {
        Self { pool, permits: Semaphore::new(count as usize), count, waiting: Mutex::default() }
    }

    /// A connection. Whoever gives it back when all went well keeps it for the next one; otherwise it is closed.
    pub(crate) async fn lend(&self) -> Result<Lent<'_, DB>> {
        let Ok(permit) = self.permits.try_acquire() else {
            let connection = Kind::Pooled(self.pool.acquire().await?);
            return Ok(Lent { connection });
        };
        while let Some((mut connection, since)) = self.take() {
            if since.elapsed() < TRUSTED || connection.ping().await.is_ok() {
                return Ok(self.lent(connection, permit));
            }
        }
        let connection = self.pool.acquire().await?.detach();
        Ok(self.lent(connection, permit))
    }

    fn lent<'h>(&'h self, connection: DB::Connection, permit: SemaphorePermit<'h>) -> Lent<'h, DB> {
        Lent { connection: Kind::Own { connection, home: self, permit } }
    }

    /// Waits for those that are lent, and closes all; nothing is kept from then on. The pool is left open.
    pub(crate) async fn close(&self) {
        if self.permits.acquire_many(self.count).await.is_ok() {
            self.permits.close();
        }
        while let Some((connection, _)) = self.take() {
            // Whoever is gone needs no farewell.
            let _ = connection.close().await;
        }
    }

    fn take(&self) -> Option<(DB::Connection, Instant)> {
        self.waiting().pop()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(DB::Connection, Instant)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is lent.
pub(crate) struct Lent<'h, DB: Database> {
    connection: Kind<'h, DB>,
}

enum Kind<'h, DB: Database> {
    Own { connection: DB::Connection, home: &'h AtHand<DB>, permit: SemaphorePermit<'h> },
    Pooled(PoolConnection<DB>),
}

impl<DB: Database> Lent<'_, DB> {
    /// Gives it back after an operation that came to its end and did not fail.
    pub(crate) fn give_back(self) {
        match self.connection {
            Kind::Own { connection, home, permit } => {
                home.waiting().push((connection, Instant::now()));
                // Not before: one more would be opened.
                drop(permit);
            }
            Kind::Pooled(connection) => drop(connection),
        }
    }
}

impl<DB: Database> Deref for Lent<'_, DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        match &self.connection {
            Kind::Own { connection, .. } => connection,
            Kind::Pooled(connection) => connection,
        }
    }
}

impl<DB: Database> DerefMut for Lent<'_, DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.connection {
            Kind::Own { connection, .. } => connection,
            Kind::Pooled(connection) => connection,
        }
    }
}
