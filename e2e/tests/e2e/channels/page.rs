//! Channels in the page, in a real browser.

use fantoccini::{Client, Locator, elements::Element, error::CmdError, key::Key};
use serde_json::json;
use todo_e2e::harness::{ChannelSink, http::Http, until};

use super::{LIMIT, USER};
use crate::page::Browser;

async fn find(client: &Client, css: &str) -> Result<Element, CmdError> {
    client.wait().at_most(LIMIT).for_element(Locator::Css(css)).await
}

/// A browser in which that person has begun, and what was done before the page knew who it is.
async fn begin(page: &Http, user: &str, before: &str) -> anyhow::Result<Browser> {
    let browser = Browser::open().await?;
    visit(&browser.client, page, user, before).await?;
    Ok(browser)
}

async fn visit(client: &Client, page: &Http, user: &str, before: &str) -> anyhow::Result<()> {
    client.goto(&page.url("/")).await?;
    client.execute("localStorage.removeItem('todo.user')", Vec::new()).await?;
    client.refresh().await?;
    client.execute(before, Vec::new()).await?;
    find(client, "#name").await?.send_keys(user).await?;
    find(client, "#start").await?.click().await?;
    Ok(())
}

async fn lists(client: &Client, text: &str) -> anyhow::Result<()> {
    until(&format!("the page lists {text}"), LIMIT, async || {
        let list = client.find(Locator::Css("#channel-list")).await?.text().await?;
        Ok(list.contains(text).then_some(()))
    })
    .await
}

/// Soon: what the page does after an answer comes after what it shows of it.
async fn holds(client: &Client, condition: &str) -> anyhow::Result<()> {
    let condition = format!("return {condition}");
    until(&condition, LIMIT, async || Ok((client.execute(&condition, Vec::new()).await? == json!(true)).then_some(())))
        .await
}

async fn add(client: &Client, kind: &str, target: &str) -> anyhow::Result<()> {
    find(client, &format!("#channel-kind option[value={kind}]")).await?.click().await?;
    find(client, "#channel-target").await?.send_keys(target).await?;
    find(client, "#channel-add").await?.click().await?;
    lists(client, target).await
}

/// The channels are listed, one is added and tested, and the service worker for Web Push is taken.
pub(super) async fn lists_and_adds_channels(page: &Http, sink: &ChannelSink) -> anyhow::Result<()> {
    let browser = begin(page, USER, "").await?;
    let client = &browser.client;
    lists(client, "Off: it answered HTTP 410").await?;
    add(client, "ntfy", "from-the-page").await?;
    find(client, "button[aria-label='Test: ntfy: from-the-page']").await?.click().await?;
    until("the test came", LIMIT, async || {
        let received = sink.received().await?;
        Ok(received.iter().any(|one| one["name"] == "from-the-page" && one["message"]["title"] == "Test").then_some(()))
    })
    .await?;
    // The newest is the first; that it was on its way is not the last that the page says.
    holds(client, "document.querySelector('#delivery-list li')?.textContent.includes('accepted') ?? false").await?;
    keeps_a_secret_until_it_is_dismissed(client, &sink.url("/hook/from-the-page")).await?;
    let active = "return navigator.serviceWorker.ready.then((registration) => registration.active !== null)";
    assert_eq!(client.execute(active, Vec::new()).await?, json!(true));
    client.clone().close().await?;
    Ok(())
}

async fn keeps_a_secret_until_it_is_dismissed(client: &Client, url: &str) -> anyhow::Result<()> {
    add(client, "webhook", url).await?;
    let is_shown = "document.getElementById('channel-secrets').textContent.includes('whsec_')";
    holds(client, is_shown).await?;
    find(client, "button[aria-label='Switch off: ntfy: from-the-page']").await?.click().await?;
    find(client, "button[aria-label='Switch on: ntfy: from-the-page']").await?;
    find(client, &format!("button[aria-label='Copy: secret of {url}']")).await?.click().await?;
    holds(client, is_shown).await?;
    find(client, &format!("button[aria-label='Dismiss: secret of {url}']")).await?.click().await?;
    holds(client, &format!("!{is_shown}")).await
}

/// Who uses the keyboard goes on nearby when a control is gone, and what is half typed stays.
pub(super) async fn keeps_where_the_keyboard_is(page: &Http) -> anyhow::Result<()> {
    let browser = begin(page, USER, "").await?;
    let client = &browser.client;
    let first = find(client, "#notification-list button").await?;
    let unread = client.find_all(Locator::Css("#notification-list button")).await?.len();
    first.send_keys(&Key::Enter).await?;
    holds(client, &format!("document.querySelectorAll('#notification-list button').length === {}", unread - 1)).await?;
    holds(client, "document.getElementById('notification-list').contains(document.activeElement)").await?;
    find(client, "#notification-read-all").await?.send_keys(&Key::Enter).await?;
    holds(client, "document.querySelectorAll('#notification-list button').length === 0").await?;
    holds(client, "document.getElementById('unread').hidden").await?;
    holds(client, "document.activeElement.id === 'notification-list'").await?;

    add(client, "email", "half@example.org").await?;
    let code = "input[aria-label='Code that was sent to half@example.org']";
    find(client, code).await?.send_keys("12").await?;
    add(client, "ntfy", "another").await?;
    assert_eq!(find(client, code).await?.prop("value").await?.as_deref(), Some("12"));

    find(client, "button[aria-label='Remove: ntfy: another']").await?.send_keys(&Key::Enter).await?;
    until("the topic is gone", LIMIT, async || {
        let list = client.find(Locator::Css("#channel-list")).await?.text().await?;
        Ok((!list.contains("another")).then_some(()))
    })
    .await?;
    holds(client, "document.getElementById('channel-list').contains(document.activeElement)").await?;
    client.clone().close().await?;
    Ok(())
}

/// What was switched off or removed stays so at the next visit, and who comes next is told nothing that is for others.
pub(super) async fn leaves_a_browser_as_it_was_switched(page: &Http, sink: &ChannelSink) -> anyhow::Result<()> {
    // No vendor's push service can be reached from here: the browser has this subscription when it is asked for one.
    let subscription = json!({
        "endpoint": sink.url("/push/browser-of-bea"),
        "keys": {"p256dh": sink.about("p256dh"), "auth": sink.about("auth")},
    });
    let vendor = format!(
        "const of = {{toJSON: () => ({subscription}), unsubscribe: async () => {{ delete localStorage.subscribed; return true; }}}};
        PushManager.prototype.getSubscription = async () => localStorage.subscribed ? of : null;
        PushManager.prototype.subscribe = async () => {{ localStorage.subscribed = 'yes'; return of; }};
        Notification.requestPermission = async () => 'granted';"
    );
    let browser = begin(page, "bea", &vendor).await?;
    let client = &browser.client;
    find(client, "#push-enable:not([hidden])").await?.click().await?;
    find(client, "button[aria-label='Switch off: This browser']").await?.click().await?;
    find(client, "button[aria-label='Switch on: This browser']").await?;

    visit(client, page, "bea", &vendor).await?;
    find(client, "button[aria-label='Switch on: This browser']").await?;
    find(client, "button[aria-label='Remove: This browser']").await?.click().await?;
    holds(client, "localStorage.subscribed === undefined").await?;
    visit(client, page, "bea", &vendor).await?;
    find(client, "#push-enable:not([hidden])").await?.click().await?;
    find(client, "button[aria-label='Switch off: This browser']").await?;

    visit(client, page, "carl", &vendor).await?;
    find(client, "#push-enable:not([hidden])").await?;
    holds(client, "localStorage.subscribed === undefined").await?;
    client.clone().close().await?;
    Ok(())
}
