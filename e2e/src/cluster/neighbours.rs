//! Other private daemons on the machine: their networks have the addresses that this one's have, so that packets for a
//! node of one cluster would reach another, or nobody.

use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::{
    Docker, Error,
    docker::{ADDRESSES, CGROUP},
};
use crate::command::Command;

/// Says how to end the private daemon of a cache other than `own`, if one runs.
pub(super) fn refuse_another(own: &Path) -> Result<(), Error> {
    let mut caches = daemons(None).into_iter().filter_map(|arguments| cache_of(&arguments));
    match caches.find(|cache| cache != own) {
        None => Ok(()),
        Some(cache) => Err(Error::NoCluster(format!(
            "another cluster of this project runs on this machine, with the same addresses; end it first: \
             TODO_PLATFORM_CACHE={} cargo xtask down",
            cache.display()
        ))),
    }
}

/// Removes bridges that a daemon left that was killed before it could do so. `own` is the process of the daemon that
/// stays; beside any other daemon nothing is removed, as it may be that one's.
pub(super) async fn remove_orphans(docker: &Docker, own: Pid) {
    if !daemons(Some(own)).is_empty() {
        return;
    }
    let networks = docker.command().args(["network", "ls", "--quiet"]).run();
    let links = Command::new("ip").args(["-oneline", "-4", "address", "show"]).run();
    let (Ok(networks), Ok(links)) = (networks.await, links.await) else { return };
    for bridge in orphans(&links, &networks) {
        let _ = Command::new("ip").args(["link", "delete", &bridge]).run().await;
    }
}

/// Bridges with an address of ours that belong to none of these networks. Docker names a bridge after its network.
fn orphans(links: &str, networks: &str) -> Vec<String> {
    let known: Vec<String> = networks.lines().map(|network| format!("br-{network}")).collect();
    let named = links.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (name, address) = (words.next()?, words.nth(1)?);
        let is_ours = ADDRESSES.iter().any(|prefix| address.starts_with(prefix));
        (name.starts_with("br-") && is_ours && !known.iter().any(|own| own == name)).then(|| name.to_owned())
    });
    named.collect()
}

/// The arguments of each Docker daemon on the machine but this one.
fn daemons(but: Option<Pid>) -> Vec<Vec<String>> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = processes.filter(|entry| {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        number.and_then(Pid::from_raw).is_some_and(|process| Some(process) != but)
    });
    let arguments = others.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let arguments = arguments.map(|raw| words(&raw));
    arguments.filter(|words| words.first().is_some_and(|program| program.ends_with("dockerd"))).collect()
}

/// A command line as `/proc` has it.
fn words(raw: &[u8]) -> Vec<String> {
    raw.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// The cache that a private daemon belongs to; none for a daemon of anybody else's.
fn cache_of(arguments: &[String]) -> Option<PathBuf> {
    let value = |name: &str| arguments.iter().skip_while(|word| *word != name).nth(1);
    value("--cgroup-parent").filter(|group| group.trim_start_matches('/') == CGROUP)?;
    // The data's folder is CACHE/docker/data.
    value("--data-root").and_then(|data| Some(PathBuf::from(data).parent()?.parent()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_daemon_is_known_by_its_group_and_says_which_cache_is_its_own() {
        let private = b"dockerd\0--data-root\0/home/ann/cache/docker/data\0--cgroup-parent\0/todo-platform\0";
        assert_eq!(cache_of(&words(private)), Some(PathBuf::from("/home/ann/cache")));
        let distribution = b"/usr/bin/dockerd\0-H\0fd://\0--data-root\0/srv/docker\0";
        assert_eq!(cache_of(&words(distribution)), None);
    }

    #[test]
    fn a_bridge_is_an_orphan_if_its_address_is_ours_and_its_network_is_nobodys() {
        let links = "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n\
                     68: br-28230851d3bd    inet 10.211.0.1/24 brd 10.211.0.255 scope global br-28230851d3bd\\  x\n\
                     73: br-8105069321bf    inet 10.211.0.1/24 brd 10.211.0.255 scope global br-8105069321bf\\  x\n\
                     79: docker0    inet 10.210.0.1/24 brd 10.210.0.255 scope global docker0\\  x\n\
                     80: br-of-somebody    inet 172.18.0.1/16 brd 172.18.255.255 scope global br-of-somebody\\  x\n";
        assert_eq!(orphans(links, "8105069321bf\n1f0c8d7a91ce\n"), ["br-28230851d3bd"]);
    }
}
