//! `/api/events` through real sidecars: what happens is told to its own user, and a pod has few places for who listens.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};
use todo_e2e::harness::{
    Namespace, Platform,
    http::{Answer, Http},
    until,
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::shared::{add_task, tasks};

/// A second or so is meant; the machine may be busy. Shorter than a stream without an event and the pause between two looks for
/// reminders, which would let it arrive as well.
const SOON: Duration = Duration::from_secs(10);
/// How far ahead a reminder is: looked for every 15 s, it is stored before, and no stream that nothing ends is at its end then.
const AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_secs(28);
/// Between two changes; one is made while no stream is open yet, the next is not.
const PAUSE: Duration = Duration::from_millis(500);
/// Streams that a user opens at once.
const MANY: usize = 10;
/// Places for streams in a pod, as `docs/api.md` says, and pods.
const PLACES: usize = 4;
const PODS: usize = 2;

/// An event of a stream.
#[derive(Clone, Debug)]
struct Told {
    kind: String,
    data: Value,
}

async fn stream(page: &Http, user: &str) -> anyhow::Result<Answer> {
    page.get(&format!("/api/events?user_id={user}")).await
}

fn told(stream: &Answer) -> Vec<Told> {
    let event = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        Some(Told { kind: field("event")?.to_owned(), data: serde_json::from_str(field("data")?).ok()? })
    };
    stream.text.split("\n\n").filter_map(event).collect()
}

/// Opens one stream after the other, as the page does, until one tells of this kind.
async fn hears(page: &Http, user: &str, kind: &str, limit: Duration) -> anyhow::Result<Value> {
    let listen = async {
        loop {
            let stream = stream(page, user).await?.expect(200)?;
            if let Some(found) = told(&stream).into_iter().find(|told| told.kind == kind) {
                return anyhow::Ok(found.data);
            }
        }
    };
    timeout(limit, listen).await.with_context(|| format!("{user} heard of no {kind} within {}s", limit.as_secs()))?
}

/// Makes tasks of a user, one after the other, and notes when each was asked for.
async fn make(page: &Http, user: &str, made: &Mutex<HashMap<String, Instant>>) -> anyhow::Result<Infallible> {
    let mut number = 0;
    loop {
        let title = format!("{user} {number}");
        made.lock().unwrap_or_else(PoisonError::into_inner).insert(title.clone(), Instant::now());
        add_task(page, json!({"user_id": user, "title": title})).await?;
        sleep(PAUSE).await;
        number += 1;
    }
}

/// Everything that is told to a user meanwhile.
struct Listener {
    heard: Arc<Mutex<Vec<Told>>>,
    _streams: JoinSet<anyhow::Result<Infallible>>,
}

impl Listener {
    fn of(page: &Arc<Http>, user: &'static str) -> Self {
        let (heard, mut streams) = (Arc::<Mutex<Vec<Told>>>::default(), JoinSet::new());
        let (page, all) = (Arc::clone(page), Arc::clone(&heard));
        streams.spawn(async move {
            loop {
                let stream = stream(&page, user).await?.expect(200)?;
                all.lock().unwrap_or_else(PoisonError::into_inner).extend(told(&stream));
            }
        });
        Self { heard, _streams: streams }
    }

    /// But for what says nothing of anybody.
    fn heard(&self) -> Vec<Told> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().filter(|told| !["ready", "resync"].contains(&told.kind.as_str())).cloned().collect()
    }
}

#[tokio::test]
async fn what_happens_is_told_to_its_own_user_at_once_and_a_pod_has_few_places_for_streams() {
    Namespace::with("live", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({})).await?;
        platform.ready().await?;
        let page = Arc::new(platform.page().await?);
        let other = Listener::of(&page, "bob");

        a_change_is_told(&page, "ada").await?;
        a_notification_is_told(&page, "ada").await?;
        let overheard = other.heard();
        assert!(overheard.is_empty(), "what is ada's is told to bob: {overheard:?}");
        // Who hears nothing of others has to hear of himself, or it would prove nothing.
        let made = Mutex::default();
        tokio::select! {
            failed = make(&page, "bob", &made) => match failed? {},
            heard = until("bob is told of his own tasks", SOON, async || Ok(other.heard().into_iter().next())) => {
                assert_eq!(heard?.data["user_id"], "bob");
            }
        }
        drop(other);
        a_user_with_many_streams_is_refused_some(&page, "eve").await
    })
    .await;
}

/// Of the tasks that are made meanwhile, the first after the stream has begun.
async fn a_change_is_told(page: &Http, user: &str) -> anyhow::Result<()> {
    let made = Mutex::default();
    let change = tokio::select! {
        failed = make(page, user, &made) => match failed? {},
        heard = hears(page, user, "task", SOON) => heard?,
    };
    let now = Instant::now();
    let title = change["task_data"]["title"].as_str().unwrap_or_default();
    let made = made.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = made.get(title).with_context(|| format!("{user} made no such task: {change}"))?;
    assert_eq!((&change["event_type"], &change["user_id"]), (&json!("created"), &json!(user)), "{change}");
    eprintln!("a change was told {} ms after it was asked for", now.duration_since(*asked).as_millis());
    Ok(())
}

/// At its time, which is half a minute away.
async fn a_notification_is_told(page: &Http, user: &str) -> anyhow::Result<()> {
    let due = jiff::Timestamp::now() + AHEAD;
    let task = add_task(page, json!({"user_id": user, "title": "water the plants", "due_at": due.to_string()})).await?;
    let limit = AHEAD.unsigned_abs() + SOON;
    let notification = hears(page, user, "notification", limit).await?;
    let late = jiff::Timestamp::now().duration_since(due);
    assert_eq!((&notification["task_id"], &notification["user_id"]), (&task["id"], &json!(user)), "{notification}");
    assert!(!late.is_negative(), "{late:?} before its time: {notification}");
    eprintln!("a notification was told {} ms after its time", late.as_millis());
    Ok(())
}

/// Some are streams, the rest are refused in words, and other requests go on. Once they have ended there is room again.
async fn a_user_with_many_streams_is_refused_some(page: &Arc<Http>, user: &'static str) -> anyhow::Result<()> {
    // A replica that nobody has listened to for a while ends its first streams at once, to have the lists read anew.
    many_at_once(page, user, 0).await?;
    let (streams, refused) = many_at_once(page, user, MANY - PLACES * PODS).await?;
    eprintln!("of {MANY} streams at once {streams} were open and {refused} refused");
    assert!((PLACES..=PLACES * PODS).contains(&streams), "{streams} streams, {refused} refused");
    let made = Mutex::default();
    tokio::select! {
        failed = make(page, user, &made) => match failed? {},
        heard = hears(page, user, "task", SOON) => heard.map(drop),
    }
}

/// How many were streams, and how many were refused. Nothing happens that would end them before so many are refused.
async fn many_at_once(page: &Arc<Http>, user: &'static str, first: usize) -> anyhow::Result<(usize, usize)> {
    let mut answers = JoinSet::new();
    for _ in 0..MANY {
        let page = Arc::clone(page);
        answers.spawn(async move { stream(&page, user).await });
    }
    let (streams, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let count = async {
        while let Some(answer) = answers.join_next().await {
            let answer = answer??;
            if answer.status == 200 {
                streams.fetch_add(1, Relaxed);
                continue;
            }
            let answer = answer.expect(503)?;
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert_eq!(answer.json()["type"], "urn:todoplatform:problem:too-many-streams", "{}", answer.text);
            refused.fetch_add(1, Relaxed);
        }
        anyhow::Ok(())
    };
    let made = Mutex::default();
    let end = async {
        let enough = async || Ok((refused.load(Relaxed) >= first).then_some(()));
        until("what is too much is refused", SOON, enough).await?;
        timeout(SOON, tasks(page, user)).await.context("a read waits for the streams")??;
        make(page, user, &made).await
    };
    tokio::select! {
        counted = timeout(SOON * 3, count) => counted.context("the streams do not end")??,
        failed = end => match failed? {},
    }
    Ok((streams.load(Relaxed), refused.load(Relaxed)))
}
