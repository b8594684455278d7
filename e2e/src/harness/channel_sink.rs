//! The other side of notification channels, beside the cluster: `assets/python/channel_sink.py`.

use std::{net::Ipv4Addr, process::Stdio};

use anyhow::Context;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{Python, http::Http, machine, python};
use crate::cluster::{Cluster, Settings};

/// A running sink. It ends when it is dropped.
pub struct ChannelSink {
    /// Address of this machine as pods see it.
    pub address: String,
    about: Value,
    _process: Child,
}

impl ChannelSink {
    /// Starts one where pods, and nobody outside of this machine, can reach it.
    pub async fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        Self::start_at(machine::seen_by_pods(cluster).await?, cluster.settings()).await
    }

    /// Starts one at this address of this machine.
    pub async fn start_at(address: Ipv4Addr, settings: &Settings) -> anyhow::Result<Self> {
        let address = address.to_string();
        let python = Python::with(settings, python::CHANNEL_SINK).await?;
        let mut process = Command::new(python.program())
            .arg(Settings::assets().join("python/channel_sink.py"))
            .arg(&address)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().context("its output is a pipe")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await?;
        let about = serde_json::from_str(&line).context("the sink did not start")?;
        Ok(Self { address, about, _process: process })
    }

    /// A port or key of its own.
    pub fn about(&self, name: &str) -> &Value {
        &self.about[name]
    }

    /// A path of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.address, self.about["http"])
    }

    /// What it took and could verify.
    pub async fn received(&self) -> anyhow::Result<Vec<Value>> {
        let answer = Http::at(&self.url(""))?.get("/received").await?.expect(200)?;
        Ok(serde_json::from_str(&answer.text)?)
    }
}
