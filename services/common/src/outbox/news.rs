//! That something was committed to the outbox: told to this process at once, and to the other replicas by LISTEN/NOTIFY.

use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database::answered;

/// Channel of LISTEN/NOTIFY. The payload names the process that has told it.
const CHANNEL: &str = "outbox";
/// Pause before the next try to listen.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells relays and feeds that there may be something new. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct News {
    told: Arc<watch::Sender<()>>,
    to_pass_on: Arc<Notify>,
    process: Uuid,
}

impl Default for News {
    fn default() -> Self {
        Self { told: Arc::default(), to_pass_on: Arc::default(), process: Uuid::new_v4() }
    }
}

impl News {
    /// Something was committed by this process.
    pub(crate) fn committed(&self) {
        self.told.send_replace(());
        self.to_pass_on.notify_one();
    }

    /// Tells other processes what this one commits. Many commits are one reason to look.
    pub(crate) async fn pass_on(&self, pool: &PgPool) {
        loop {
            self.to_pass_on.notified().await;
            let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(self.process.to_string());
            if let Err(error) = answered(notify.execute(pool)).await {
                tracing::debug!(%error, "the relays were not woken; their timers will do");
            }
        }
    }

    /// Hears what other processes commit, until `stop`.
    pub(crate) async fn listen(&self, pool: &PgPool, stop: &CancellationToken) {
        let hear = async {
            loop {
                if let Err(error) = self.hear(pool).await {
                    tracing::debug!(%error, "nobody tells of commits; the relay's timer will do");
                }
                sleep(PAUSE).await;
            }
        };
        stop.run_until_cancelled(hear).await;
    }

    async fn hear(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        // What was told before is not heard.
        self.told.send_replace(());
        let process = self.process.to_string();
        loop {
            if listener.recv().await?.payload() != process {
                self.told.send_replace(());
            }
        }
    }

    /// To wait for the next.
    pub(crate) fn waiter(&self) -> Waiter {
        Waiter { told: self.told.subscribe(), _teller: self.told.clone() }
    }
}

/// Waits for news, or for a timer, because a notification can be lost.
#[derive(Debug)]
pub struct Waiter {
    told: watch::Receiver<()>,
    /// While it is there, waiting does not end at once.
    _teller: Arc<watch::Sender<()>>,
}

impl Waiter {
    /// Returns when there may be something new since the last return, after `limit` at the latest: whether there were news.
    pub async fn wait(&mut self, limit: Duration) -> bool {
        timeout(limit, self.told.changed()).await.is_ok()
    }
}
