//! What the tests share.

use std::time::{Duration, Instant};

use todo_e2e::proxy::{Ledger, Proxy};

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
