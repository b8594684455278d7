//! Transactions whose begin may be given up.

use sqlx::{PgPool, Postgres, SqlSafeStr, Transaction};

/// Begins a transaction with `statement`. It may be dropped before it is answered: the transaction is rolled back then.
pub async fn begin(pool: &PgPool, statement: impl SqlSafeStr) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let (pool, statement) = (pool.clone(), statement.into_sql_str());
    // A task goes on when nobody waits for it any more. What is dropped before it is answered would be given back to the
    // pool inside of a transaction that nobody ends.
    let transaction = tokio::spawn(async move { pool.begin_with(statement).await });
    transaction.await.map_err(|_| sqlx::Error::WorkerCrashed)?
}
