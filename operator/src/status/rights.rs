//! Rights that a platform lacks in somebody else's Kafka, and who has to be granted which. Pure.

use super::words;
use crate::{names, resolve::Account};

/// What a sidecar's client of Kafka says when it may not write to a topic.
const MAY_NOT_WRITE: &str = "not authorized to access this topic";

/// What to do about topics that are not among those that the broker shows: it does not say which there are that an account may
/// not see.
pub(super) fn to_see(account: &Account) -> String {
    let who = &account.who;
    format!(
        "create it, as the operator makes topics only in its own Kafka. If it is there, {who} may not see it: grant it Read and \
         Write on the topic"
    )
}

/// What to do about events that do not go the whole way, if that may be for want of a right. Who consumes without one is told so
/// in the log of its sidecar alone.
pub(super) fn lacking(account: &Account, reason: &str, message: &str) -> Option<String> {
    let (Account { who, consumer_group }, topics) = (account, words::list(&names::TOPICS));
    match reason {
        "NotPublished" if message.contains(MAY_NOT_WRITE) => {
            Some(format!("{who} may not write there: grant it Read and Write on the topics {topics}"))
        }
        "NotConsumed" => Some(format!(
            "if the log of a sidecar says \"not authorized\", grant {who} Read on the topics {topics}, and on the consumer group \
             {consumer_group}"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::SecretRef;

    fn account() -> Account {
        let who = format!("the user in {}", SecretRef::new("access", "user"));
        Account { who, consumer_group: "todo-service-group".to_owned() }
    }

    #[test]
    fn a_right_that_is_lacking_is_named_with_who_needs_it_and_for_what() {
        let refused = "pod backend-1: the event is in the outbox but Kafka does not take it: kafka server: The client is not \
                       authorized to access this topic";
        let slow = "pod backend-1: the event is in the outbox and is not published yet";
        let who = "the user in Secret access key user";
        for (reason, message, words) in [
            ("NotPublished", refused, &[who, "Write on the topics", "task-events", "reminders-dead"][..]),
            ("NotConsumed", "", &[who, "Read on the topics", "consumer group todo-service-group"]),
        ] {
            let said = lacking(&account(), reason, message).unwrap_or_default();
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        }
        assert_eq!(lacking(&account(), "NotPublished", slow), None);
        assert_eq!(lacking(&account(), "DatabaseUnavailable", refused), None);
    }

    #[test]
    fn a_topic_that_is_not_shown_may_be_there_for_others() {
        let said = to_see(&account());
        assert!(said.starts_with("create it") && said.contains("grant it Read and Write"), "{said}");
    }
}
