//! Timings of the batches of an epoch, reported to the servers.

use std::time::{Duration, Instant};

/// The server and stream that a batch came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BatchOrigin {
    /// Index of the server.
    pub(super) server: usize,
    /// The server's id of the stream.
    pub(super) stream: Vec<u8>,
}

/// Timings of the batches of one origin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct StepTimings {
    pub(super) steps: u64,
    /// Time from receiving a batch to requesting the next one.
    pub(super) working: Duration,
    /// Time from requesting a batch to receiving it.
    pub(super) waiting: Duration,
}

/// Accumulates timings by origin.
#[derive(Debug, Default)]
pub(super) struct StepTimer {
    /// When the pending request began.
    asked: Option<Instant>,
    /// The batch being worked on, and since when.
    in_hand: Option<(BatchOrigin, Instant)>,
    entries: Vec<(BatchOrigin, StepTimings)>,
}

impl StepTimer {
    /// The caller requests the next batch; may be repeated while it waits.
    pub(super) fn asked(&mut self, now: Instant) {
        self.put_down(now);
        self.asked.get_or_insert(now);
    }

    /// The caller receives a batch.
    pub(super) fn given(&mut self, origin: BatchOrigin, now: Instant) {
        let waited = self.asked.take().map_or(Duration::ZERO, |asked| now - asked);
        let step_timings = self.of(&origin);
        step_timings.steps += 1;
        step_timings.waiting += waited;
        self.in_hand = Some((origin, now));
    }

    /// Takes all timings since the last call; the work on the current batch ends.
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
        // Few: one for each server, and one more for each failure.
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
    fn timings_are_attributed_to_the_origin_of_the_batch() {
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
        // Time before the next request does not belong to the epoch.
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
