//! Which headers are passed on.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};

use todo_common::idempotency::REQUEST_ID;

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// Headers of a request as the sidecar gets them. `streams`: whether it passes event streams on.
pub(crate) fn of_request(headers: &HeaderMap, streams: bool) -> HeaderMap {
    let mut passed = end_to_end(headers);
    // The client writes both anew.
    passed.remove(HOST);
    passed.remove(CONTENT_LENGTH);
    // The body is there already, nobody has to be asked for it.
    passed.remove(EXPECT);
    // It is for us to say which request this is.
    passed.remove(REQUEST_ID);
    // Dapr takes `authorization: Basic dapr-app-id:…` as another way to name the app to call.
    if headers.get(AUTHORIZATION).is_some_and(is_basic) {
        passed.remove(AUTHORIZATION);
    }
    if !streams
        && asks_for_stream(headers)
        && let Some(accept) = passed.get(ACCEPT).and_then(after_json)
    {
        passed.insert(ACCEPT, accept);
    }
    passed
}

/// Whether a sidecar takes this for somebody who wants an event stream: it looks at the first type only.
pub(crate) fn asks_for_stream(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(EVENT_STREAM))
}

/// Headers of an answer as the browser gets them.
pub(crate) fn of_answer(headers: &HeaderMap) -> HeaderMap {
    let mut passed = end_to_end(headers);
    // Tasks are nothing for a cache, unless the service says so.
    passed.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    passed
}

/// Without what belongs to one connection, and without what is said to a sidecar: `dapr-api-token` would be a secret in
/// wrong hands, and `dapr-app-id` goes before the app that the URL names.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let is_passed =
        |name: &HeaderName| !is_hop_by_hop(name) && !name.as_str().starts_with("dapr-") && !named.contains(name);
    headers.iter().filter(|(name, _)| is_passed(name)).fold(HeaderMap::new(), |mut passed, (name, value)| {
        passed.append(name.clone(), value.clone());
        passed
    })
}

/// RFC 9110, 7.6.1, with the older ones.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
        || ["keep-alive", "proxy-connection"].contains(&name.as_str())
}

fn is_basic(value: &HeaderValue) -> bool {
    value.as_bytes().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
}

/// A sidecar that cannot pass streams on still treats a request for one as such, and answers it with an error. MCP
/// clients name both types, in any order.
fn after_json(accept: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("application/json, {}", accept.to_str().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_belongs_to_one_connection_stays_there() {
        let sent = headers(&[
            ("connection", "keep-alive, X-Only-Here"),
            ("keep-alive", "timeout=5"),
            ("x-only-here", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("host", "example.org"),
            ("content-length", "2"),
            ("content-type", "application/json"),
        ]);
        assert_eq!(names(&of_request(&sent, true)), ["content-type"]);
    }

    #[test]
    fn nobody_outside_speaks_to_the_sidecar() {
        let sent = headers(&[
            ("dapr-api-token", "secret"),
            ("dapr-app-id", "recurring-task-service"),
            ("dapr-caller-app-id", "backend-service"),
            ("authorization", "basic ZGFwci1hcHAtaWQ6eA=="),
        ]);
        assert!(of_request(&sent, true).is_empty());
    }

    #[test]
    fn trace_conditions_and_tokens_are_passed_on() {
        let sent = headers(&[
            ("authorization", "Bearer abc"),
            ("if-match", "\"3\""),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("x-user-id", "ada"),
        ]);
        assert_eq!(of_request(&sent, true), sent);
    }

    #[test]
    fn every_value_of_a_header_is_passed_on() {
        let mut sent = HeaderMap::new();
        sent.append("set-cookie", HeaderValue::from_static("a=1"));
        sent.append("set-cookie", HeaderValue::from_static("b=2"));
        assert_eq!(of_answer(&sent).get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn an_old_sidecar_is_not_asked_for_a_stream_first() {
        let sent = headers(&[("accept", "text/event-stream, application/json")]);
        assert_eq!(of_request(&sent, false)["accept"], "application/json, text/event-stream, application/json");
        assert_eq!(of_request(&sent, true)["accept"], "text/event-stream, application/json");
    }
}
