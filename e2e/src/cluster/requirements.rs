//! What the machine itself must have. Debian's packages can be installed after a yes; toolchains that Debian does not
//! have in a release that is new enough are named with where to get them.

use std::time::Duration;

use super::{Docker, Error, Source};
use crate::{command::Command, progress::Progress};

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The program that is not in the PATH, or what else there has to be.
    pub program: &'static str,
    /// What it is needed for.
    pub reason: &'static str,
    /// How it is had.
    pub from: From,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// A package of Debian, which [`Requirements::install`] installs.
    Debian(&'static str),
    /// The person has to install it; the text says how.
    Person(&'static str),
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { program, reason, from } = self;
        match from {
            From::Debian(package) => write!(f, "{program} ({reason}; Debian package {package})"),
            From::Person(how) => write!(f, "{program} ({reason}; {how})"),
        }
    }
}

/// Asks the registries.
pub const CURL: (&str, &str, From) = ("curl", "asks whether images can be pulled", From::Debian("curl"));

/// Builds our tools.
pub const GO: (&str, &str, From) =
    ("go", "builds programs from Go modules", From::Person("version 1.26 or later, https://go.dev/doc/install"));

/// Builds a library of ours.
pub const MAKE: (&str, &str, From) = ("make", "builds the operator's allocator", From::Debian("make"));

const ANYWHERE: [(&str, &str, From); 3] = [GO, MAKE, ("docker", "runs the cluster's nodes", From::Debian("docker.io"))];

const OFFLINE: [(&str, &str, From); 8] = [
    ("mmdebstrap", "makes root file systems from Debian's packages", From::Debian("mmdebstrap")),
    ("gcc", "compiles the first process of pods", From::Debian("gcc")),
    ("mvn", "fetches Kafka's jars", From::Debian("maven")),
    ("tar", "packs root file systems", From::Debian("tar")),
    ("iptables", "the nodes' firewall", From::Debian("iptables")),
    ("ip", "the nodes' network", From::Debian("iproute2")),
    ("setsid", "starts a private Docker daemon", From::Debian("util-linux")),
    ("umount", "takes mounts of a private Docker daemon back", From::Debian("mount")),
];

const DAEMON: [(&str, &str, From); 2] = [
    ("dockerd", "no Docker daemon answers, so a private one is started", From::Debian("docker.io")),
    ("runc", "runs containers", From::Debian("runc")),
];

/// No program, so it is never there.
const ENGINE: (&str, &str, From) = (
    "root, or a Docker daemon that answers",
    "a private daemon has to be started by root",
    From::Person("start Docker, or make this user one of its group"),
);

/// Finds and installs what is missing.
#[derive(Debug)]
pub struct Requirements {
    needed: Vec<(&'static str, &'static str, From)>,
}

impl Requirements {
    /// Nothing; see [`Requirements::and`].
    pub fn none() -> Self {
        Self { needed: Vec::new() }
    }

    /// What a cluster needs whose parts come from there.
    pub async fn of_cluster(source: Source) -> Self {
        let mut needed = ANYWHERE.to_vec();
        if source == Source::Build {
            needed.extend(OFFLINE);
        }
        if Docker::of_user().await.is_none() {
            needed.extend(DAEMON);
            if !rustix::process::geteuid().is_root() {
                needed.push(ENGINE);
            }
        }
        Self { needed }
    }

    /// What is needed besides, for tests that a person asked for: programs with the Debian package that has each.
    #[must_use]
    pub fn and(mut self, programs: &[(&'static str, &'static str, From)]) -> Self {
        for program in programs {
            if !self.needed.contains(program) {
                self.needed.push(*program);
            }
        }
        self
    }

    /// What is not on this machine.
    pub fn missing(&self) -> Vec<Missing> {
        let absent = self.needed.iter().filter(|(program, ..)| !installed(program));
        absent.map(|&(program, reason, from)| Missing { program, reason, from }).collect()
    }

    /// Installs the packages of what is missing. Ask first.
    pub async fn install(&self, progress: &Progress) -> Result<(), Error> {
        let missing = self.missing();
        let by_hand = |one: &&Missing| matches!(one.from, From::Person(_));
        if missing.iter().any(|one| by_hand(&one)) {
            return Err(Error::Missing(list(missing.iter().filter(by_hand))));
        }
        let mut packages: Vec<&str> = missing
            .iter()
            .filter_map(|one| match one.from {
                From::Debian(package) => Some(package),
                From::Person(_) => None,
            })
            .collect();
        packages.sort_unstable();
        packages.dedup();
        if packages.is_empty() {
            return Ok(());
        }
        if !installed("apt-get") {
            return Err(Error::Missing(list(missing.iter())));
        }
        let step = progress.step("packages", format!("installing {}", packages.join(" ")));
        let apt = || {
            let apt = Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").tail(step.tail());
            apt.limit(Duration::from_mins(15))
        };
        apt().args(["-qq", "update"]).run().await.map_err(Error::step("reading Debian's package lists"))?;
        let install = apt().args(["-qq", "install", "--yes", "--no-install-recommends"]).args(&packages);
        install.run().await.map_err(Error::step("installing Debian packages"))?;
        step.done();
        let still = self.missing();
        if still.is_empty() { Ok(()) } else { Err(Error::Missing(list(still.iter()))) }
    }
}

fn list<'a>(missing: impl Iterator<Item = &'a Missing>) -> String {
    missing.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether a program is in the PATH, or where system programs are, which some users' PATH leaves out.
fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.into_iter().any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package_and_what_is_there_is_not() {
        let needed = vec![("sh", "everything", From::Debian("dash")), ("no-such", "tests", From::Debian("none"))];
        let missing = Requirements { needed }.missing();
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].to_string(), "no-such (tests; Debian package none)");
    }

    #[tokio::test]
    async fn a_toolchain_that_a_person_must_install_stops_the_installation() {
        let needed = vec![("no-such", "builds", From::Person("get it from its makers"))];
        let progress = Progress::new(&std::env::temp_dir());
        let error = Requirements { needed }.install(&progress).await.unwrap_err();
        assert!(error.to_string().contains("get it from its makers"), "{error}");
    }
}
