//! HTTP towards what the platform does not own: no redirects, little time, and nothing of the answer but its status.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, StatusCode, header},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use tokio::time::timeout;
use url::Url;

use super::{
    Failure,
    address::{Reach, Refused, Resolver},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time until the status of an answer is there.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// A server may ask for more patience, up to this.
const MOST_PATIENCE: Duration = Duration::from_hours(1);

/// A client. reqwest's with TLS would be one for every program that is built with this one, and wants TLS set up for the
/// whole process then; this is what is below it.
#[derive(Clone, Debug)]
pub(super) struct Client(legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Body>);

impl Client {
    /// Calls only what users may point at, or, without `reach`, whatever its caller says.
    pub(super) fn new(reach: Option<Reach>, tls: ClientConfig) -> Self {
        let mut connector = HttpConnector::new_with_resolver(Resolver(reach));
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.enforce_http(false);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        // Each is called seldom, and there may be many: no connection is kept.
        Self(legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector))
    }

    /// Posts; accepted is what is answered by 2xx.
    pub(super) async fn post(
        &self,
        url: &Url,
        headers: &[(&'static str, &str)],
        body: impl Into<Body>,
    ) -> Result<(), Failure> {
        let mut request = Request::post(url.as_str()).header(header::USER_AGENT, "todo-platform");
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value).map_err(|_| Failure::never("a header cannot be written"))?;
            value.set_sensitive(*name == "authorization");
            request = request.header(*name, value);
        }
        let request = request.body(body.into()).map_err(|_| Failure::never("its URL cannot be called"))?;
        let late = |_| Failure::again(format!("it did not answer within {} s", TIMEOUT.as_secs()));
        // The body of the answer is dropped, and its connection with it.
        let answer = timeout(TIMEOUT, self.0.request(request)).await.map_err(late)?;
        judge(&answer.map_err(|error| Failure::again(words(&error)))?)
    }
}

/// The authorities of Mozilla's list, as images have none, and those of the system where there are any.
pub(super) fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(authorities());
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The authorities of the system, or those that `SSL_CERT_FILE` names.
pub(super) fn authorities() -> Vec<CertificateDer<'static>> {
    let mut certificates = rustls_native_certs::load_native_certs().certs;
    // Some lists have one that is not to be read, which is no reason to trust none of the others.
    certificates.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    certificates
}

fn judge<B>(answer: &axum::http::Response<B>) -> Result<(), Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let told = format!("it answered HTTP {}", status.as_u16());
    let failure = if status == StatusCode::GONE { Failure::gone(told) } else { Failure::again(told) };
    let patience =
        answer.headers().get(header::RETRY_AFTER).and_then(|value| patience(value.to_str().ok()?, SystemTime::now()));
    Err(Failure { patience, status: Some(status), ..failure })
}

/// What `Retry-After` asks for, in seconds or as a date (RFC 9110, section 10.2.3).
fn patience(value: &str, now: SystemTime) -> Option<Duration> {
    let in_seconds = value.trim().parse().ok().map(Duration::from_secs);
    let until = || Some(httpdate::parse_http_date(value.trim()).ok()?.duration_since(now).unwrap_or_default());
    in_seconds.or_else(until).map(|wait| wait.min(MOST_PATIENCE))
}

/// What went wrong, without addresses: a user must not learn from it what there is in the platform's network.
fn words(error: &legacy::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<Refused>() {
            return Refused.to_string();
        }
        cause = inner.source();
    }
    let words = if error.is_connect() {
        "no connection could be made"
    } else {
        "the connection broke before there was an answer"
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use axum::http::Response;

    use super::*;
    use crate::senders::Verdict;

    #[test]
    fn a_server_may_ask_for_patience_but_not_for_ever() {
        let answer = |status: u16, patience: &str| {
            judge(&Response::builder().status(status).header("retry-after", patience).body(()).unwrap())
        };
        assert_eq!(answer(204, "1"), Ok(()));
        assert_eq!(answer(429, "120").unwrap_err().patience, Some(Duration::from_mins(2)));
        assert_eq!(answer(503, "999999999").unwrap_err().patience, Some(MOST_PATIENCE));
        assert_eq!(answer(503, "Fri, 31 Dec 1999 23:59:59 GMT").unwrap_err().patience, Some(Duration::ZERO));
        assert_eq!(answer(503, "when I like").unwrap_err().patience, None);
        assert_eq!(answer(410, "1").unwrap_err().verdict, Verdict::Gone);
    }

    #[test]
    fn patience_may_be_asked_for_until_a_moment() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let asked = |until| patience(until, now);
        assert_eq!(asked("Sun, 06 Nov 1994 08:59:37 GMT"), Some(Duration::from_mins(10)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("Mon, 07 Nov 1994 08:00:00 GMT"), Some(MOST_PATIENCE));
    }
}
