//! The trace that a request belongs to (W3C `traceparent`), carried along to the sidecar and into the outbox.

use std::future::Future;

tokio::task_local! {
    static PARENT: Option<String>;
}

/// Trace of the request that is being handled by this task.
pub fn current() -> Option<String> {
    PARENT.try_with(Clone::clone).ok().flatten()
}

/// Runs `work` as a part of the trace `parent`; a malformed one is left out.
pub async fn scope<F: Future>(parent: Option<&str>, work: F) -> F::Output {
    PARENT.scope(well_formed(parent).map(ToOwned::to_owned), work).await
}

/// The trace `parent`, unless it is malformed.
pub(crate) fn well_formed(parent: Option<&str>) -> Option<&str> {
    parent.filter(|parent| is_valid(parent))
}

/// `version-traceid-parentid-flags` in lower-case hexadecimal digits, neither id all zero (which Dapr sends where it does
/// not trace).
fn is_valid(parent: &str) -> bool {
    let lengths = [2, 32, 16, 2];
    let parts: Vec<&str> = parent.split('-').collect();
    parts.len() == lengths.len()
        && parts[1..3].iter().all(|id| id.bytes().any(|byte| byte != b'0'))
        && parts.iter().zip(lengths).all(|(part, length)| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT_OF_THE_STANDARD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    const NO_TRACE: &str = "00-00000000000000000000000000000000-0000000000000000-00";

    #[tokio::test]
    async fn work_sees_the_trace_of_its_request() {
        assert_eq!(current(), None);
        let seen = scope(Some(PARENT_OF_THE_STANDARD), async { current() }).await;
        assert_eq!(seen.as_deref(), Some(PARENT_OF_THE_STANDARD));
    }

    #[tokio::test]
    async fn a_malformed_trace_is_left_out() {
        for wrong in ["", "00-xyz", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "a-b-c-d", NO_TRACE] {
            assert_eq!(scope(Some(wrong), async { current() }).await, None, "{wrong}");
        }
    }
}
