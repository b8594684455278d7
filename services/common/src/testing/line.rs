//! A way to the database on which connections can die.

use std::net::{Ipv4Addr, SocketAddr};

use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio::{
    io::copy_bidirectional,
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
        let dies = deaths.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let death = dies.subscribe();
                tokio::spawn(carry(near, target.clone(), death));
            }
        });
        Self { address, options, deaths }
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
}

async fn carry(mut near: TcpStream, target: (String, u16), mut death: watch::Receiver<()>) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = death.changed() => {
            // The database must see the end, or what a test leaves locked stays so.
            drop(far);
            std::future::pending::<()>().await;
        }
    }
}
