//! What is known of a platform's topics, and when they are looked at again. A conversation with a broker is beside the
//! passes.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio_util::task::AbortOnDropHandle;

use super::Topics;

/// How long after the beginning of a look topics that it found are taken to be there.
const FRESH: Duration = Duration::from_mins(5);
/// How soon after the beginning of a look the next one may begin when they are not. Where Secrets are needed for it, it waits
/// for the next time that they are read anyway, and this is short enough for none to be passed over.
const RETRY: Duration = Duration::from_secs(5);

/// What is known of one platform's topics.
#[derive(Debug, Default)]
pub struct TopicsMemory {
    subject: String,
    known: Topics,
    good_until: Option<Instant>,
    /// At most one conversation at a time; it ends with this memory.
    look: Option<Look>,
}

/// A conversation with a broker, beside the passes: a broker that does not answer takes no pass from other platforms.
#[derive(Debug)]
struct Look {
    since: Instant,
    end: Arc<OnceLock<Topics>>,
    task: AbortOnDropHandle<()>,
}

impl Look {
    fn begin(
        look: impl Future<Output = Topics> + Send + 'static,
        answered: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let end = Arc::new(OnceLock::new());
        let answer = Arc::clone(&end);
        let task = tokio::spawn(async move {
            let _ = answer.set(look.await);
            answered.await;
        });
        Self { since: Instant::now(), end, task: AbortOnDropHandle::new(task) }
    }

    /// What was found, once it was.
    fn end(&self) -> Option<Topics> {
        let is_over = self.task.is_finished();
        let end = self.end.get().cloned();
        end.or_else(|| is_over.then(|| Topics::Unreachable("a mistake in the operator ended the look".to_owned())))
    }
}

impl TopicsMemory {
    /// How long the first answer has been waited for, until it has been taken.
    pub fn unanswered(&self, now: Instant) -> Option<Duration> {
        let first = self.look.as_ref().filter(|_| self.known == Topics::Unknown)?;
        Some(now.saturating_duration_since(first.since))
    }

    /// What is known about `subject`. A look begins if that is not good any more, and what it finds is taken by a later call.
    /// One that `costs_a_read` of Secrets begins only if nothing is known; else a call comes soon at which it does not.
    pub(super) fn answer<F>(
        &mut self,
        subject: String,
        costs_a_read: bool,
        look: impl FnOnce() -> F,
        answered: impl Future<Output = ()> + Send + 'static,
    ) -> Topics
    where
        F: Future<Output = Topics> + Send + 'static,
    {
        if self.subject != subject {
            *self = Self { subject, ..Self::default() };
        }
        if let Some((since, end)) = self.look.as_ref().and_then(|look| Some((look.since, look.end()?))) {
            let good_until = Some(since + if end == Topics::Present { FRESH } else { RETRY });
            *self = Self { known: end, good_until, look: None, ..std::mem::take(self) };
        }
        let is_due = self.good_until.is_none_or(|until| until <= Instant::now());
        if self.look.is_none() && is_due && (!costs_a_read || self.known == Topics::Unknown) {
            self.look = Some(Look::begin(look(), answered));
        }
        self.known.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_broker_that_does_not_answer_holds_up_no_pass_and_leaves_what_is_known() {
        let mut memory = TopicsMemory::default();
        let (one, other) = (|| "one".to_owned(), || "another broker".to_owned());
        let found = Arc::new(Notify::new());
        let told = || {
            let found = Arc::clone(&found);
            async move { found.notify_one() }
        };
        assert_eq!(memory.answer(one(), false, || ready(Topics::Present), told()), Topics::Unknown);
        assert!(memory.unanswered(Instant::now()).is_some());
        found.notified().await;
        let never = || pending::<Topics>();
        assert_eq!(memory.answer(one(), false, never, told()), Topics::Present, "what was found is taken");
        assert!(memory.look.is_none() && memory.unanswered(Instant::now()).is_none(), "it is fresh");

        memory.good_until = None;
        assert_eq!(memory.answer(one(), false, never, told()), Topics::Present);
        assert_eq!(memory.answer(one(), false, || ready(Topics::Unknown), told()), Topics::Present, "the look goes on");
        assert_eq!(memory.unanswered(Instant::now()), None, "there was an answer before");

        let missing = Topics::Missing(vec!["reminders".to_owned()]);
        let is_missing = missing.clone();
        assert_eq!(memory.answer(other(), false, || ready(is_missing), told()), Topics::Unknown);
        found.notified().await;
        assert_eq!(memory.answer(other(), false, never, told()), missing);
    }

    #[tokio::test]
    async fn only_a_broker_of_which_nothing_is_known_is_worth_a_read_of_secrets_of_its_own() {
        let mut memory = TopicsMemory::default();
        let (found, subject) = (Arc::new(Notify::new()), || "one".to_owned());
        let told = || {
            let found = Arc::clone(&found);
            async move { found.notify_one() }
        };
        let refused = Topics::Unreachable("refused".to_owned());
        let is_refused = refused.clone();
        memory.answer(subject(), true, || ready(is_refused), told());
        assert!(memory.look.is_some(), "nothing is known");
        found.notified().await;
        assert_eq!(memory.answer(subject(), true, pending::<Topics>, told()), refused);

        memory.good_until = None;
        assert_eq!(memory.answer(subject(), true, pending::<Topics>, told()), refused);
        assert!(memory.look.is_none(), "it is due, and waits for the next read");
        memory.answer(subject(), false, pending::<Topics>, told());
        assert!(memory.look.is_some(), "Secrets have been read");
        memory.answer("another password".to_owned(), true, || ready(Topics::Present), told());
        found.notified().await;
        assert_eq!(memory.answer("another password".to_owned(), true, pending::<Topics>, told()), Topics::Present);
    }

    #[tokio::test]
    async fn a_silent_broker_is_asked_again_each_time_that_secrets_are_read() {
        let (mut memory, found) = (TopicsMemory::default(), Arc::new(Notify::new()));
        let told = || {
            let found = Arc::clone(&found);
            async move { found.notify_one() }
        };
        let silent = || ready(Topics::Unreachable("no answer within 8 s".to_owned()));
        memory.answer(String::new(), false, silent, told());
        found.notified().await;
        // As if it had waited for an answer for so long.
        memory.look.as_mut().unwrap().since -= super::super::DEADLINE;
        memory.answer(String::new(), true, pending::<Topics>, told());
        assert!(memory.look.is_none(), "it waits for the next read");
        memory.answer(String::new(), false, pending::<Topics>, told());
        assert!(memory.look.is_some(), "that comes a second later");
    }

    #[tokio::test]
    async fn a_look_that_panics_is_said_and_tried_again() {
        let mut memory = TopicsMemory::default();
        let panics = || async { panic!("as a test wants it") };
        memory.answer(String::new(), false, panics, ready(()));
        while memory.look.as_ref().is_some_and(|look| look.end().is_none()) {
            tokio::task::yield_now().await;
        }
        assert!(matches!(memory.answer(String::new(), false, panics, ready(())), Topics::Unreachable(_)));
        assert!(memory.look.is_none() && memory.good_until.is_some());
    }
}
