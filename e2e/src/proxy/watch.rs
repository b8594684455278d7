//! Passes on the events of a watch, one by one.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, channel::mpsc};
use http_body_util::BodyExt;
use hyper::body::Frame;
use kube::client::Body;

use super::{Fault, State, Target};

/// How soon it is looked whether a stream is still frozen.
const THAW: Duration = Duration::from_millis(50);
/// Events that may wait for a client that reads slowly.
const BUFFER: usize = 64;

/// What a client reads.
pub(super) type Events = mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>;

/// Reads `upstream` until one of the sides ends.
pub(super) fn pump(state: Arc<State>, target: Target, upstream: Body) -> Events {
    let (sender, events) = mpsc::channel(BUFFER);
    tokio::spawn(pass_on(state, target, upstream, sender));
    events
}

async fn pass_on(
    state: Arc<State>,
    target: Target,
    mut upstream: Body,
    mut client: mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>,
) {
    let mut pending = BytesMut::new();
    while let Some(Ok(frame)) = upstream.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        pending.extend_from_slice(&data);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line = pending.split_to(end + 1).freeze();
            // Nothing is missed with a bookmark.
            let fault = if line.starts_with(BOOKMARK) { None } else { state.fault_of_event(&target) };
            match fault {
                Some(Fault::DropEvent) => continue,
                Some(Fault::DelayEvent(time)) => tokio::time::sleep(time).await,
                Some(Fault::Freeze) => {
                    while state.fault_of_event(&target) == Some(Fault::Freeze) {
                        tokio::time::sleep(THAW).await;
                    }
                }
                Some(Fault::Gone) => {
                    // The client may be gone as well.
                    let _ = client.send(Ok(Frame::data(Bytes::from_static(GONE)))).await;
                    return;
                }
                _ => {}
            }
            if client.send(Ok(Frame::data(line))).await.is_err() {
                return;
            }
        }
    }
}

/// How the API server begins to say only up to where it has told everything.
const BOOKMARK: &[u8] = br#"{"type":"BOOKMARK""#;

/// As the API server says that it does not know any more what happened since then.
const GONE: &[u8] = concat!(
    r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","#,
    r#""message":"too old resource version","reason":"Expired","code":410}}"#,
    "\n"
)
.as_bytes();
