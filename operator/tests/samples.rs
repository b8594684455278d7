//! Alone in its process, whose memory it looks at.

use std::time::Duration;

use todo_operator::runtime::metrics;
use tokio::time::sleep;

/// Passes between two looks.
const PASSES: usize = 200_000;
const LOOKS: usize = 20;
const FOLDING: Duration = Duration::from_millis(20);
/// What all samples would take by themselves is 16 bytes each, 61 MiB.
const ALLOWED: usize = 8 * 1024 * 1024;

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux says how much memory it takes");
    pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages") * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_take_no_memory_though_nobody_reads_the_metrics() {
    let handle = metrics::install().unwrap();
    let _folding = tokio::spawn(metrics::fold_samples(handle, FOLDING));
    let look = async || {
        for _ in 0..PASSES {
            metrics::waited(Duration::from_millis(10));
        }
        sleep(2 * FOLDING).await;
        resident()
    };
    let first = look().await;
    let mut last = first;
    for _ in 0..LOOKS {
        last = look().await;
    }
    let grown = last.saturating_sub(first);
    assert!(grown < ALLOWED, "{grown} bytes more after {} passes", PASSES * LOOKS);
}
