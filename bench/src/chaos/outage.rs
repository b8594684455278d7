//! A broker that is away for long: writes go on, and what has piled up gets through fast when it is back.

use std::time::Duration;

use todo_e2e::{
    chaos::outage::{self, Drained, Written},
    harness::Platform,
};

use super::Arguments;

const DRAINED: Duration = Duration::from_mins(10);
/// Events per second with which a backlog has to drain, from the first effect to the last one.
const RATE: f64 = 1000.0;
/// A shorter backlog is gone before a rate can be told.
const LONG: usize = 5000;

pub(super) async fn run(platform: &Platform, arguments: &Arguments) -> anyhow::Result<()> {
    let length = Duration::from_secs(arguments.outage);
    let (written, drained) = outage::without_broker(platform, length, arguments.rate, DRAINED).await?;
    println!(
        "Broker away for {length:.0?}: {} of {} writes acknowledged, p50 {:.0?}, p99 {:.0?}, longest {:.0?}; {} events \
         waited, had their effects from {:.1?} to {:.1?} after its return: {:.0}/s, and {:.0}/s from the return",
        written.acknowledged,
        written.asked,
        written.percentile(50),
        written.percentile(99),
        written.percentile(100),
        drained.backlog,
        drained.first,
        drained.last,
        drained.rate(),
        drained.rate_from_return(),
    );
    let wrong = judge(&written, &drained);
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// All that is wrong.
fn judge(written: &Written, drained: &Drained) -> Vec<String> {
    let mut wrong = Vec::new();
    let Written { asked, acknowledged, refused, .. } = written;
    if acknowledged < asked {
        let why = refused.as_deref().unwrap_or_default();
        wrong.push(format!("{} of {asked} writes were not acknowledged: {why}", asked - acknowledged));
    }
    if drained.stored < *acknowledged {
        wrong.push(format!("{} of {acknowledged} tasks are stored", drained.stored));
    }
    // Some are written before the broker is quite gone.
    if drained.backlog * 10 < acknowledged * 9 {
        wrong.push(format!("only {} events waited: the broker was not away", drained.backlog));
    }
    if drained.backlog >= LONG && drained.rate() < RATE {
        wrong.push(format!("less than {RATE:.0} events a second"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right() -> (Written, Drained) {
        let written = Written { asked: 6000, acknowledged: 6000, ..Written::default() };
        let (first, last) = (Duration::from_secs(5), Duration::from_secs(10));
        (written, Drained { stored: 6000, backlog: 5990, first, last })
    }

    #[test]
    fn an_outage_in_which_all_writes_were_taken_and_all_events_came_fast_is_right() {
        let (written, drained) = right();
        assert!(judge(&written, &drained).is_empty());
    }

    #[test]
    fn each_way_in_which_an_outage_goes_wrong_is_told() {
        type Change = fn(&mut Written, &mut Drained);
        let wrong: [(&str, Change); 4] = [
            ("not acknowledged", |written, _| written.acknowledged = 5999),
            ("are stored", |_, drained| drained.stored = 5999),
            ("not away", |_, drained| drained.backlog = 5000),
            ("a second", |_, drained| drained.last = Duration::from_secs(11)),
        ];
        for (word, change) in wrong {
            let (mut written, mut drained) = right();
            change(&mut written, &mut drained);
            let told = judge(&written, &drained);
            assert!(told.len() == 1 && told[0].contains(word), "{word}: {told:?}");
        }
    }
}
