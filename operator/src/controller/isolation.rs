//! What keeps a mistake in the operator to the pass that makes it: one platform must not stop the passes over all others.

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use tokio::time::timeout;

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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_pass_that_panics_or_never_ends_is_cut_off() {
        let limit = Duration::from_millis(10);
        assert_eq!(contained(limit, async { 1 }).await, Ok(1));
        assert_eq!(contained(limit, pending::<()>()).await, Err(Cut::Late));
        assert_eq!(contained(limit, async { panic!("as a test wants it") }).await, Err::<(), _>(Cut::Panicked));
    }
}
