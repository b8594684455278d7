//! Which pages may have a browser send something: this one alone. The services do not see the host that the browser has called.

use axum::{
    extract::Request,
    http::{
        Uri,
        header::{HOST, ORIGIN},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use todo_common::problem::Problem;

/// Where even what only reads needs it: servers of the Model Context Protocol have to look at each request.
const MCP: &str = "/mcp";

/// Refuses what changes something, and all of MCP, if it comes from another page. Programs do not send the header.
pub(crate) async fn own_only(request: Request, next: Next) -> Response {
    let matters = !request.method().is_safe() || request.uri().path() == MCP;
    if matters && !is_own(&request) {
        return Problem::forbidden(
            "the request comes from a page of another origin; a proxy in front has to pass `host` on as it is",
        )
        .into_response();
    }
    next.run(request).await
}

fn is_own(request: &Request) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str));
    request.headers().get_all(ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        let authority = origin.as_ref().filter(|origin| origin.scheme().is_some()).and_then(Uri::authority);
        authority.zip(host).is_some_and(|(authority, host)| authority.as_str().eq_ignore_ascii_case(host))
    })
}
