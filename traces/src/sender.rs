use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use tracing::{info, warn};

/// How long the collector may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How often it is said that spans are lost.
const TOLD: Duration = Duration::from_mins(10);

/// Sends requests of the exporter, whose thread has no runtime.
pub(super) struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    news: News,
}

impl Sender {
    pub(super) fn new() -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, runtime: Handle::current(), news: News::default() })
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move { client.send_bytes(request).await }).await;
        let answer = answer.map_err(HttpError::from).flatten();
        let wrong = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("answered {}", answer.status().as_u16())),
            Err(error) => Some(words(error)),
        };
        match (self.news.of(wrong.is_some(), Instant::now()), wrong) {
            (true, Some(error)) => warn!(%error, "the collector takes no spans; they are dropped"),
            (true, None) => info!("the collector takes spans again"),
            (false, _) => {}
        }
        answer
    }
}

fn words(error: &HttpError) -> String {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => format!("no answer within {} s", DEADLINE.as_secs()),
        Some(error) if error.is_connect() => "cannot be reached".to_owned(),
        _ => "broke off".to_owned(),
    }
}

/// When it was last said that spans are lost.
#[derive(Debug, Default)]
struct News(Mutex<Option<Instant>>);

impl News {
    /// Whether it is worth a line that spans are lost, or are not any more.
    fn of(&self, lost: bool, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !lost {
            return told.take().is_some();
        }
        let is_due = told.is_none_or(|then| now.duration_since(then) >= TOLD);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_spans_are_lost_is_said_at_once_and_then_seldom_and_that_they_are_not_any_more_once() {
        let (news, begun) = (News::default(), Instant::now());
        let all =
            [(false, 0), (true, 5), (true, 10), (true, 604), (true, 605), (false, 610), (false, 615), (true, 620)];
        let told = all.map(|(lost, seconds)| news.of(lost, begun + Duration::from_secs(seconds)));
        assert_eq!(told, [false, true, false, false, true, true, false, true]);
    }
}
