//! Leader election by a Lease. Only the leader writes; the others keep their caches warm.
//!
//! What to do is decided by [`decide`], which is pure. Every write of the Lease names the version that was read, so two
//! replicas cannot both succeed. A leader trusts its lead only until [`RENEW_DEADLINE`] after the last renewal that the
//! API server confirmed, counted from before the request on its own monotonic clock, and others wait for the whole
//! [`DURATION`] on theirs: clocks that differ do no harm.

use std::{
    fmt,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::class::words;

/// How long others wait after the last sign of life.
const DURATION: Duration = Duration::from_secs(15);
/// How long a leader goes on without a renewal.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How much longer a write may go on that was begun in time. It ends before another replica may begin.
const GRACE: Duration = Duration::from_secs(4);
/// Between two looks at the Lease.
const PERIOD: Duration = Duration::from_secs(2);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(4);

/// Whether this process may write.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Option<Instant>>);

impl Leadership {
    /// One that nobody disputes.
    #[cfg(test)]
    pub(crate) fn for_an_hour() -> Self {
        Self(watch::channel(Some(Instant::now() + Duration::from_hours(1))).1)
    }

    /// Whether this process leads at this moment.
    pub fn is_leader(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// How long a write that begins now may take, and at most `limit`; none if this process may not write.
    pub fn time_to_write(&self, limit: Duration) -> Option<Duration> {
        let now = Instant::now();
        let until = self.0.borrow().filter(|until| now < *until)?;
        Some(limit.min(until + GRACE - now))
    }

    /// Returns when this process begins to lead. A lead that ran out and was renewed before anybody noticed is none that
    /// begins.
    pub async fn gained(&mut self) {
        // An error means that the election has ended, and then nobody begins to lead.
        if self.0.wait_for(Option::is_none).await.is_ok() && self.0.wait_for(Option::is_some).await.is_ok() {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Which Lease, and who wants it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// What the holder is called; unique among the replicas.
    pub identity: String,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} as {}", self.namespace, self.lease, self.identity)
    }
}

/// What a look at the Lease asks for.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// It does not exist.
    Create,
    /// It is free, ours, or was left by one that gives no sign of life.
    Take,
    /// Another one holds it.
    Wait,
}

/// What came of a look at the Lease.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It is ours for another while.
    Ours,
    /// Another one holds it.
    Theirs,
    /// Somebody wrote it meanwhile: another one, or the API server a renewal of ours that was given up. Others do not take a
    /// lead that has not run out, so it goes on as it was, and the next look tells whose the Lease is.
    Changed,
}

/// What was last seen of a Lease that another one holds.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    version: Option<String>,
    at: Instant,
}

fn decide(lease: Option<&Lease>, me: &str, seen: Option<&Seen>, now: Instant) -> Decision {
    let Some(lease) = lease else { return Decision::Create };
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    if holder.is_empty() || holder == me {
        return Decision::Take;
    }
    let duration = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    let duration = duration.map_or(DURATION, Duration::from_secs);
    match seen {
        Some(seen) if seen.version == lease.metadata.resource_version && now >= seen.at + duration => Decision::Take,
        _ => Decision::Wait,
    }
}

/// Takes part in the election until `stop`, then gives the Lease back.
pub fn campaign(
    client: Client,
    candidate: Candidate,
    stop: CancellationToken,
) -> (Leadership, tokio::task::JoinHandle<()>) {
    let (sender, receiver) = watch::channel(None);
    let api = Api::namespaced(client, &candidate.namespace);
    let campaign = Campaign { api, candidate, seen: None, held: None, leads_until: sender };
    (Leadership(receiver), tokio::spawn(campaign.run(stop)))
}

struct Campaign {
    api: Api<Lease>,
    candidate: Candidate,
    seen: Option<Seen>,
    /// As it was written last.
    held: Option<Lease>,
    leads_until: watch::Sender<Option<Instant>>,
}

impl Campaign {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            self.turn().await;
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stop.cancelled() => break,
            }
        }
        if self.leads_until.send_replace(None).is_some() {
            self.release().await;
        }
    }

    /// Looks once, and leads or follows by what it finds.
    async fn turn(&mut self) {
        let begun = Instant::now();
        match timeout(REQUEST, self.look()).await {
            Ok(Ok(Look::Ours)) => self.lead(begun + RENEW_DEADLINE),
            Ok(Ok(Look::Theirs)) => self.follow(),
            Ok(Ok(Look::Changed)) => {
                info!(lease = %self.candidate, "the lease changed during a look at it");
                self.expire();
            }
            Ok(Err(error)) => {
                warn!(lease = %self.candidate, error = %words(&error), "cannot renew or take the lease");
                self.expire();
            }
            Err(_) => {
                warn!(lease = %self.candidate, "no answer about the lease within {REQUEST:?}");
                self.expire();
            }
        }
    }

    fn lead(&self, until: Instant) {
        if self.leads_until.send_replace(Some(until)).is_none() {
            info!(lease = %self.candidate, "leading");
        }
    }

    fn follow(&self) {
        if self.leads_until.send_replace(None).is_some() {
            warn!(lease = %self.candidate, "no longer leading");
        }
    }

    fn expire(&self) {
        let expired = self.leads_until.borrow().is_some_and(|until| Instant::now() >= until);
        if expired {
            self.follow();
        }
    }

    /// Looks at the Lease and takes or renews it if that is right.
    async fn look(&mut self) -> Result<Look, kube::Error> {
        let lease = self.api.get_opt(&self.candidate.lease).await?;
        let now = Instant::now();
        match decide(lease.as_ref(), &self.candidate.identity, self.seen.as_ref(), now) {
            Decision::Create => self.written(self.api.create(&PostParams::default(), &self.fresh(None)).await),
            Decision::Take => {
                let fresh = self.fresh(lease);
                self.written(self.api.replace(&self.candidate.lease, &PostParams::default(), &fresh).await)
            }
            Decision::Wait => {
                let version = lease.and_then(|lease| lease.metadata.resource_version);
                if self.seen.as_ref().is_none_or(|seen| seen.version != version) {
                    self.seen = Some(Seen { version, at: now });
                }
                Ok(Look::Theirs)
            }
        }
    }

    fn written(&mut self, result: Result<Lease, kube::Error>) -> Result<Look, kube::Error> {
        match result {
            Ok(lease) => {
                self.held = Some(lease);
                Ok(Look::Ours)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Look::Changed),
            Err(error) => Err(error),
        }
    }

    fn fresh(&self, lease: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let before = lease.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let ours = before.holder_identity.as_deref() == Some(&self.candidate.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        Lease {
            metadata: lease.map_or_else(|| self.metadata(), |lease| lease.metadata),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.candidate.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: if ours { before.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
                ..LeaseSpec::default()
            }),
        }
    }

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.candidate.lease.clone()),
            namespace: Some(self.candidate.namespace.clone()),
            ..ObjectMeta::default()
        }
    }

    /// Gives the Lease back, so that the next leader need not wait. The version makes sure that it is still ours.
    async fn release(&mut self) {
        let Some(lease) = self.held.take().map(released) else { return };
        match timeout(REQUEST, self.api.replace(&self.candidate.lease, &PostParams::default(), &lease)).await {
            Ok(Ok(_)) => info!(lease = %self.candidate, "released"),
            Ok(Err(error)) => warn!(lease = %self.candidate, error = %words(&error), "cannot release the lease"),
            Err(_) => warn!(lease = %self.candidate, "cannot release the lease in time"),
        }
    }
}

/// The Lease without a holder. What else is in it stays, such as how often it has changed hands.
fn released(held: Lease) -> Lease {
    let spec = LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        ..held.spec.unwrap_or_default()
    };
    Lease { spec: Some(spec), ..held }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(15),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_that_is_free_or_ours_is_taken() {
        let now = Instant::now();
        assert_eq!(decide(None, "me", None, now), Decision::Create);
        assert_eq!(decide(Some(&lease("", "1")), "me", None, now), Decision::Take);
        assert_eq!(decide(Some(&lease("me", "1")), "me", None, now), Decision::Take);
    }

    #[test]
    fn anothers_lease_is_taken_only_after_it_did_not_change_for_its_whole_duration() {
        let now = Instant::now();
        let seen = Seen { version: Some("1".to_owned()), at: now };
        assert_eq!(decide(Some(&lease("other", "1")), "me", None, now), Decision::Wait);
        let later = now + Duration::from_secs(14);
        assert_eq!(decide(Some(&lease("other", "1")), "me", Some(&seen), later), Decision::Wait);
        let expired = now + Duration::from_secs(15);
        assert_eq!(decide(Some(&lease("other", "1")), "me", Some(&seen), expired), Decision::Take);
        assert_eq!(decide(Some(&lease("other", "2")), "me", Some(&seen), expired), Decision::Wait, "it was renewed");
    }

    #[test]
    fn a_lease_that_is_given_back_loses_its_holder_and_nothing_else() {
        let mut held = lease("me", "7");
        held.metadata.labels = Some([("team".to_owned(), "a".to_owned())].into());
        held.spec.as_mut().unwrap().lease_transitions = Some(3);
        let given_back = released(held.clone());
        assert_eq!(given_back.metadata, held.metadata);
        let (spec, before) = (given_back.spec.unwrap(), held.spec.unwrap());
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some(""), Some(1)));
        assert_eq!(spec.lease_transitions, before.lease_transitions);
    }

    #[test]
    fn a_leader_stops_before_others_may_begin() {
        assert!(RENEW_DEADLINE + GRACE < DURATION);
    }

    #[test]
    fn a_write_ends_before_others_may_begin() {
        let leads = |seconds| Leadership(watch::channel(Some(Instant::now() + Duration::from_secs(seconds))).1);
        let limit = Duration::from_secs(10);
        assert_eq!(leads(9).time_to_write(limit), Some(limit));
        assert!(leads(1).time_to_write(limit).is_some_and(|time| time <= Duration::from_secs(1) + GRACE));
        assert_eq!(leads(0).time_to_write(limit), None);
        assert_eq!(Leadership(watch::channel(None).1).time_to_write(limit), None);
    }

    /// The lead after one turn of a leader that leads until `until`. The Lease has this holder, and changes before each write.
    async fn lead_after_a_turn(holder: &'static str, until: Instant) -> Option<Instant> {
        let server = tower::service_fn(move |request: Request<Body>| async move {
            let (code, body): (u16, Value) = if request.method() == Method::GET {
                (200, json!(lease(holder, "1")))
            } else {
                let why = json!({"kind": "Status", "status": "Failure", "message": "changed", "reason": "Conflict", "code": 409});
                (409, why)
            };
            let answer = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            Ok::<_, Infallible>(answer.unwrap())
        });
        let [namespace, lease, identity] = ["ns", "lease", "me"].map(str::to_owned);
        let api = Api::namespaced(Client::new(server, "ns"), &namespace);
        let leads_until = watch::channel(Some(until)).0;
        let candidate = Candidate { namespace, lease, identity };
        let mut campaign = Campaign { api, candidate, seen: None, held: None, leads_until };
        campaign.turn().await;
        *campaign.leads_until.borrow()
    }

    #[tokio::test]
    async fn a_renewal_that_meets_a_later_one_of_its_own_neither_ends_nor_extends_the_lead() {
        let now = Instant::now();
        let later = now + Duration::from_hours(1);
        assert_eq!(lead_after_a_turn("me", later).await, Some(later), "an earlier renewal was committed late");
        assert_eq!(lead_after_a_turn("me", now).await, None, "it has run out");
        assert_eq!(lead_after_a_turn("other", later).await, None, "it has been taken away");
    }
}
