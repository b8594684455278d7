//! What a container engine does to the machine around it, and how it is taken back: a private daemon that has ended
//! leaves links, firewall chains, a changed policy of forwarding, cgroups and sometimes mounts.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Error,
    docker::{ADDRESSES, CGROUP, mounts_below},
    settings,
};
use crate::command::Command;

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// Both engines of iptables may be in use, and a machine may lack either.
const FIREWALLS: [&str; 2] = ["iptables", "ip6tables"];
const TABLES: [&str; 4] = ["filter", "nat", "mangle", "raw"];

/// The machine before the daemon was first started.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Before {
    forwarding: String,
    /// Policy of the FORWARD chain, for each of the firewalls.
    policies: Vec<Option<String>>,
    links: BTreeSet<String>,
    chains: BTreeSet<String>,
}

impl Before {
    /// Writes the machine's state to this file, unless one is there: then the daemon's traces are in the state already.
    pub(super) async fn record(file: &Path) -> Result<(), Error> {
        if file.exists() {
            return Ok(());
        }
        let mut policies = Vec::new();
        for firewall in FIREWALLS {
            policies.push(policy(firewall).await);
        }
        let before = Self {
            forwarding: std::fs::read_to_string(FORWARDING).unwrap_or_default(),
            policies,
            links: links(),
            chains: all_chains().await,
        };
        let text = serde_json::to_vec_pretty(&before).map_err(std::io::Error::other).map_err(Error::file(file))?;
        std::fs::write(file, text).map_err(Error::file(file))
    }
}

/// Takes back what the daemon did since the state in this file, and says what would not go.
pub(super) async fn clean(file: &Path, cache: &Path) -> Result<(), Error> {
    let raw = std::fs::read(file).map_err(Error::file(file))?;
    let before: Before = serde_json::from_slice(&raw).map_err(std::io::Error::other).map_err(Error::file(file))?;
    for mount in mounts_below(cache) {
        let _ = Command::new("umount").arg("--lazy").arg(mount).run().await;
    }
    for link in links().difference(&before.links).filter(|link| is_of_docker(link)) {
        let _ = Command::new("ip").args(["link", "delete", link]).run().await;
    }
    for (firewall, policy) in FIREWALLS.iter().zip(&before.policies) {
        clean_firewall(firewall, policy.as_deref(), &before.chains).await;
    }
    if std::fs::read_to_string(FORWARDING).is_ok_and(|now| now != before.forwarding) {
        let _ = std::fs::write(FORWARDING, &before.forwarding);
    }
    for group in own_cgroups() {
        remove_cgroup(&group);
    }
    let left = left_behind(&before, cache).await;
    if left.is_empty() {
        return std::fs::remove_file(file).map_err(Error::file(file));
    }
    Err(Error::LeftBehind(left))
}

async fn left_behind(before: &Before, cache: &Path) -> Vec<String> {
    let mut left: Vec<String> = mounts_below(cache).iter().map(|mount| format!("mount {}", mount.display())).collect();
    let new_links = links().difference(&before.links).filter(|link| is_of_docker(link)).cloned().collect::<Vec<_>>();
    left.extend(new_links.iter().map(|link| format!("network link {link}")));
    let chains = all_chains().await;
    left.extend(chains.difference(&before.chains).filter(|c| c.contains(" DOCKER")).map(|c| format!("chain {c}")));
    left.extend(own_cgroups().iter().map(|group| format!("cgroup {}", group.display())));
    left
}

/// Whether Docker names links so. Links of anybody else's that came since are left alone.
fn is_of_docker(link: &str) -> bool {
    ["docker", "br-", "veth"].iter().any(|prefix| link.starts_with(prefix))
}

fn links() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

async fn policy(firewall: &str) -> Option<String> {
    let rules = Command::new(firewall).args(["-w", "-S", "FORWARD"]).run().await.ok()?;
    rules.lines().find_map(|line| line.strip_prefix("-P FORWARD ")).map(str::to_owned)
}

async fn rules(firewall: &str, table: &str) -> Vec<String> {
    let listed = Command::new(firewall).args(["-w", "-t", table, "-S"]).run().await;
    listed.map(|text| text.lines().map(str::to_owned).collect()).unwrap_or_default()
}

/// Every chain, as "iptables filter NAME".
async fn all_chains() -> BTreeSet<String> {
    let mut chains = BTreeSet::new();
    for firewall in FIREWALLS {
        for table in TABLES {
            let listed = rules(firewall, table).await;
            let names = listed.iter().filter_map(|rule| rule.strip_prefix("-N "));
            chains.extend(names.map(|name| format!("{firewall} {table} {name}")));
        }
    }
    chains
}

async fn clean_firewall(firewall: &str, policy: Option<&str>, before: &BTreeSet<String>) {
    for table in TABLES {
        let listed = rules(firewall, table).await;
        let ours: Vec<&str> = listed
            .iter()
            .filter_map(|rule| rule.strip_prefix("-N "))
            .filter(|name| name.starts_with("DOCKER") && !before.contains(&format!("{firewall} {table} {name}")))
            .collect();
        if !ours.is_empty() {
            remove_chains(firewall, table, &listed, &ours).await;
        }
    }
    if let Some(policy) = policy {
        let _ = Command::new(firewall).args(["-w", "-P", "FORWARD", policy]).run().await;
    }
}

/// Removes the rules that lead to these chains or are about links that only the daemon had, then the chains.
async fn remove_chains(firewall: &str, table: &str, rules: &[String], ours: &[&str]) {
    let own = |word: &str| ours.contains(&word) || (is_of_docker(word) && !links().contains(word));
    let addresses = |word: &str| ADDRESSES.iter().any(|prefix| word.starts_with(prefix));
    let call = |args: Vec<String>| Command::new(firewall).args(["-w", "-t", table]).args(args).run();
    for rule in rules.iter().filter_map(|rule| rule.strip_prefix("-A ")) {
        if rule.split(' ').any(|word| own(word) || addresses(word)) {
            let words = rule.split(' ').map(|word| word.trim_matches('"').to_owned());
            let _ = call(std::iter::once("-D".to_owned()).chain(words).collect()).await;
        }
    }
    for step in ["-F", "-X"] {
        for chain in ours {
            let _ = call(vec![step.to_owned(), (*chain).to_owned()]).await;
        }
    }
}

fn own_cgroups() -> Vec<PathBuf> {
    let controllers = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    let roots = controllers.chain([PathBuf::from("/sys/fs/cgroup")]);
    roots.map(|root| root.join(CGROUP)).filter(|group| group.is_dir()).collect()
}

/// A cgroup goes by removing its folder, its children first; what looks like files in it cannot be removed and need not.
fn remove_cgroup(group: &Path) {
    let children = std::fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path());
    children.filter(|path| path.is_dir()).for_each(|child| remove_cgroup(&child));
    let _ = std::fs::remove_dir(group);
}

/// The host has no way to pods and Services: says so, instead of letting such packets out by its default route to where
/// something else may answer. A route that somebody else made for such a range stays.
pub(super) async fn refuse_pod_addresses() {
    for range in settings::UNREACHABLE_FROM_HOST {
        let _ = Command::new("ip").args(["route", "add", "unreachable", range]).run().await;
    }
}

/// Undoes [`refuse_pod_addresses`].
pub(super) async fn forget_pod_addresses() {
    for range in settings::UNREACHABLE_FROM_HOST {
        let _ = Command::new("ip").args(["route", "delete", "unreachable", range]).run().await;
    }
}
