//! What keeps a mistake in the operator to the pass that makes it, and what is slow to the platform that is: neither may hold
//! up the passes over all others.

use std::{future::Future, panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures::FutureExt;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{sleep, timeout},
};

/// Places for passes that write. More of them at the same time make nothing faster, and each takes memory.
const PLACES: usize = 16;
/// How long a pass may have a place. Longer than any takes whose writes are answered.
const STAY: Duration = Duration::from_secs(5);

/// Why a pass has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It took too long.
    Late,
    /// It panicked. What it had in hand is dropped; all that is remembered between passes may be lost.
    Panicked,
}

/// Goes through a pass that may take as long as `limit`, and may panic.
pub(super) async fn contained<T>(limit: Duration, pass: impl Future<Output = T>) -> Result<T, Cut> {
    match AssertUnwindSafe(timeout(limit, pass)).catch_unwind().await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(Cut::Late),
        Err(_) => Err(Cut::Panicked),
    }
}

/// Does what never ends by itself, and begins it anew `breath` after it panicked.
pub(super) async fn unending<F>(breath: Duration, begin: impl Fn() -> F, panicked: impl Fn())
where
    F: Future<Output = ()>,
{
    while AssertUnwindSafe(begin()).catch_unwind().await.is_err() {
        panicked();
        sleep(breath).await;
    }
}

/// The places that passes share while they read and write. What they wait for besides, they wait for without one.
pub(super) struct Places {
    free: Semaphore,
    stay: Duration,
}

/// A place that a pass has.
pub(super) struct Place<'a> {
    permit: SemaphorePermit<'a>,
    stay: Duration,
}

impl Default for Places {
    fn default() -> Self {
        Self { free: Semaphore::new(PLACES), stay: STAY }
    }
}

impl Places {
    /// A place, when there is one.
    pub(super) async fn take(&self) -> Place<'_> {
        let permit = self.free.acquire().await.expect("nobody closes it");
        Place { permit, stay: self.stay }
    }
}

impl Place<'_> {
    /// Works in this place and leaves it. Work whose calls hang keeps it for a while only, and goes on without.
    pub(super) async fn work<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Ok(done) = timeout(self.stay, &mut work).await {
            return done;
        }
        drop(self.permit);
        work.await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_pass_that_panics_or_never_ends_is_cut_off() {
        let limit = Duration::from_millis(10);
        assert_eq!(contained(limit, async { 1 }).await, Ok(1));
        assert_eq!(contained(limit, pending::<()>()).await, Err(Cut::Late));
        assert_eq!(contained(limit, async { panic!("as a test wants it") }).await, Err::<(), _>(Cut::Panicked));
    }

    #[tokio::test]
    async fn what_panics_is_begun_anew() {
        let (times, panics) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let begin = || async {
            assert!(times.fetch_add(1, Ordering::Relaxed) >= 2, "as a test wants it");
        };
        let panicked = || {
            panics.fetch_add(1, Ordering::Relaxed);
        };
        unending(Duration::ZERO, begin, panicked).await;
        assert_eq!((times.into_inner(), panics.into_inner()), (3, 2));
    }

    #[tokio::test]
    async fn work_that_hangs_keeps_others_waiting_for_a_moment_and_not_for_as_long_as_it_hangs() {
        let (places, begun) = (Places { stay: Duration::from_millis(10), ..Places::default() }, AtomicUsize::new(0));
        let hang = || async {
            places
                .take()
                .await
                .work(async {
                    begun.fetch_add(1, Ordering::Relaxed);
                    pending::<()>().await;
                })
                .await;
        };
        let mut hanging = join_all((0..2 * PLACES).map(|_| hang()));
        assert!((&mut hanging).now_or_never().is_none());
        assert_eq!(begun.load(Ordering::Relaxed), PLACES);
        tokio::select! {
            () = async { places.take().await.work(async {}).await } => {}
            _ = hanging => unreachable!("they never end"),
        }
        assert_eq!(begun.into_inner(), 2 * PLACES);
    }
}
