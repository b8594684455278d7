//! What has to hold in a whole run.

/// Memory of a service before and after load, in MiB.
const IDLE: f64 = 15.0;
const LOADED: f64 = 25.0;
/// Rate of creations against the peer's, by any way.
const CREATIONS: f64 = 5.0;
/// p99 of reads at a fixed rate through a service's own sidecar, in milliseconds.
const READ: f64 = 5.0;
/// p99 from a completion to its next occurrence, in milliseconds.
const EFFECT: f64 = 150.0;

/// The worst of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) idle: f64,
    /// The most until the end.
    pub(super) loaded: f64,
    pub(super) creations: f64,
    pub(super) read: f64,
    pub(super) effect: f64,
}

impl Seen {
    /// The goals that were missed. Of reads and lists against the peer none is demanded: what the load itself takes of the machine
    /// leaves no room for it.
    pub(super) fn missed(&self) -> Vec<String> {
        let Self { idle, loaded, creations, read, effect } = *self;
        let goals = [
            (idle <= IDLE, format!("a service has {idle:.1} MiB when it is idle, and not {IDLE:.0}")),
            (loaded <= LOADED, format!("a service had {loaded:.1} MiB under load, and not {LOADED:.0}")),
            (
                creations >= CREATIONS,
                format!("creations have {creations:.1} times the rate of the peer, and not {CREATIONS:.0}"),
            ),
            (read <= READ, format!("the p99 of a read through its sidecar is {read:.1} ms, and not {READ:.0}")),
            (effect <= EFFECT, format!("the p99 until an effect is {effect:.0} ms, and not {EFFECT:.0}")),
        ];
        goals.into_iter().filter(|(is_reached, _)| !is_reached).map(|(_, words)| words).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACHED: Seen = Seen { idle: 15.0, loaded: 25.0, creations: 5.0, read: 5.0, effect: 150.0 };

    #[test]
    fn each_goal_that_is_missed_is_told() {
        assert!(REACHED.missed().is_empty());
        for (seen, word) in [
            (Seen { idle: 15.1, ..REACHED }, "idle"),
            (Seen { loaded: 25.1, ..REACHED }, "under load"),
            (Seen { creations: 4.9, ..REACHED }, "creations"),
            (Seen { read: 5.1, ..REACHED }, "read"),
            (Seen { effect: 151.0, ..REACHED }, "effect"),
        ] {
            let missed = seen.missed();
            assert!(missed.len() == 1 && missed[0].contains(word), "{word}: {missed:?}");
        }
    }
}
