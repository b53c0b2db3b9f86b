//! The part of a stream that is measured.

use std::time::Duration;

use super::meter::{Cost, Meter};

/// What a stream that is dropped is given to end, so that none of its work falls to whatever is measured next.
pub(super) const SETTLE_TIME: Duration = Duration::from_millis(50);

/// Batches that are taken before: as many as there are buffers of a batch on the way and with the reader, which are new at first.
const WARM_UP: u64 = 8;

/// Batches that are asked for and not taken, at most: so many that what is made ahead is made ahead at the end, too.
const COOL_DOWN: u64 = 32;

/// Counts the batches of a stream: what a training costs is what its stream costs on the way, not how it begins. Peers are measured after
/// their first batches, too.
#[derive(Debug)]
pub(super) struct SteadyState {
    before: u64,
    /// Batches that are measured, and are still to come.
    left: u64,
    images: u64,
    meter: Option<Meter>,
}

impl SteadyState {
    /// To measure so many batches.
    pub(super) fn of(batches: u64) -> Self {
        Self {
            before: WARM_UP,
            left: batches,
            images: 0,
            meter: None,
        }
    }

    /// Batches to ask for.
    pub(super) fn whole(&self) -> u64 {
        self.before + self.left + COOL_DOWN
    }

    /// Takes note of a batch of so many images. What those that are measured cost, with the last of them.
    pub(super) fn take(&mut self, images: u64) -> Option<Cost> {
        match &self.meter {
            None => {
                self.before -= 1;
                if self.before == 0 {
                    self.meter = Some(Meter::start());
                }
                None
            }
            Some(meter) => {
                self.images += images;
                self.left -= 1;
                (self.left == 0).then(|| meter.stop(self.images))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_batches_and_the_last_do_not_count() {
        let mut steady_state = SteadyState::of(3);
        let whole = steady_state.whole();
        let start = std::time::Instant::now();
        let (number, cost) = (1..=whole)
            .find_map(|number| steady_state.take(1000 + number).map(|cost| (number, cost)))
            .unwrap();
        assert_eq!(number, WARM_UP + 3);
        assert_eq!(number + COOL_DOWN, whole);
        // The rate is of the images of three batches in a time that is part of what has passed.
        let images = 3 * 1000 + (WARM_UP + 1..=WARM_UP + 3).sum::<u64>();
        assert!(cost.rate() >= images as f64 / start.elapsed().as_secs_f64());
    }
}
