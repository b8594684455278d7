//! A way to the database on which connections can die.

use std::net::{Ipv4Addr, SocketAddr};

use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::database;

/// Passes connections on to the database. When it dies, those that are there stay open and carry nothing any more, as if the
/// host were gone without a word; later ones work.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    options: PgConnectOptions,
    deaths: watch::Sender<()>,
    /// Whether answers wait.
    held: watch::Sender<bool>,
}

impl Line {
    /// To the database of `pool`.
    ///
    /// # Panics
    /// If loopback has no free port.
    pub async fn to(pool: &PgPool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let options = PgConnectOptions::clone(&pool.connect_options());
        let target = (options.get_host().to_owned(), options.get_port());
        let deaths = watch::Sender::new(());
        let held = watch::Sender::new(false);
        let (dies, holds) = (deaths.clone(), held.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let death = dies.subscribe();
                tokio::spawn(carry(near, target.clone(), death, holds.subscribe()));
            }
        });
        Self { address, options, deaths, held }
    }

    /// A pool like that of a service, over this line.
    pub fn pool(&self) -> PgPool {
        let options = self.options.clone().host(&self.address.ip().to_string()).port(self.address.port());
        database::pool_options().connect_lazy_with(options)
    }

    /// Lets the connections die that are there.
    pub fn die(&self) {
        self.deaths.send_replace(());
    }

    /// Holds back what the database answers, or lets it through.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }
}

async fn carry(
    mut near: TcpStream,
    target: (String, u16),
    mut death: watch::Receiver<()>,
    held: watch::Receiver<bool>,
) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    let (mut questions, mut to_near) = near.split();
    let (mut answers, mut to_far) = far.split();
    tokio::select! {
        _ = copy(&mut questions, &mut to_far) => {}
        _ = answer(&mut answers, &mut to_near, held) => {}
        _ = death.changed() => {
            // The database must see the end, or what a test leaves locked stays so.
            drop(far);
            std::future::pending::<()>().await;
        }
    }
}

async fn answer(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut held: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut bytes = [0; 8192];
    loop {
        let length = from.read(&mut bytes).await?;
        if length == 0 {
            return Ok(());
        }
        if held.wait_for(|held| !held).await.is_err() {
            return Ok(());
        }
        to.write_all(&bytes[..length]).await?;
    }
}
