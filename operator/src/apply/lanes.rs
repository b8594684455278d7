//! How many writes are under way at the same time. Each is a connection, and more of them than the API server has cores for
//! make nothing faster.

use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Lanes that all platforms share.
const SHARED: usize = 16;

/// The lanes that all platforms share. Each has one more for itself, so that writes of others that hang delay none of its own.
#[derive(Clone, Debug)]
pub struct Lanes(Arc<Semaphore>);

impl Default for Lanes {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SHARED)))
    }
}

impl Lanes {
    /// Does the writes of one platform, `most` at the same time at most.
    pub async fn side_by_side<T>(
        &self,
        most: usize,
        writes: impl IntoIterator<Item = impl Future<Output = T>>,
    ) -> Vec<T> {
        let writes: Vec<_> = writes.into_iter().collect();
        let shared = self.take(most.min(writes.len()).saturating_sub(1));
        let lanes = 1 + shared.as_ref().map_or(0, SemaphorePermit::num_permits);
        stream::iter(writes).buffer_unordered(lanes).collect().await
    }

    /// As many of the shared lanes as are free now.
    fn take(&self, most: usize) -> Option<SemaphorePermit<'_>> {
        let free = self.0.available_permits().min(most);
        // Another platform may have been faster; then this one makes do with its own.
        self.0.try_acquire_many(u32::try_from(free).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures::{FutureExt, future};

    use super::*;

    #[tokio::test]
    async fn writes_that_hang_leave_each_other_platform_a_lane_of_its_own() {
        let (lanes, hanging) = (Lanes::default(), AtomicUsize::new(0));
        let hang = || async {
            hanging.fetch_add(1, Ordering::Relaxed);
            pending::<()>().await;
        };
        let platforms: Vec<_> = (0..4).map(|_| lanes.side_by_side(8, (0..30).map(|_| hang()))).collect();
        let mut platforms = future::join_all(platforms);
        assert!((&mut platforms).now_or_never().is_none());
        assert_eq!(hanging.load(Ordering::Relaxed), 4 + SHARED);
        assert_eq!(lanes.side_by_side(8, [ready(1), ready(2)]).now_or_never(), Some(vec![1, 2]));
        drop(platforms);
        assert_eq!(lanes.0.available_permits(), SHARED, "a pass that was cut off gives them back");
    }
}
