//! The web page in a real browser.

use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, error::CmdError};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use todo_e2e::harness::{http::Http, until};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::shared;

/// The page asks by itself after so long, if it has no stream.
const ASKS_BY_ITSELF_MS: f64 = 5000.0;
/// How long something in the page may take.
const WAIT: Duration = Duration::from_secs(20);

/// A browser that ends with the scenario.
pub(crate) struct Browser {
    pub(crate) client: Client,
    _driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let driver = Command::new("chromedriver").arg(format!("--port={port}")).kill_on_drop(true).spawn()?;
        let profile = tempfile::tempdir()?;
        let flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let mut arguments: Vec<String> = flags.iter().map(ToString::to_string).collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({"goog:chromeOptions": {"args": arguments}}).as_object().cloned().unwrap_or_default();
        let url = format!("http://127.0.0.1:{port}");
        until("the browser's driver listens", Duration::from_secs(30), async || {
            Ok(Some(TcpStream::connect(("127.0.0.1", port)).await?))
        })
        .await?;
        // The driver itself gives the browser a minute to start.
        let client = ClientBuilder::new(HttpConnector::new()).capabilities(options).connect(&url).await?;
        Ok(Self { client, _driver: driver, _profile: profile })
    }

    /// One in which this person has begun, after `before` was run in the page.
    async fn begin(page: &Http, user: &str, before: &str) -> anyhow::Result<Self> {
        let browser = Self::open().await?;
        browser.client.goto(&page.url("/")).await?;
        browser.client.execute(before, Vec::new()).await?;
        browser.find("#name").await?.send_keys(user).await?;
        browser.find("#start").await?.click().await?;
        Ok(browser)
    }

    async fn find(&self, css: &str) -> Result<Element, CmdError> {
        self.client.wait().at_most(WAIT).for_element(Locator::Css(css)).await
    }
}

#[tokio::test]
async fn the_page_adds_a_task_and_shows_it_and_the_chat_line_adds_another() {
    shared::with("page", async |platform, user| {
        let page = platform.page().await?;
        let browser = Browser::begin(&page, &user, "").await?;
        let client = &browser.client;
        let find = async |css: &str| browser.find(css).await;

        find("#new-title").await?.send_keys("buy milk").await?;
        find("#add").await?.click().await?;
        let shows = async |text: &str| {
            let text = text.to_owned();
            until(&format!("the page shows {text}"), WAIT, async || {
                let list = client.find(Locator::Css("#task-list")).await?.text().await?;
                Ok(list.contains(&text).then_some(()))
            })
            .await
        };
        shows("buy milk").await?;

        find("#chat-input").await?.send_keys("add call mom\u{e007}").await?;
        shows("call mom").await?;
        let stored = shared::tasks(&page, &user).await?;
        assert_eq!(stored.len(), 2);

        // No task of one filter is shown under another, not even while the platform is away.
        client.execute("window.fetch = () => Promise.reject(new TypeError('away'));", Vec::new()).await?;
        find("#show-completed").await?.click().await?;
        assert_eq!(find("#task-list").await?.text().await?, "");

        client.clone().close().await?;
        Ok(())
    })
    .await;
}

/// People type on while a request is under way.
#[tokio::test]
async fn what_is_typed_while_a_task_is_added_stays_where_it_was_typed() {
    shared::with("typing", async |platform, user| {
        let page = platform.page().await?;
        let browser = Browser::begin(&page, &user, "").await?;
        let client = &browser.client;
        let find = async |css: &str| browser.find(css).await;

        // Each change waits until it is let through.
        let hold = "const real = window.fetch; const held = new Promise(go => { window.letThrough = go; });
            window.fetch = async (url, more) => { if (more?.method === 'POST') await held; return real(url, more); };";
        client.execute(hold, Vec::new()).await?;
        find("#new-title").await?.send_keys("walk the dog").await?;
        find("#add").await?.click().await?;
        find("#new-title").await?.send_keys(" twice").await?;
        find("#chat-input").await?.send_keys("add ").await?;
        client.execute("window.letThrough();", Vec::new()).await?;
        until("the task is shown", WAIT, async || {
            let list = client.find(Locator::Css("#task-list")).await?.text().await?;
            let ready = client.find(Locator::Css("#add:enabled")).await.is_ok();
            Ok((ready && list.contains("walk the dog")).then_some(()))
        })
        .await?;

        let typed = "return [document.activeElement.id, document.getElementById('new-title').value];";
        assert_eq!(client.execute(typed, Vec::new()).await?, json!(["chat-input", "walk the dog twice"]));
        client.clone().close().await?;
        Ok(())
    })
    .await;
}

/// The reading that a change asks for is not put off by the end of one that was under way.
#[tokio::test]
async fn what_changes_while_the_page_reads_is_read_right_after_it() {
    shared::with("reads", async |platform, user| {
        let page = platform.page().await?;
        // Each reading is answered at once, and during the first of them something changes.
        let script = "window.reads = [];
            window.fetch = async (url) => {
                if (String(url).startsWith('/api/tasks') && window.reads.push(performance.now()) === 1) {
                    dispatchEvent(new Event('online'));
                }
                return new Response('{\"items\": []}');
            };
            window.EventSource = class { addEventListener() {} };";
        let browser = Browser::begin(&page, &user, script).await?;
        let client = &browser.client;
        let apart = until("the page has read twice", WAIT, async || {
            let reads = client.execute("return window.reads", Vec::new()).await?;
            Ok(reads[1].as_f64().zip(reads[0].as_f64()).map(|(second, first)| second - first))
        })
        .await?;
        assert!(apart < ASKS_BY_ITSELF_MS, "the second reading came {apart} ms after the first");
        client.clone().close().await?;
        Ok(())
    })
    .await;
}

/// Pages are read one after the other, and in between a task may move from one that was read to one that was not.
#[tokio::test]
async fn a_task_that_moves_while_pages_are_read_is_shown_once() {
    shared::with("moves", async |platform, user| {
        let page = platform.page().await?;
        let script = "const task = (id, title) => ({id, title, status: 'open'});
            window.fetch = async (url) => {
                const [path, query] = String(url).split('?');
                if (path !== '/api/tasks') return new Response('{\"items\": []}');
                const [items, next_cursor] = query.includes('cursor=') ? [[task('b', 'second'), task('a', 'moved')], null]
                    : [[task('a', 'first')], 'next'];
                return new Response(JSON.stringify({items, next_cursor}));
            };
            window.EventSource = class { addEventListener() {} };";
        let browser = Browser::begin(&page, &user, script).await?;
        browser.find("#task-more:not([hidden])").await?.click().await?;
        browser.find("[data-task=b]").await?;
        let titles = "return [...document.querySelectorAll('#task-list .title')].map(title => title.textContent)";
        assert_eq!(browser.client.execute(titles, Vec::new()).await?, json!(["second", "moved"]));
        browser.client.clone().close().await?;
        Ok(())
    })
    .await;
}
