//! The way of a trace from a request through the outbox to a consumer, as a collector sees it. In a process of its own, as there
//! is one collector for all of a service.

// Marked, so that helpers may unwrap as tests do.
#[cfg(test)]
mod trace;
