//! A broker that is away for long: writes go on, and what has piled up gets through fast when it is back.

use std::time::Duration;

use todo_e2e::{
    chaos::outage::{self, Drained, Stage, Written},
    harness::Platform,
};

use super::Arguments;

const DRAINED: Duration = Duration::from_mins(10);
/// Events per second with which a backlog has to drain: to the broker and to effects, each from the first one to the last.
const RATE: f64 = 1000.0;
/// A shorter backlog is gone before a rate can be told.
const LONG: usize = 5000;

pub(super) async fn run(platform: &Platform, arguments: &Arguments) -> anyhow::Result<()> {
    let length = Duration::from_secs(arguments.outage);
    let (written, drained) = outage::without_broker(platform, length, arguments.rate, DRAINED).await?;
    let Stage { first, last } = drained.published;
    println!(
        "Broker away for {length:.0?}: {} of {} writes acknowledged, p50 {:.0?}, p99 {:.0?}, longest {:.0?}; {} events \
         waited when it was back",
        written.acknowledged,
        written.asked,
        written.percentile(50),
        written.percentile(99),
        written.percentile(100),
        drained.backlog,
    );
    println!("- the first was published after {first:.1?}, all after {last:.1?}: {:.0}/s", drained.published_rate());
    let Stage { first, last } = drained.effects;
    println!(
        "- the first had its effect after {first:.1?}, all after {last:.1?}: {:.0}/s, and {:.0}/s from the return",
        drained.effect_rate(),
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
    if drained.untold > 0 {
        wrong.push(format!("{} tasks are stored without an event", drained.untold));
    }
    // Some are written before the broker is quite gone.
    if drained.backlog * 10 < acknowledged * 9 {
        wrong.push(format!("only {} events waited: the broker was not away", drained.backlog));
    }
    let rates = [("were published", drained.published_rate()), ("had effects", drained.effect_rate())];
    for (what, _) in rates.into_iter().filter(|(_, rate)| drained.backlog >= LONG && *rate < RATE) {
        wrong.push(format!("less than {RATE:.0} events a second {what}"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right() -> (Written, Drained) {
        let written = Written { asked: 6000, acknowledged: 6000, ..Written::default() };
        let stage = |first, last| Stage { first: Duration::from_secs(first), last: Duration::from_secs(last) };
        let (published, effects) = (stage(5, 8), stage(6, 11));
        (written, Drained { stored: 6000, untold: 0, backlog: 5990, published, effects })
    }

    #[test]
    fn an_outage_in_which_all_writes_were_taken_and_all_events_came_fast_is_right() {
        let (written, drained) = right();
        assert!(judge(&written, &drained).is_empty());
    }

    #[test]
    fn each_way_in_which_an_outage_goes_wrong_is_told() {
        type Change = fn(&mut Written, &mut Drained);
        let wrong: [(&str, Change); 6] = [
            ("not acknowledged", |written, _| written.acknowledged = 5999),
            ("of 6000 tasks are stored", |_, drained| drained.stored = 5999),
            ("without an event", |_, drained| drained.untold = 1),
            ("not away", |_, drained| drained.backlog = 5000),
            ("a second were published", |_, drained| drained.published.last = Duration::from_secs(11)),
            ("a second had effects", |_, drained| drained.effects.last = Duration::from_secs(12)),
        ];
        for (word, change) in wrong {
            let (mut written, mut drained) = right();
            change(&mut written, &mut drained);
            let told = judge(&written, &drained);
            assert!(told.len() == 1 && told[0].contains(word), "{word}: {told:?}");
        }
    }
}
