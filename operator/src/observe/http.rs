//! Short questions to pods.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long all questions of one look may take: whole nodes may be silent, and a status has to be told all the same.
const LOOK: Duration = Duration::from_secs(5);
/// Size of an answer, in bytes.
const LIMIT: usize = 1 << 20;
/// Questions at the same time, for one platform.
pub(super) const CONCURRENCY: usize = 8;

/// A client for short questions to pods. It follows no redirect and uses no proxy.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

impl Http {
    /// Makes the client.
    pub fn new() -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        // Pods come and go and their addresses are used again, so connections are not kept for long.
        Ok(Self(builder.pool_idle_timeout(Duration::from_secs(20)).build()?))
    }

    /// Begins a look.
    pub(super) fn look(&self) -> Look<'_> {
        Look { http: self, end: Instant::now() + LOOK }
    }
}

/// Questions to many pods, that all end at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    http: &'a Http,
    end: Instant,
}

impl Look<'_> {
    /// Asks a pod. An error says in words what went wrong.
    pub(super) async fn get<T: DeserializeOwned>(&self, address: IpAddr, port: u16, path: &str) -> Result<T, String> {
        let wait = self.end.saturating_duration_since(Instant::now()).min(DEADLINE);
        if wait.is_zero() {
            return Err("was not asked, as too many others gave no answer".to_owned());
        }
        let url = format!("http://{}{path}", std::net::SocketAddr::new(address, port));
        let mut response = self.http.0.get(url).timeout(wait).send().await.map_err(|error| words(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| words(&error))? {
            if body.len() + chunk.len() > LIMIT {
                return Err("the answer is too long".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(format!("answered {}", status.as_u16()));
        }
        serde_json::from_slice(&body).map_err(|error| format!("its answer cannot be read: {error}"))
    }
}

fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("no answer within {} s", DEADLINE.as_secs())
    } else if error.is_connect() {
        "cannot be reached".to_owned()
    } else {
        "broke off".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_look_at_many_silent_pods_ends_before_all_have_been_asked() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let http = Http::new().unwrap();
        let look = Look { http: &http, end: Instant::now() + Duration::from_millis(200) };
        let ask = || look.get::<serde_json::Value>(address.ip(), address.port(), "/");
        let answers: Vec<_> = stream::iter((0..100).map(|_| ask())).buffered(CONCURRENCY).collect().await;
        let said =
            |words: &str| answers.iter().filter(|answer| answer.as_ref().is_err_and(|why| why.contains(words))).count();
        assert_eq!((said("no answer"), said("was not asked")), (100, 100 - CONCURRENCY), "{answers:?}");
    }
}
