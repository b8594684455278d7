//! Waiting for something that is going to be so.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(250);

/// Asks again and again until the answer is there. An error that `ask` returns is no end: the thing may just not be
/// there yet; the last one is shown when the limit is reached.
pub async fn until<T, Fut>(what: &str, limit: Duration, mut ask: impl FnMut() -> Fut) -> anyhow::Result<T>
where
    Fut: Future<Output = anyhow::Result<Option<T>>>,
{
    let start = Instant::now();
    let mut last = None;
    loop {
        let left = limit.saturating_sub(start.elapsed());
        match tokio::time::timeout(left.max(PAUSE), ask()).await {
            Ok(Ok(Some(answer))) => return Ok(answer),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => last = Some(format!("{error:#}")),
            // An error before says more.
            Err(_) => last = last.or_else(|| Some("the last question had no answer in time".to_owned())),
        }
        if start.elapsed() >= limit {
            let last = last.map(|error| format!("; last error: {error}")).unwrap_or_default();
            anyhow::bail!("not within {}s: {what}{last}", limit.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Holds that something stays so for a while, asking again and again. A question that fails tells nothing, two in a row do,
/// and the last one has an answer.
pub async fn throughout<Fut>(what: &str, time: Duration, mut ask: impl FnMut() -> Fut) -> anyhow::Result<()>
where
    Fut: Future<Output = anyhow::Result<bool>>,
{
    let (start, mut has_failed) = (Instant::now(), false);
    while start.elapsed() < time || has_failed {
        match ask().await {
            Ok(is_so) => {
                anyhow::ensure!(is_so, "no longer so after {}ms: {what}", start.elapsed().as_millis());
                has_failed = false;
            }
            Err(error) if has_failed => return Err(error.context(what.to_owned())),
            Err(_) => has_failed = true,
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
