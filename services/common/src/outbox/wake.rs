use std::time::Duration;

use sqlx::{PgPool, postgres::PgListener};
use tokio::time::{sleep, timeout};

use super::CHANNEL;

/// Waits for what [`super::wake`] tells, or for a timer, because a notification can be lost.
pub(super) struct Waker {
    pool: PgPool,
    listener: Option<PgListener>,
}

impl Waker {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, listener: None }
    }

    /// Returns when there may be something new, after `limit` at the latest.
    pub(super) async fn wait(&mut self, limit: Duration) {
        if self.listener.is_none() {
            self.listener = timeout(limit, self.listen()).await.ok().and_then(Result::ok);
        }
        let Some(listener) = &mut self.listener else { return sleep(limit).await };
        match timeout(limit, listener.recv()).await {
            // Many commits are one reason to look.
            Ok(Ok(_)) => while listener.next_buffered().is_some() {},
            Ok(Err(_)) => {
                self.listener = None;
                sleep(limit).await;
            }
            Err(_) => {}
        }
    }

    async fn listen(&self) -> Result<PgListener, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(listener)
    }
}
