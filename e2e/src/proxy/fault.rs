//! What goes wrong, and when.

use std::{fmt, time::Duration};

use super::Target;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Answered with this code, and not passed on.
    Refuse(u16),
    /// The connection is cut before the request is passed on.
    CutBefore,
    /// Passed on; the connection is cut before the answer. The client cannot know whether it happened.
    CutAfter,
    /// Passed on, and never answered, until the client gives up. It cannot know either.
    HangAfter,
    /// Passed on after this time.
    Delay(Duration),
    /// Passed on as soon as it is lifted.
    Hold,
    /// Passed on and answered, and passed on once more after this time, for nobody.
    Replay(Duration),
    /// Passed on and answered, and passed on once more when [`super::Proxy::replay`] is called, for nobody.
    Keep,
    /// The client is killed just before it is passed on.
    KillBefore,
    /// The client is killed after it was passed on and before the answer.
    KillAfter,
    /// Of a watch: an event is lost.
    DropEvent,
    /// Of a watch: an event comes this much later, and all after it.
    DelayEvent(Duration),
    /// Of a watch: events stop, while the connection stays.
    Freeze,
    /// Of a watch: it ends with 410 Gone.
    Gone,
}

impl Fault {
    /// Whether it is one of watches.
    pub const fn is_of_watches(self) -> bool {
        matches!(self, Self::DropEvent | Self::DelayEvent(_) | Self::Freeze | Self::Gone)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse(code) => write!(f, "{code}"),
            Self::CutBefore => write!(f, "cut before"),
            Self::CutAfter => write!(f, "cut after commit"),
            Self::HangAfter => write!(f, "no answer after commit"),
            Self::Delay(time) => write!(f, "delayed by {time:?}"),
            Self::Hold => write!(f, "held"),
            Self::Replay(time) => write!(f, "once more after {time:?}"),
            Self::Keep => write!(f, "once more when it is time"),
            Self::KillBefore => write!(f, "killed before"),
            Self::KillAfter => write!(f, "killed after"),
            Self::DropEvent => write!(f, "event dropped"),
            Self::DelayEvent(time) => write!(f, "events delayed by {time:?}"),
            Self::Freeze => write!(f, "frozen"),
            Self::Gone => write!(f, "410 Gone"),
        }
    }
}

/// A fault and what it happens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// To this request; empty fields stand for any.
    pub on: Target,
    /// What happens.
    pub fault: Fault,
    /// How often.
    pub times: usize,
    /// How many such requests are left alone before.
    pub after: usize,
}

impl Rule {
    /// A fault that happens once.
    pub fn once(on: Target, fault: Fault) -> Self {
        Self { on, fault, times: 1, after: 0 }
    }

    /// A fault that happens once, to such a request that comes after so many others.
    pub fn once_after(after: usize, on: Target, fault: Fault) -> Self {
        Self { after, ..Self::once(on, fault) }
    }

    /// A fault that happens until it is taken back.
    pub fn always(on: Target, fault: Fault) -> Self {
        Self { on, fault, times: usize::MAX, after: 0 }
    }

    fn concerns(&self, target: &Target) -> bool {
        let any_or = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        any_or(self.on.verb, target.verb)
            && any_or(&self.on.resource, &target.resource)
            && any_or(&self.on.namespace, &target.namespace)
            && any_or(&self.on.name, &target.name)
            && self.on.subresource == target.subresource
    }
}

/// The rules that hold.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    happened: Vec<(Target, Fault)>,
}

impl Rules {
    pub(super) fn set(&mut self, rules: Vec<Rule>) {
        self.rules = rules;
        self.happened.clear();
    }

    pub(super) fn lift(&mut self, fault: Fault) {
        self.rules.retain(|rule| rule.fault != fault);
    }

    /// Whether a request that was held still is.
    pub(super) fn holds(&self, target: &Target) -> bool {
        self.rules.iter().any(|rule| rule.fault == Fault::Hold && rule.concerns(target))
    }

    pub(super) fn happened(&self) -> Vec<(Target, Fault)> {
        self.happened.clone()
    }

    /// The fault of a request, or of the event of a watch, which is counted as happened.
    pub(super) fn take(&mut self, target: &Target, of_watches: bool) -> Option<Fault> {
        let fits =
            |rule: &&mut Rule| rule.times > 0 && rule.fault.is_of_watches() == of_watches && rule.concerns(target);
        let rule = self.rules.iter_mut().find(fits)?;
        if rule.after > 0 {
            rule.after -= 1;
            return None;
        }
        rule.times -= 1;
        let fault = rule.fault;
        let happened = (target.clone(), fault);
        if !self.happened.contains(&happened) {
            self.happened.push(happened);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_it_says_and_to_nothing_else() {
        let write = |name: &str| Target {
            verb: "patch",
            resource: "services".to_owned(),
            name: name.to_owned(),
            ..Target::default()
        };
        let mut rules = Rules::default();
        rules.set(vec![Rule::once(write("a"), Fault::CutAfter)]);
        assert_eq!(rules.take(&write("b"), false), None);
        assert_eq!(rules.take(&write("a"), true), None);
        assert_eq!(rules.take(&write("a"), false), Some(Fault::CutAfter));
        assert_eq!(rules.take(&write("a"), false), None);
        assert_eq!(rules.happened(), [(write("a"), Fault::CutAfter)]);
    }

    #[test]
    fn a_request_is_held_until_that_is_lifted() {
        let write = Target { verb: "delete", resource: "services".to_owned(), ..Target::default() };
        let mut rules = Rules::default();
        rules.set(vec![Rule::once(write.clone(), Fault::Hold)]);
        assert_eq!(rules.take(&write, false), Some(Fault::Hold));
        assert!(rules.holds(&write) && !rules.holds(&Target { verb: "patch", ..write.clone() }));
        rules.lift(Fault::Hold);
        assert!(!rules.holds(&write));
    }

    #[test]
    fn a_fault_of_a_later_request_leaves_those_before_it_alone() {
        let write = Target { verb: "patch", resource: "services".to_owned(), ..Target::default() };
        let mut rules = Rules::default();
        rules.set(vec![Rule::once_after(1, write.clone(), Fault::CutAfter)]);
        assert_eq!([(); 3].map(|()| rules.take(&write, false)), [None, Some(Fault::CutAfter), None]);
    }
}
