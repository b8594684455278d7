//! Which conditions a platform has. Pure, and the same for the same observation: a condition changes only when its
//! meaning does, so nothing that counts or ages is in its words.

use todo_crds::platform::condition;

use super::{
    Assessment, Stop, Verdict,
    abnormal::{degraded, progressing},
    is_infrastructure, rights,
    verdict::{Cause, Check},
    words,
};
use crate::{
    class::Class,
    dereference::{
        MissingSecret,
        cluster::{DAPR_KINDS, Injector, version_warning},
    },
    observe::{DataPath, Observed, Rollout, State, managed::Other},
    topics::Topics,
};

/// Reasons for which something does not hold yet and will by itself.
pub const ON_THE_WAY: [&str; 4] = ["NoBackend", "NoSidecars", "Starting", "Waiting"];

/// Reason while Secrets cannot be read.
pub(super) const UNREADABLE: &str = "SecretsUnreadable";

/// All conditions of a platform.
pub fn of(assessment: &Assessment) -> Vec<Verdict> {
    match assessment {
        Assessment::Observed(observed) => of_observed(observed, false),
        Assessment::Suspended(observed) => of_observed(observed, true),
        Assessment::Stopped(stop) => of_stopped(stop),
    }
}

fn of_stopped(stop: &Stop) -> Vec<Verdict> {
    match stop {
        Stop::Conflict { other } => {
            let message = format!(
                "TodoPlatform {other} has this namespace already, and a namespace holds one; this one touches nothing. \
                 Delete one of them, or create this one in a namespace of its own"
            );
            vec![Verdict::no(condition::READY, "Conflict", message)]
        }
        Stop::Invalid(message) => vec![
            Verdict::no(condition::READY, "SpecInvalid", message.clone()),
            Verdict::no(condition::SPEC_VALID, "SpecInvalid", message.clone()),
            Verdict::new(
                condition::DATA_PATH_VERIFIED,
                None,
                "SpecInvalid",
                "nobody looks while the spec is not valid; what ran before is left as it is",
            ),
        ],
        Stop::Failed { reason, message } => vec![
            Verdict::new(condition::READY, None, reason, message.clone()),
            Verdict::new(condition::DATA_PATH_VERIFIED, None, reason, message.clone()),
            Verdict::yes(condition::DEGRADED, reason, message.clone()),
        ],
    }
}

fn of_observed(observed: &Observed, suspended: bool) -> Vec<Verdict> {
    let needed = vec![
        Verdict::yes(condition::SPEC_VALID, "Valid", "the spec is valid"),
        secrets(observed),
        dapr(observed),
        infrastructure(observed),
        components(observed),
        services(observed),
        data_path(observed),
    ];
    let ready = ready(observed, &needed);
    let mut verdicts = vec![ready];
    verdicts.extend(needed);
    verdicts.push(progressing(observed, suspended));
    verdicts.push(degraded(observed));
    verdicts
}

/// Why the platform is not ready: the first that does not hold, as each needs those before it; but sooner one that will
/// not hold by itself than one that is only on the way.
fn ready(observed: &Observed, needed: &[Verdict]) -> Verdict {
    let broken: Vec<&Verdict> = needed.iter().filter(|verdict| verdict.status != Some(true)).collect();
    // What serves goes on to serve while Dapr's control plane or a Secret is gone, and the data path proves it.
    let only_for_new = |verdict: &Verdict| [condition::DAPR_READY, condition::SECRETS_READY].contains(&verdict.type_);
    let hindering: Vec<&Verdict> = broken.iter().copied().filter(|verdict| !only_for_new(verdict)).collect();
    let firm = broken.iter().find(|verdict| !ON_THE_WAY.contains(&verdict.reason.as_str()));
    if let (Some(_), Some(cause)) = (hindering.first(), firm.or_else(|| broken.first())) {
        return Verdict::no(condition::READY, &cause.reason, cause.message.clone());
    }
    let mut message = "the system works".to_owned();
    if observed.unauthenticated {
        message += ". AUTHENTICATION IS OFF (auth.mode: disabled): every caller is believed to be the user that it names. Only \
                    for trials";
    }
    if observed.unused_ai {
        message += ". spec.ai is not used yet: the chat's command parser answers";
    }
    Verdict::yes(condition::READY, "DataPathVerified", message)
}

fn secrets(observed: &Observed) -> Verdict {
    if let Some(why) = &observed.secrets_unreadable {
        return Verdict::new(condition::SECRETS_READY, None, UNREADABLE, why.clone());
    }
    if observed.missing_secrets.is_empty() {
        return Verdict::yes(condition::SECRETS_READY, "Present", "every key that is needed is there");
    }
    let parts: Vec<String> = observed.missing_secrets.iter().map(words::missing_secret).collect();
    let reason = if observed.missing_secrets.iter().all(MissingSecret::is_on_the_way) {
        "Waiting"
    } else if observed.missing_secrets.iter().all(|missing| missing.exists) {
        "KeyMissing"
    } else {
        "SecretMissing"
    };
    Verdict::no(condition::SECRETS_READY, reason, words::sentences(&parts))
}

fn dapr(observed: &Observed) -> Verdict {
    if observed.cluster.is_unanswered(&DAPR_KINDS) {
        return Verdict::new(condition::DAPR_READY, None, "Waiting", words::unanswered("Dapr"));
    }
    let missing = observed.cluster.missing_dapr_kinds();
    if !missing.is_empty() {
        let message = format!(
            "Dapr is not installed: the cluster has no {} of dapr.io/v1alpha1. Install Dapr; the operator goes on by itself",
            words::list(&missing)
        );
        return Verdict::no(condition::DAPR_READY, "DaprNotInstalled", message);
    }
    match &observed.cluster.injector {
        Injector::Missing => Verdict::no(
            condition::DAPR_READY,
            "InjectorMissing",
            "Dapr's CRDs are there but Deployment dapr-sidecar-injector is not, in the namespace that the operator takes for \
             Dapr's (--dapr-namespace)",
        ),
        Injector::NotReady => Verdict::no(
            condition::DAPR_READY,
            "InjectorNotReady",
            "no pod of Deployment dapr-sidecar-injector is ready, so pods would start without a sidecar",
        ),
        Injector::Unasked => {
            Verdict::new(condition::DAPR_READY, None, "Waiting", words::unanswered("Deployment dapr-sidecar-injector"))
        }
        Injector::Unknown => Verdict::yes(
            condition::DAPR_READY,
            "Installed",
            "Dapr's CRDs are there; the operator may not look at its Deployments",
        ),
        Injector::Ready { version, drops_capabilities } => {
            let mut parts = vec![match version {
                Some(version) => format!("Dapr {version} is at work"),
                None => "Dapr is at work".to_owned(),
            }];
            parts.extend(version.as_deref().and_then(version_warning));
            if !drops_capabilities {
                parts.push(
                    "its sidecars are not admitted under Pod Security restricted; set \
                     dapr_sidecar_injector.sidecarDropALLCapabilities=true in its chart if the namespace asks for that"
                        .to_owned(),
                );
            }
            Verdict::yes(condition::DAPR_READY, "Installed", words::sentences(&parts))
        }
    }
}

/// What may keep Kafka or PostgreSQL from being used, whatever topics there are.
const UNUSABLE: [Check; 5] = [operator_missing, part_unwritable, part_stuck, parts_starting, database_in_use];

fn infrastructure(observed: &Observed) -> Verdict {
    const TYPE: &str = condition::INFRASTRUCTURE_READY;
    if let Some(other) = operator_unanswered(observed) {
        return Verdict::new(TYPE, None, "Waiting", words::unanswered(other.name));
    }
    match Cause::first(&UNUSABLE, observed) {
        Some(cause) => Verdict::no_for(TYPE, cause),
        None => topics(observed),
    }
}

/// Another operator that may be there or not. What carries events shows that it is or was, and one that surely lacks weighs
/// more.
fn operator_unanswered(observed: &Observed) -> Option<&Other> {
    let mut missing = observed.infrastructure.missing.iter();
    let other = missing.find(|other| observed.cluster.is_unanswered(other.kinds))?;
    (!is_proven(observed) && operator_missing(observed).is_none()).then_some(other)
}

fn operator_missing(observed: &Observed) -> Option<Cause> {
    let mut missing = observed.infrastructure.missing.iter();
    let other = missing.find(|other| !observed.cluster.is_unanswered(other.kinds))?;
    Some(Cause::new(other.missing, words::missing_operator(other, &observed.cluster)))
}

fn part_unwritable(observed: &Observed) -> Option<Cause> {
    let serves = observed.infrastructure.parts.values().all(|part| part.rollout.is_serving());
    unwritable(observed, serves, |kind, name| !is_dapr(kind) && is_infrastructure(kind, name))
}

fn part_stuck(observed: &Observed) -> Option<Cause> {
    idle_parts(observed).find_map(|(name, rollout)| match &rollout.state {
        State::Stuck { reason, message } => Some(Cause::new(reason, format!("{name}: {message}"))),
        _ => None,
    })
}

fn parts_starting(observed: &Observed) -> Option<Cause> {
    let waiting =
        idle_parts(observed).map(|(name, rollout)| format!("{name}: {}", rollout.message().unwrap_or("not ready")));
    let waiting: Vec<String> = waiting.collect();
    (!waiting.is_empty()).then(|| Cause::new("Starting", words::sentences(&waiting)))
}

/// Parts that do not serve. What another operator says may be about something else than whether it can be used, and the
/// events tell that.
fn idle_parts(observed: &Observed) -> impl Iterator<Item = (&'static str, &Rollout)> {
    let proven = is_proven(observed);
    let parts = observed.infrastructure.parts.iter();
    let idle = parts.filter(move |(_, part)| !(part.rollout.is_serving() || (proven && part.operator.is_some())));
    idle.map(|(name, part)| (*name, &part.rollout))
}

fn database_in_use(observed: &Observed) -> Option<Cause> {
    match &observed.data_path {
        DataPath::Broken { reason, message } if reason == "DatabaseInUse" => Some(Cause::new(reason, message.clone())),
        _ => None,
    }
}

const fn is_proven(observed: &Observed) -> bool {
    matches!(observed.data_path, DataPath::Verified { .. })
}

fn topics(observed: &Observed) -> Verdict {
    const TYPE: &str = condition::INFRASTRUCTURE_READY;
    const PROVEN: &str = "events go through Kafka, although the operator itself cannot ask it for its topics";
    match &observed.infrastructure.topics {
        // Pods from before a change serve on; those after it will not.
        Topics::Refused { why, .. } if is_proven(observed) => Verdict::yes(TYPE, "Ready", format!("{PROVEN}: {why}")),
        Topics::Unreachable(_) | Topics::Unknown if is_proven(observed) => Verdict::yes(TYPE, "Ready", PROVEN),
        Topics::Present | Topics::Differing(_) => {
            Verdict::yes(TYPE, "Ready", "Kafka has the topics, and what runs for the platform alone is ready")
        }
        Topics::Missing(topics) => {
            let what_to_do = match &observed.infrastructure.account {
                Some(account) => rights::to_see(account),
                None => "the operator makes it when spec.suspend is no longer true".to_owned(),
            };
            Verdict::no(TYPE, "TopicsMissing", format!("Kafka has no topic {}; {what_to_do}", words::list(topics)))
        }
        Topics::Refused { why, error: Some(error) } => unreachable_for(&format!("{why}: {error}")),
        Topics::Refused { why, error: None } | Topics::Unreachable(why) => unreachable_for(why),
        Topics::Unknown => Verdict::no(TYPE, "Waiting", "Kafka has not been asked for its topics yet"),
    }
}

fn unreachable_for(why: &str) -> Verdict {
    let message = format!("Kafka cannot be asked for its topics: {why}");
    Verdict::no(condition::INFRASTRUCTURE_READY, "KafkaUnreachable", message)
}

fn components(observed: &Observed) -> Verdict {
    const TYPE: &str = condition::COMPONENTS_READY;
    let loaded =
        observed.components.iter().all(|component| 0 < component.expected && component.loaded_by == component.expected);
    if let Some(cause) = unwritable(observed, loaded, |kind, _| is_dapr(kind)) {
        return Verdict::no_for(TYPE, cause);
    }
    if let Some(held) = observed.applied.held.iter().find(|held| is_dapr(&held.key.kind)).filter(|_| !loaded) {
        return Verdict::no(TYPE, "Waiting", words::waits(held));
    }
    if observed.components.iter().all(|component| component.expected == 0) {
        return Verdict::no(TYPE, "NoSidecars", "no sidecar runs yet that could load them");
    }
    let missing: Vec<String> = observed
        .components
        .iter()
        .filter(|component| component.loaded_by < component.expected)
        .map(|component| {
            let why = component.message.as_deref().unwrap_or("a sidecar has not loaded it");
            format!("component {} is not loaded: {why}", component.name)
        })
        .collect();
    if missing.is_empty() {
        Verdict::yes(TYPE, "Loaded", "every sidecar has loaded every component in its scope")
    } else {
        let late = |component: &crate::observe::ComponentObserved| {
            component.loaded_by == component.expected || component.starting
        };
        let reason = if observed.components.iter().all(late) { "Starting" } else { "NotLoaded" };
        Verdict::no(TYPE, reason, words::sentences(&missing))
    }
}

fn services(observed: &Observed) -> Verdict {
    const TYPE: &str = condition::SERVICES_READY;
    let serve = observed.services.iter().all(crate::observe::ServiceObserved::is_ready);
    let concerns = |kind: &str, name: &str| !is_dapr(kind) && !is_infrastructure(kind, name);
    if let Some(cause) = unwritable(observed, serve, concerns) {
        return Verdict::no_for(TYPE, cause);
    }
    let without: Vec<String> = observed
        .services
        .iter()
        .filter(|service| !service.without_sidecar.is_empty())
        .filter_map(|service| words::service(service).map(|words| format!("{}: {words}", service.app)))
        .collect();
    if !without.is_empty() {
        return Verdict::no(TYPE, "SidecarMissing", words::sentences(&without));
    }
    let not_serving: Vec<_> = observed.services.iter().filter(|service| !service.is_serving()).collect();
    if not_serving.is_empty() {
        return Verdict::yes(TYPE, "Available", "every service has the pods that it needs, each with a sidecar");
    }
    let waiting = observed.applied.held.iter().find(|held| held.key.kind == "Deployment");
    if let Some(held) = waiting {
        return Verdict::no(TYPE, "Waiting", words::waits(held));
    }
    let parts: Vec<String> = not_serving
        .iter()
        .map(|service| format!("{}: {}", service.app, service.rollout.message().unwrap_or("not ready")))
        .collect();
    let reason = not_serving.iter().find_map(|service| match &service.rollout.state {
        State::Stuck { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    let refused_by_pod_security = parts.iter().any(|part| part.contains("violates PodSecurity"));
    let mut message = words::sentences(&parts);
    if refused_by_pod_security && matches!(observed.cluster.injector, Injector::Ready { drops_capabilities: false, .. })
    {
        message = format!("set dapr_sidecar_injector.sidecarDropALLCapabilities=true in Dapr's chart; {message}");
    }
    Verdict::no(TYPE, reason.unwrap_or("Starting"), message)
}

fn data_path(observed: &Observed) -> Verdict {
    const TYPE: &str = condition::DATA_PATH_VERIFIED;
    match &observed.data_path {
        DataPath::Verified { .. } => {
            Verdict::yes(TYPE, "Verified", "a test event goes the whole way: API, outbox, Kafka, consumer, database")
        }
        DataPath::Broken { reason, message } => {
            let account = observed.infrastructure.account.as_ref();
            let lacking = account.and_then(|account| rights::lacking(account, reason, message));
            let parts: Vec<_> = [Some(message.clone()), lacking].into_iter().flatten().collect();
            Verdict::no(TYPE, reason, words::sentences(&parts))
        }
        DataPath::Unknown(why) => Verdict::new(TYPE, None, "NoBackend", why.clone()),
    }
}

fn is_dapr(kind: &str) -> bool {
    DAPR_KINDS.contains(&kind)
}

/// An object, by its kind and name, that cannot be as it should be. One of somebody else's counts whatever works, as it may do
/// anything; a write that failed only where it keeps something from working.
fn unwritable(observed: &Observed, works: bool, concerns: impl Fn(&str, &str) -> bool) -> Option<Cause> {
    let applied = &observed.applied;
    let mut hindering = applied.foreign.iter().filter(|foreign| foreign.hinders());
    if let Some(foreign) = hindering.find(|foreign| concerns(&foreign.key.kind, &foreign.key.name)) {
        return Some(Cause::foreign(foreign));
    }
    let lasting = |class: Class| matches!(class, Class::Forbidden | Class::Invalid | Class::Bug);
    let mut failures = applied.failures.iter().filter(|failure| !works && lasting(failure.class));
    let failure = failures.find(|failure| concerns(&failure.key.kind, &failure.key.name))?;
    Some(Cause::failed(failure))
}

#[cfg(test)]
#[path = "conditions_tests/mod.rs"]
mod tests;
