//! Short questions to pods.

use std::{net::IpAddr, time::Duration};

use serde::de::DeserializeOwned;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(2);
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
        let builder =
            reqwest::Client::builder().timeout(DEADLINE).no_proxy().redirect(reqwest::redirect::Policy::none());
        // Pods come and go and their addresses are used again, so connections are not kept for long.
        Ok(Self(builder.pool_idle_timeout(Duration::from_secs(20)).build()?))
    }

    /// Asks a pod. An error says in words what went wrong.
    pub(super) async fn get<T: DeserializeOwned>(&self, address: IpAddr, port: u16, path: &str) -> Result<T, String> {
        let url = format!("http://{}{path}", std::net::SocketAddr::new(address, port));
        let mut response = self.0.get(url).send().await.map_err(|error| words(&error))?;
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
