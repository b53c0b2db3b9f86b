//! How the caller used the batches of an epoch: what is reported to the servers.

use std::time::{Duration, Instant};

/// Which server a batch came from, and by which of its streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BatchOrigin {
    /// Place among the servers.
    pub(super) server: usize,
    /// The server's name for the stream.
    pub(super) stream: Vec<u8>,
}

/// What was done with the batches of one origin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct StepTimings {
    pub(super) steps: u64,
    /// From getting a batch to asking for the next one.
    pub(super) working: Duration,
    /// From asking for a batch to getting it.
    pub(super) waiting: Duration,
}

/// Counts, for each origin, since it was last asked.
#[derive(Debug, Default)]
pub(super) struct StepTimer {
    /// Since when the caller waits.
    asked: Option<Instant>,
    /// What it works on, and since when.
    in_hand: Option<(BatchOrigin, Instant)>,
    entries: Vec<(BatchOrigin, StepTimings)>,
}

impl StepTimer {
    /// The caller wants the next batch; it may say so again while it waits.
    pub(super) fn asked(&mut self, now: Instant) {
        self.put_down(now);
        self.asked.get_or_insert(now);
    }

    /// The caller has a batch.
    pub(super) fn given(&mut self, origin: BatchOrigin, now: Instant) {
        let waited = self.asked.take().map_or(Duration::ZERO, |asked| now - asked);
        let step_timings = self.of(&origin);
        step_timings.steps += 1;
        step_timings.waiting += waited;
        self.in_hand = Some((origin, now));
    }

    /// All since the last time; the batch in hand is done with.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(BatchOrigin, StepTimings)> {
        self.put_down(now);
        std::mem::take(&mut self.entries)
    }

    fn put_down(&mut self, now: Instant) {
        if let Some((origin, since)) = self.in_hand.take() {
            self.of(&origin).working += now - since;
        }
    }

    fn of(&mut self, origin: &BatchOrigin) -> &mut StepTimings {
        // A handful: one for each server, and one more for each time that one failed.
        let place = self.entries.iter().position(|(known, _)| known == origin);
        let place = place.unwrap_or_else(|| {
            self.entries.push((origin.clone(), StepTimings::default()));
            self.entries.len() - 1
        });
        &mut self.entries[place].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_waiting_are_those_of_the_origin_of_the_batch() {
        let origin = |server| BatchOrigin {
            server,
            stream: vec![7],
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timer = StepTimer::default();
        timer.asked(at(0));
        timer.asked(at(1));
        timer.given(origin(0), at(2));
        timer.asked(at(12));
        timer.given(origin(1), at(13));
        timer.asked(at(33));
        timer.given(origin(0), at(36));
        let step_timings = |steps, working, waiting| StepTimings {
            steps,
            working: Duration::from_secs(working),
            waiting: Duration::from_secs(waiting),
        };
        // What is done before the next batch is asked for does not belong to the epoch.
        assert_eq!(
            timer.take(at(40)),
            [
                (origin(0), step_timings(2, 14, 5)),
                (origin(1), step_timings(1, 20, 1))
            ]
        );
        timer.asked(at(100));
        timer.given(origin(1), at(101));
        assert_eq!(timer.take(at(102)), [(origin(1), step_timings(1, 1, 1))]);
    }
}
