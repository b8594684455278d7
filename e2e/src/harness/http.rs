//! HTTP as scenarios speak it: a status that was not expected is an error with the answer's text.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::Forward;

/// A client of one port.
pub struct Http {
    base: String,
    /// The way there, if one has to be kept open as long as the client lives.
    _forward: Option<Forward>,
    client: Client,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// Its body, as text.
    pub text: String,
}

impl Answer {
    /// Its body, as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Itself, if the status is this one.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        anyhow::ensure!(self.status.as_u16() == status, "status {} instead of {status}: {}", self.status, self.text);
        Ok(self)
    }
}

impl Http {
    /// A client of a forwarded port.
    pub fn new(forward: Forward) -> anyhow::Result<Self> {
        Self::build(forward.url(""), Some(forward), Some(0))
    }

    /// A client of a forwarded port that keeps its connections, for a pod that stays: each costs the node a new way.
    pub fn keeping(forward: Forward) -> anyhow::Result<Self> {
        Self::build(forward.url(""), Some(forward), None)
    }

    /// A client of a port of this machine.
    pub fn local(port: u16) -> anyhow::Result<Self> {
        Self::build(format!("http://127.0.0.1:{port}"), None, Some(0))
    }

    /// A client of what is at this URL.
    pub fn at(base: &str) -> anyhow::Result<Self> {
        Self::build(base.to_owned(), None, Some(0))
    }

    /// A connection that an earlier request left may have ended with its pod, so mostly none is kept.
    fn build(base: String, forward: Option<Forward>, kept: Option<usize>) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(30));
        let client = match kept {
            Some(most) => client.pool_max_idle_per_host(most),
            None => client,
        }
        .build()?;
        Ok(Self { base, _forward: forward, client })
    }

    /// Where a path is, for other programs.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends a request with these headers and, unless it is null, this body.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let mut request = self.client.request(method, self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        Self::answer(request.send().await?).await
    }

    async fn answer(response: reqwest::Response) -> anyhow::Result<Answer> {
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, &[], &Value::Null).await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, &[], body).await
    }

    /// `POST` of a body that is no JSON of ours.
    pub async fn upload(&self, path: &str, content_type: &str, body: String) -> anyhow::Result<Answer> {
        let request = self.client.post(self.url(path)).header("content-type", content_type).body(body);
        Self::answer(request.send().await?).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::DELETE, path, &[], &Value::Null).await
    }
}
