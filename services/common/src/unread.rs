//! What a handler leaves unread of a request. A connection on which something is left has to be closed, and whoever has sent
//! the next request on it by then, such as a sidecar, cannot tell whether that was done: so it is read before the answer.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, header::CONNECTION},
    middleware::Next,
    response::Response,
};
use futures::StreamExt;
use http_body::{Frame, SizeHint};
use tokio::{sync::oneshot, time::timeout};

use crate::server::BODY_LIMIT;

/// How long the rest of a body is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads what is left of the body before the answer goes out. Where that is too much or too slow, the answer says that the
/// connection ends with it (RFC 9112, 9.6).
pub(crate) async fn read(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (returned, mut rest) = oneshot::channel();
    let mut response = next.run(request.map(|body| Body::new(Lent { body, returned: Some(returned) }))).await;
    if let Ok(rest) = rest.try_recv()
        && !timeout(PATIENCE, is_soon_read(rest)).await.unwrap_or(false)
    {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn is_soon_read(rest: Body) -> bool {
    let mut chunks = rest.into_data_stream();
    let mut bytes = 0;
    while let Some(chunk) = chunks.next().await {
        bytes += chunk.map_or(BODY_LIMIT, |chunk| chunk.len());
        if bytes >= BODY_LIMIT {
            return false;
        }
    }
    true
}

/// A body that comes back from whoever drops it before its end.
struct Lent {
    body: Body,
    returned: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.returned = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(returned) = self.returned.take().filter(|_| !self.body.is_end_stream()) {
            // Nobody waits for it where the client has gone.
            let _ = returned.send(std::mem::take(&mut self.body));
        }
    }
}
