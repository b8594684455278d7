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

/// When a look may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// As soon as what is known is not good any more.
    Look,
    /// If nothing is known, as it costs a read of Secrets of its own; else a call comes soon at which it does not.
    LookAtFirst,
    /// Never, as another replica does.
    Listen,
}

/// What is known of one platform's topics.
#[derive(Debug, Default)]
pub struct TopicsMemory {
    subject: String,
    /// Whether a look may make topics.
    makes: bool,
    known: Topics,
    good_until: Option<Instant>,
    /// At most one conversation at a time; it ends with this memory.
    look: Option<Look>,
    /// Since when nothing is known for want of the lead.
    listens: Option<Instant>,
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
        let first =
            self.look.as_ref().map(|look| look.since).or(self.listens).filter(|_| self.known == Topics::Unknown)?;
        Some(now.saturating_duration_since(first))
    }

    /// Notes whether a look may make topics from now on. One that may make what may not be made any more ends. What is known to
    /// be there is there, whoever may make it.
    pub(super) fn may_make(&mut self, makes: bool) {
        if self.makes == makes {
            return;
        }
        self.makes = makes;
        if !makes {
            self.look = self.look.take().filter(|look| look.end().is_some());
        } else if self.look.is_none() && !matches!(self.known, Topics::Present | Topics::Differing(_)) {
            // What is missing can be made now.
            (self.known, self.good_until) = (Topics::Unknown, None);
        }
    }

    /// What is known about `subject`. A look begins if that is not good any more and it `may`, and what it finds is taken by a
    /// later call.
    pub(super) fn answer<F>(
        &mut self,
        subject: String,
        may: May,
        look: impl FnOnce() -> F,
        answered: impl Future<Output = ()> + Send + 'static,
    ) -> Topics
    where
        F: Future<Output = Topics> + Send + 'static,
    {
        if self.subject != subject {
            *self = Self { subject, makes: self.makes, ..Self::default() };
        }
        if let Some((since, end)) = self.look.as_ref().and_then(|look| Some((look.since, look.end()?))) {
            let good_until = Some(since + if end == Topics::Present { FRESH } else { RETRY });
            *self = Self { known: end, good_until, look: None, ..std::mem::take(self) };
        }
        let is_due = self.good_until.is_none_or(|until| until <= Instant::now());
        if self.look.is_none() && is_due {
            match may {
                May::LookAtFirst if self.known != Topics::Unknown => {}
                May::Look | May::LookAtFirst => {
                    (self.look, self.listens) = (Some(Look::begin(look(), answered)), None);
                }
                May::Listen => {
                    // Who looks meanwhile may find something else.
                    self.known = Topics::Unknown;
                    self.listens.get_or_insert_with(Instant::now);
                }
            }
        }
        self.known.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use kube::Client;
    use serde_json::json;
    use tokio::sync::Notify;

    use super::{super::*, *};
    use crate::resolve::{Found, Settings, validate};

    #[tokio::test]
    async fn what_is_known_outlives_that_topics_may_not_be_made_and_a_look_that_might_make_them_does_not() {
        let silent = tower::service_fn(|_: axum::http::Request<kube::client::Body>| async {
            std::future::pending::<Result<axum::http::Response<kube::client::Body>, std::convert::Infallible>>().await
        });
        let (client, leadership) = (Client::new(silent, "ns"), Leadership::for_an_hour());
        for (kafka, is_ours) in [(json!({}), true), (json!({"external": {"brokers": ["127.0.0.1:9"]}}), false)] {
            let platform = serde_json::from_value(json!({
                "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform",
                "metadata": {"name": "todo", "namespace": "ns", "uid": "uid"},
                "spec": {"auth": {"mode": "disabled"}, "kafka": kafka},
            }));
            let platform = validate(&platform.unwrap(), &Settings::default(), &Found::default()).unwrap();
            let call = |memory: &mut TopicsMemory, makes| {
                let asked = Asked { client: &client, values: None, leadership: &leadership, makes };
                ensure(&asked, &platform, "", memory, ready(()));
                memory.look.as_ref().map(|look| look.task.abort_handle().id())
            };
            let mut memory = TopicsMemory::default();
            let first = call(&mut memory, true);
            assert!(first.is_some());
            let second = call(&mut memory, false);
            assert_eq!(first != second, is_ours, "a look that makes nothing goes on");
            assert_eq!(call(&mut memory, true), second);

            for known in [Topics::Present, Topics::Differing(Vec::new())] {
                let good_until = Some(Instant::now() + FRESH);
                memory = TopicsMemory { known: known.clone(), good_until, look: None, ..memory };
                for makes in [false, true] {
                    assert_eq!(call(&mut memory, makes), None, "{known:?} is good");
                    assert_eq!(memory.known, known);
                }
            }
            memory.known = Topics::Missing(Vec::new());
            call(&mut memory, false);
            assert_eq!(call(&mut memory, true).is_some(), is_ours, "what is missing can be made now");
        }
    }

    #[tokio::test]
    async fn a_broker_that_does_not_answer_holds_up_no_pass_and_leaves_what_is_known() {
        let mut memory = TopicsMemory::default();
        let (one, other) = (|| "one".to_owned(), || "another broker".to_owned());
        let found = Arc::new(Notify::new());
        let told = || {
            let found = Arc::clone(&found);
            async move { found.notify_one() }
        };
        assert_eq!(memory.answer(one(), May::Look, || ready(Topics::Present), told()), Topics::Unknown);
        assert!(memory.unanswered(Instant::now()).is_some());
        found.notified().await;
        let never = || pending::<Topics>();
        assert_eq!(memory.answer(one(), May::Look, never, told()), Topics::Present, "what was found is taken");
        assert!(memory.look.is_none() && memory.unanswered(Instant::now()).is_none(), "it is fresh");

        memory.good_until = None;
        assert_eq!(memory.answer(one(), May::Look, never, told()), Topics::Present);
        assert_eq!(
            memory.answer(one(), May::Look, || ready(Topics::Unknown), told()),
            Topics::Present,
            "the look goes on"
        );
        assert_eq!(memory.unanswered(Instant::now()), None, "there was an answer before");

        let missing = Topics::Missing(vec!["reminders".to_owned()]);
        let is_missing = missing.clone();
        assert_eq!(memory.answer(other(), May::Look, || ready(is_missing), told()), Topics::Unknown);
        found.notified().await;
        assert_eq!(memory.answer(other(), May::Look, never, told()), missing);
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
        memory.answer(subject(), May::LookAtFirst, || ready(is_refused), told());
        assert!(memory.look.is_some(), "nothing is known");
        found.notified().await;
        assert_eq!(memory.answer(subject(), May::LookAtFirst, pending::<Topics>, told()), refused);

        memory.good_until = None;
        assert_eq!(memory.answer(subject(), May::LookAtFirst, pending::<Topics>, told()), refused);
        assert!(memory.look.is_none(), "it is due, and waits for the next read");
        memory.answer(subject(), May::Look, pending::<Topics>, told());
        assert!(memory.look.is_some(), "Secrets have been read");
        memory.answer("another password".to_owned(), May::LookAtFirst, || ready(Topics::Present), told());
        found.notified().await;
        assert_eq!(
            memory.answer("another password".to_owned(), May::LookAtFirst, pending::<Topics>, told()),
            Topics::Present
        );
    }

    #[tokio::test]
    async fn a_replica_that_does_not_lead_asks_nobody_and_keeps_what_it_knew_for_as_long_as_that_is_good() {
        let (mut memory, found) = (TopicsMemory::default(), Arc::new(Notify::new()));
        let told = || {
            let found = Arc::clone(&found);
            async move { found.notify_one() }
        };
        let present = || ready(Topics::Present);
        assert_eq!(memory.answer(String::new(), May::Listen, present, told()), Topics::Unknown);
        assert!(memory.look.is_none(), "nothing is known, and another one asks");
        assert!(memory.unanswered(Instant::now()).is_some(), "a status waits for it if this one leads again by then");
        memory.answer(String::new(), May::Look, present, told());
        found.notified().await;
        assert_eq!(memory.answer(String::new(), May::Listen, pending::<Topics>, told()), Topics::Present);

        assert_eq!(memory.answer(String::new(), May::Look, pending::<Topics>, told()), Topics::Present);
        assert!(memory.look.is_none(), "it leads again, and nothing is due");

        memory.good_until = None;
        assert_eq!(memory.answer(String::new(), May::Listen, pending::<Topics>, told()), Topics::Unknown);
        assert!(memory.look.is_none() && memory.unanswered(Instant::now()).is_some(), "another one asks");
    }

    #[tokio::test]
    async fn a_silent_broker_is_asked_again_each_time_that_secrets_are_read() {
        let (mut memory, found) = (TopicsMemory::default(), Arc::new(Notify::new()));
        let told = || {
            let found = Arc::clone(&found);
            async move { found.notify_one() }
        };
        let silent = || ready(Topics::Unreachable("no answer within 8 s".to_owned()));
        memory.answer(String::new(), May::Look, silent, told());
        found.notified().await;
        // As if it had waited for an answer for so long.
        memory.look.as_mut().unwrap().since -= super::super::DEADLINE;
        memory.answer(String::new(), May::LookAtFirst, pending::<Topics>, told());
        assert!(memory.look.is_none(), "it waits for the next read");
        memory.answer(String::new(), May::Look, pending::<Topics>, told());
        assert!(memory.look.is_some(), "that comes a second later");
    }

    #[tokio::test]
    async fn a_look_that_panics_is_said_and_tried_again() {
        let mut memory = TopicsMemory::default();
        let panics = || async { panic!("as a test wants it") };
        memory.answer(String::new(), May::Look, panics, ready(()));
        while memory.look.as_ref().is_some_and(|look| look.end().is_none()) {
            tokio::task::yield_now().await;
        }
        assert!(matches!(memory.answer(String::new(), May::Look, panics, ready(())), Topics::Unreachable(_)));
        assert!(memory.look.is_none() && memory.good_until.is_some());
    }
}
