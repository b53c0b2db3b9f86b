//! Restricts the measurement of a stream to its steady state.

use std::time::Duration;

use super::meter::{Cost, Meter};

/// Time for a dropped stream to finish its work before the next run is measured.
pub(super) const SETTLE_TIME: Duration = Duration::from_millis(50);

/// Batches before the measurement: as many as there are batch buffers in flight and at the reader, which are allocated first.
const WARM_UP: u64 = 8;

/// Batches requested beyond the measurement: enough that the engine renders ahead until its end.
const COOL_DOWN: u64 = 32;

/// Counts the batches of a stream, and measures those of its steady state: the first batches are skipped, as they are for peer loaders.
#[derive(Debug)]
pub(super) struct SteadyState {
    before: u64,
    /// Batches still to be measured.
    left: u64,
    images: u64,
    meter: Option<Meter>,
}

impl SteadyState {
    /// Measures `batches` batches.
    pub(super) fn of(batches: u64) -> Self {
        Self {
            before: WARM_UP,
            left: batches,
            images: 0,
            meter: None,
        }
    }

    /// Batches to request.
    pub(super) fn whole(&self) -> u64 {
        self.before + self.left + COOL_DOWN
    }

    /// Counts a batch of `images` images; with the last measured batch, returns the cost of all measured ones.
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
    fn the_first_and_the_last_batches_are_not_measured() {
        let mut steady_state = SteadyState::of(3);
        let whole = steady_state.whole();
        let start = std::time::Instant::now();
        let (number, cost) = (1..=whole)
            .find_map(|number| steady_state.take(1000 + number).map(|cost| (number, cost)))
            .unwrap();
        assert_eq!(number, WARM_UP + 3);
        assert_eq!(number + COOL_DOWN, whole);
        // The rate covers three batches, in a part of the time since the start.
        let images = 3 * 1000 + (WARM_UP + 1..=WARM_UP + 3).sum::<u64>();
        assert!(cost.rate() >= images as f64 / start.elapsed().as_secs_f64());
    }
}
