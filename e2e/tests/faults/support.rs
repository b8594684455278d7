//! What the tests share.

use std::time::{Duration, Instant};

use todo_e2e::proxy::{Ledger, Proxy};

/// What was asked within `time` from now on.
pub(crate) async fn watch_for(time: Duration, proxy: &Proxy) -> Ledger {
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    proxy.ledger().since(begun)
}
