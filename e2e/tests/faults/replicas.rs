//! Several replicas of the operator, and a server that goes away under them.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::try_join_all;
use kube::api::{Patch, PatchParams};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use todo_e2e::{
    faults::{Action, Course, Ground, Operator, SETTLED, Walk},
    harness::until,
    proxy::{Fault, Proxy, Rule, Target},
};

use crate::support::{LEASE, beside_others, holder, leases, seed, undisturbed};

/// Sooner than the next of writes that come one after the other.
const AT_ONCE: Duration = Duration::from_millis(2);

async fn is_led_by(ground: &Ground, namespace: &str, replica: &str) -> anyhow::Result<()> {
    until(&format!("{replica} leads"), SETTLED, || async {
        Ok((holder(ground, namespace).await? == replica).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_goes_on_where_a_killed_leader_ended_and_a_clean_stop_gives_the_lease_back() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let walk = ground.walk(1).await?;
    let (mut first_proxy, mut second_proxy) = (ground.proxy().await?, ground.proxy().await?);
    let (folder, namespace) = (ground.folder.path(), walk.namespace.as_str());

    let first = Operator::start(&mut first_proxy, folder, Some(namespace), "first")?;
    is_led_by(&ground, namespace, "first").await?;
    let second = Operator::start(&mut second_proxy, folder, Some(namespace), "second")?;
    let mut followed = walk.followed(course);
    walk.perform(Action::Create).await?;
    followed.reaches(Action::Create, &[&first_proxy]).await?;
    anyhow::ensure!(second_proxy.ledger().work().next().is_none(), "a standby wrote:\n{}", second_proxy.ledger());

    first.kill().await?;
    walk.perform(Action::Update).await?;
    followed.reaches(Action::Update, &[&second_proxy]).await?;
    anyhow::ensure!(second_proxy.ledger().work().next().is_some(), "the standby wrote nothing");

    second.stop().await?;
    let holder = holder(&ground, namespace).await?;
    anyhow::ensure!(holder.is_empty(), "{holder} still holds the Lease after it ended");
    let mut third_proxy = ground.proxy().await?;
    let _third = Operator::start(&mut third_proxy, folder, Some(namespace), "third")?;
    walk.perform(Action::Scale).await?;
    followed.reaches(Action::Scale, &[&third_proxy]).await?;
    Ok(())
}

/// Gives the Lease to a replica. The one that leads learns of it only when it looks again.
async fn give(ground: &Ground, namespace: &str, replica: &str) -> anyhow::Result<()> {
    let given = json!({"spec": {"holderIdentity": replica}});
    leases(ground, namespace).patch(LEASE, &PatchParams::default(), &Patch::Merge(given)).await?;
    Ok(())
}

/// When the Lease is given to the one that does not lead.
#[derive(Clone, Copy, Debug)]
enum Split {
    /// Before something is done.
    Before,
    /// After it.
    After,
    /// Before it, back as soon as that one leads, and once more when the other does.
    ToAndFro,
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_both_believe_to_lead_leave_what_one_leaves() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let lives = [Split::Before, Split::After, Split::ToAndFro].map(|split| {
        let ground = &ground;
        async move { two_lead(ground, course, split).await.with_context(|| format!("the Lease is given {split:?}")) }
    });
    try_join_all(lives).await.map(drop)
}

/// Names of two replicas.
const REPLICAS: [&str; 2] = ["first", "second"];

/// A namespace with two replicas, the first of which led when they began. Fields are dropped in this order.
struct Two<'a> {
    _operators: [Operator; 2],
    proxies: [Proxy; 2],
    walk: Walk<'a>,
}

impl<'a> Two<'a> {
    async fn on(ground: &'a Ground) -> anyhow::Result<Self> {
        let (mut proxies, folder) = ([ground.proxy().await?, ground.proxy().await?], ground.folder.path());
        let walk = ground.another_walk().await?;
        let namespace = walk.namespace.as_str();
        let first = Operator::start(&mut proxies[0], folder, Some(namespace), REPLICAS[0])?;
        is_led_by(ground, namespace, REPLICAS[0]).await?;
        let second = Operator::start(&mut proxies[1], folder, Some(namespace), REPLICAS[1])?;
        Ok(Self { _operators: [first, second], proxies, walk })
    }

    /// The one that leads and the other one, each with what it asks.
    fn in_turn(&self) -> [(&'static str, &Proxy); 2] {
        [(REPLICAS[0], &self.proxies[0]), (REPLICAS[1], &self.proxies[1])]
    }
}

/// A whole life, in which the lead goes to the other replica with each action.
async fn two_lead(ground: &Ground, course: &Course, split: Split) -> anyhow::Result<()> {
    let two = Two::on(ground).await?;
    let (walk, namespace, [first, second]) = (&two.walk, two.walk.namespace.as_str(), &two.proxies);
    let ([mut leader, mut other], mut followed) = (two.in_turn(), walk.followed(course));
    for action in Action::ALL {
        if !matches!(split, Split::After) {
            give(ground, namespace, other.0).await?;
        }
        let given = Instant::now();
        walk.perform(action).await?;
        match split {
            Split::Before => {}
            Split::After => give(ground, namespace, other.0).await?,
            Split::ToAndFro => {
                taken(other.1, given).await?;
                let given_back = Instant::now();
                give(ground, namespace, leader.0).await?;
                taken(leader.1, given_back).await?;
                give(ground, namespace, other.0).await?;
            }
        }
        followed.reaches(action, &[first, second]).await?;
        std::mem::swap(&mut leader, &mut other);
    }
    for (replica, proxy) in [leader, other] {
        anyhow::ensure!(proxy.ledger().work().next().is_some(), "{replica} never wrote");
    }
    Ok(())
}

/// When the writes of the one that led before land once more.
#[derive(Clone, Copy, Debug)]
enum Again {
    /// As soon as the other leads.
    AtOnce,
    /// While it does what it is asked for then.
    Meanwhile,
    /// When it has done that.
    After,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_wrote_that_led_before_leaves_nothing_when_it_lands_once_more() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let lives = [Again::AtOnce, Again::Meanwhile, Again::After].map(|again| {
        let ground = &ground;
        async move { led_before(ground, course, again).await.with_context(|| format!("landing {again:?}")) }
    });
    try_join_all(lives).await.map(drop)
}

/// A whole life, in which the lead goes to the other replica after each action, and the writes of that follow.
async fn led_before(ground: &Ground, course: &Course, again: Again) -> anyhow::Result<()> {
    let two = Two::on(ground).await?;
    let (walk, namespace, [first, second]) = (&two.walk, two.walk.namespace.as_str(), &two.proxies);
    let ([mut leader, mut before], mut followed, mut landed) = (two.in_turn(), walk.followed(course), 0);
    for action in Action::ALL {
        leader.1.set(kept_writes());
        if matches!(again, Again::AtOnce) {
            landed += lands(before.1).await?;
        }
        let begun = Instant::now();
        walk.perform(action).await?;
        if matches!(again, Again::Meanwhile) {
            written(leader.1, begun, usize::from(action != Action::Delete)).await?;
            landed += lands(before.1).await?;
        }
        if matches!(again, Again::After) {
            followed.reaches(action, &[first, second]).await?;
            landed += lands(before.1).await?;
            followed.comes_back_to(action, &[first, second]).await?;
        } else {
            followed.comes_to(action, &[first, second]).await?;
        }
        anyhow::ensure!(holder(ground, namespace).await? == leader.0, "the Lease is not {}'s any more", leader.0);
        let given = Instant::now();
        give(ground, namespace, before.0).await?;
        taken(before.1, given).await?;
        std::mem::swap(&mut leader, &mut before);
    }
    println!("{landed} writes landed once more {again:?}");
    anyhow::ensure!(landed > 0, "no write was taken once more");
    Ok(())
}

/// Has all writes kept for another time.
fn kept_writes() -> Vec<Rule> {
    let of = |verb, subresource: &str| Target { verb, subresource: subresource.to_owned(), ..Target::default() };
    let verbs = ["create", "update", "patch", "delete"];
    verbs.iter().flat_map(|verb| ["", "status"].map(|part| Rule::always(of(verb, part), Fault::Keep))).collect()
}

/// Has what was kept land once more. Says how much of the platform's was written by that.
async fn lands(proxy: &Proxy) -> anyhow::Result<usize> {
    let answers = proxy.replay().await?;
    Ok(answers.iter().filter(|(target, status)| target.is_work() && *status < 300).count())
}

/// Waits until the one behind `proxy` has taken or renewed the Lease since then.
async fn taken(proxy: &Proxy, since: Instant) -> anyhow::Result<()> {
    until("the Lease is taken", SETTLED, || async {
        let ledger = proxy.ledger().since(since);
        let mut of_lease = ledger.all().filter(|entry| entry.target.resource == "leases");
        Ok(of_lease.any(|entry| entry.target.verb == "update" && entry.status == Some(200)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_leads_again_restarts_no_pods_for_a_password_that_it_read_before_another_led() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let walk = ground.walk(1).await?;
    let (mut first_proxy, mut second_proxy) = (ground.proxy().await?, ground.proxy().await?);
    let (folder, namespace) = (ground.folder.path(), walk.namespace.as_str());
    let _first = Operator::start(&mut first_proxy, folder, Some(namespace), "first")?;
    is_led_by(&ground, namespace, "first").await?;
    let mut followed = walk.followed(course);
    for action in [Action::Create, Action::Update, Action::Scale] {
        walk.perform(action).await?;
        followed.reaches(action, &[&first_proxy]).await?;
    }
    let _second = Operator::start(&mut second_proxy, folder, Some(namespace), "second")?;
    until("the second is there", SETTLED, || async {
        Ok(second_proxy.ledger().all().any(|entry| entry.target.resource == "leases").then_some(()))
    })
    .await?;

    // What the first reads now is good for it until it leads again.
    password_read(&first_proxy).await?;
    walk.perform(Action::Rotate).await?;
    give(&ground, namespace, "second").await?;
    followed.replaced(Action::Rotate).await?;
    let given_back = Instant::now();
    give(&ground, namespace, "first").await?;
    taken(&first_proxy, given_back).await?;
    password_read(&first_proxy).await?;
    followed.reaches(Action::Rotate, &[&first_proxy, &second_proxy]).await
}

/// Waits until the one behind `proxy` reads the password of the broker.
async fn password_read(proxy: &Proxy) -> anyhow::Result<()> {
    let begun = Instant::now();
    until("the password is read", SETTLED, || async {
        let ledger = proxy.ledger().since(begun);
        let mut read = ledger.all().map(|entry| &entry.target).filter(|target| target.resource == "secrets");
        Ok(read.any(|target| target.name == "kafka-password").then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_killed_at_some_write_of_each_change_costs_nothing_but_time() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let mut random = StdRng::seed_from_u64(seed()?);
    let walk = ground.walk(1).await?;
    let mut proxy = ground.proxy().await?;
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(&walk.namespace), "operator")?;
    let mut followed = walk.followed(course);
    for action in Action::ALL {
        // Of a deletion none may come at all: it is the garbage collector's work.
        let most = if action == Action::Delete { 0 } else { course.writes(action) };
        let nth = random.random_range(0..=most);
        let begun = Instant::now();
        walk.perform(action).await?;
        written(&proxy, begun, nth).await.with_context(|| format!("write {nth} of {action:?}"))?;
        ground.plane.restart_api_server().await?;
        followed.reaches(action, &[&proxy]).await.with_context(|| format!("killed at write {nth} of {action:?}"))?;
    }
    Ok(())
}

/// Returns as soon as so much has been written.
async fn written(proxy: &Proxy, since: Instant, writes: usize) -> anyhow::Result<()> {
    let all = async {
        while proxy.written_since(since) < writes {
            tokio::time::sleep(AT_ONCE).await;
        }
    };
    tokio::time::timeout(SETTLED, all).await.context("not written")
}
