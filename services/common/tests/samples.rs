//! Alone in its process, whose memory it looks at.

use std::time::Duration;

use metrics::histogram;
use todo_common::telemetry;
use tokio::time::sleep;

/// Requests between two looks.
const REQUESTS: usize = 200_000;
const LOOKS: usize = 20;
const FOLDING: Duration = Duration::from_millis(20);
/// What all samples would take by themselves is 16 bytes each, 61 MiB.
const ALLOWED: usize = 8 * 1024 * 1024;

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux says it");
    let resident = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    resident.expect("the second of the numbers is that of resident pages") * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_take_no_memory_though_nobody_reads_the_metrics() {
    telemetry::init("test").unwrap();
    let _folding = tokio::spawn(telemetry::fold_samples(FOLDING));
    let look = async || {
        for _ in 0..REQUESTS {
            histogram!("http_request_duration_seconds").record(0.01);
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
    assert!(grown < ALLOWED, "{grown} bytes more after {} requests", REQUESTS * LOOKS);
}
