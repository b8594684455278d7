//! This machine, as pods see it.

use std::net::Ipv4Addr;

use anyhow::Context;

use crate::cluster::Cluster;

/// Network of the nodes; its gateway is this machine.
const NETWORK: &str = "kind";

/// Its address. Nobody outside of this machine can reach what listens there.
pub async fn seen_by_pods(cluster: &Cluster) -> anyhow::Result<Ipv4Addr> {
    let docker = cluster.docker().context("the nodes are no containers of this machine")?;
    let format = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
    let gateways = docker.command().args(["network", "inspect", NETWORK, "--format", format]).run().await?;
    let address = gateways.split_whitespace().find_map(|gateway| gateway.parse().ok());
    address.context("the network of the nodes has no IPv4 gateway")
}
