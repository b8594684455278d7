//! What the tests share.

use std::time::{Duration, Instant};

use todo_e2e::{
    faults::{Action, Course, Ground},
    proxy::{Ledger, Proxy},
};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Who uses the processors.
static PROCESSORS: RwLock<()> = RwLock::const_new(());

/// For tests that wait more than they work: some of them run at the same time.
pub(crate) async fn beside_others() -> RwLockReadGuard<'static, ()> {
    PROCESSORS.read().await
}

/// For one that takes all that the processors have.
pub(crate) async fn alone() -> RwLockWriteGuard<'static, ()> {
    PROCESSORS.write().await
}

/// The life of a platform when nothing goes wrong. It is the same for all tests, so it is gone through once.
pub(crate) async fn undisturbed() -> anyhow::Result<&'static Course> {
    static COURSE: OnceCell<Course> = OnceCell::const_new();
    let live = async || Ground::start().await?.walk(0).await?.undisturbed(&Action::ALL).await;
    COURSE.get_or_try_init(live).await
}

/// What chance is made of: `SEED`, else a new one. It is printed, so that a run can be repeated.
pub(crate) fn seed() -> anyhow::Result<u64> {
    let seed = match std::env::var("SEED") {
        Ok(text) => text.parse()?,
        Err(_) => rand::random(),
    };
    println!("SEED={seed}");
    Ok(seed)
}

/// What was asked within `time` from now on.
pub(crate) async fn watch_for(time: Duration, proxy: &Proxy) -> Ledger {
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    proxy.ledger().since(begun)
}
