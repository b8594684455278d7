//! How long one platform waits after a failure. It grows with each failure in a row and begins anew after a success or
//! with a new spec, so that one that cannot work disturbs no other and one that was repaired is not kept waiting.

use std::time::{Duration, Instant};

use rand::Rng;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);

/// A little less, so that many platforms do not all come at the same moment.
pub(in crate::controller) fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.9..1.0))
}

/// Failures in a row.
#[derive(Debug, Default)]
pub(in crate::controller) struct Backoff {
    failures: u32,
    until: Option<Instant>,
    generation: Option<i64>,
}

impl Backoff {
    /// Whether it is too soon for another try.
    pub(in crate::controller) fn is_waiting(&self, generation: Option<i64>, now: Instant) -> bool {
        self.rest(generation, now).is_some()
    }

    /// How long it is too soon for another try.
    pub(in crate::controller) fn rest(&self, generation: Option<i64>, now: Instant) -> Option<Duration> {
        self.until.filter(|until| self.generation == generation && now < *until).map(|until| until - now)
    }

    /// A try failed. A failure within the wait, set off by something else, does not count. Answers how long to wait.
    pub(in crate::controller) fn fail(&mut self, generation: Option<i64>, now: Instant) -> Duration {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
        if let Some(rest) = self.rest(generation, now) {
            return rest;
        }
        let wait = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        let wait = wait.mul_f64(rand::rng().random_range(0.8..1.0));
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + wait);
        wait
    }

    /// A try worked.
    pub(in crate::controller) fn succeed(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_begin_anew_with_a_new_spec_or_a_success() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        for least in [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 48.0, 48.0] {
            let wait = backoff.fail(Some(1), now);
            assert!(wait >= Duration::from_secs_f64(least) && wait <= LONGEST, "{wait:?}");
            assert!(backoff.is_waiting(Some(1), now) && !backoff.is_waiting(Some(2), now));
            now += wait;
        }
        assert!(backoff.fail(Some(2), now) <= FIRST);
        backoff.succeed();
        assert!(!backoff.is_waiting(Some(2), now));
    }

    #[test]
    fn a_failure_before_the_wait_is_over_does_not_make_it_longer() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        let wait = backoff.fail(None, now);
        for _ in 0..20 {
            assert!(backoff.fail(None, now) <= wait);
        }
    }
}
