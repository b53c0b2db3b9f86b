//! Who holds a stream up.

use std::{fmt, ops::AddAssign, time::Duration};

use super::metrics::EpochStats;

/// What the time of an epoch was spent on.
///
/// A server alone sees whether its reader is late, and guesses why: a connection that takes no more bytes is the network. What a reader says
/// of itself is better. A trainer that works has its batches; while it waits for one, the server is making it, or it is on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimeBreakdown {
    /// The reader worked on earlier batches.
    pub trainer: Duration,
    /// Batches that were made were on their way.
    pub network: Duration,
    /// The workers augmented and wrote tensors.
    pub rendering: Duration,
    /// The workers read files.
    pub disk: Duration,
    /// The workers decoded images for the first time.
    pub decoding: Duration,
    /// The workers decoded again what the cache had no room for.
    pub cache: Duration,
}

/// What a reader says of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientReport {
    /// Batches that it used.
    pub steps: u64,
    /// Time that it worked on them.
    pub working: Duration,
    /// Time that it waited for them.
    pub waiting: Duration,
}

impl AddAssign<&Self> for ClientReport {
    fn add_assign(&mut self, other: &Self) {
        self.steps += other.steps;
        self.working += other.working;
        self.waiting += other.waiting;
    }
}

/// What can hold a stream up. More of anything else would not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bottleneck {
    /// See [`TimeBreakdown::trainer`].
    Trainer,
    /// See [`TimeBreakdown::network`].
    Network,
    /// See [`TimeBreakdown::rendering`].
    Rendering,
    /// See [`TimeBreakdown::disk`].
    Disk,
    /// See [`TimeBreakdown::decoding`].
    Decoding,
    /// See [`TimeBreakdown::cache`].
    Cache,
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trainer => "trainer",
            Self::Network => "network",
            Self::Rendering => "server CPU",
            Self::Disk => "disk",
            Self::Decoding => "decoding",
            Self::Cache => "cache too small",
        })
    }
}

impl TimeBreakdown {
    /// What the server alone makes of `sums`; in the first epoch of a stream, images may have to be decoded.
    pub(super) fn observed(sums: &EpochStats, is_first_epoch: bool) -> Self {
        let sending = sums.sending.min(sums.waiting_for_reader);
        Self {
            trainer: sums.waiting_for_reader - sending,
            network: sending,
            ..Self::rendering_breakdown(sums, is_first_epoch, sums.waiting_for_batch)
        }
    }

    /// What `sums` and the reader's report say together.
    pub(super) fn reported(sums: &EpochStats, is_first_epoch: bool, usage: &ClientReport) -> Self {
        // Batches that are made while the reader works hold up nobody.
        let rendering = sums.waiting_for_batch.min(usage.waiting);
        Self {
            trainer: usage.working,
            network: usage.waiting - rendering,
            ..Self::rendering_breakdown(sums, is_first_epoch, rendering)
        }
    }

    /// While somebody waits for a batch to be made, the workers do all three; it waits for each of them in proportion.
    fn rendering_breakdown(sums: &EpochStats, is_first_epoch: bool, waited: Duration) -> Self {
        let work = (sums.reading + sums.decoding + sums.rendering).as_secs_f64();
        let part = |time: Duration| {
            if work > 0.0 {
                waited.mul_f64(time.as_secs_f64() / work)
            } else {
                Duration::ZERO
            }
        };
        let (disk, decoding) = (part(sums.reading), part(sums.decoding));
        let (decoding, cache) = if is_first_epoch {
            (decoding, Duration::ZERO)
        } else {
            (Duration::ZERO, decoding)
        };
        Self {
            rendering: waited.saturating_sub(disk + decoding + cache),
            disk,
            decoding,
            cache,
            ..Self::default()
        }
    }

    /// What took longest, and its part of the time, from 0 to 1.
    #[must_use]
    pub fn bottleneck(&self) -> (Bottleneck, f64) {
        let times = [
            (Bottleneck::Trainer, self.trainer),
            (Bottleneck::Network, self.network),
            (Bottleneck::Rendering, self.rendering),
            (Bottleneck::Disk, self.disk),
            (Bottleneck::Decoding, self.decoding),
            (Bottleneck::Cache, self.cache),
        ];
        let all: Duration = times.iter().map(|(_, time)| time).sum();
        let longest = times.into_iter().max_by_key(|(_, time)| *time);
        let (bottleneck, time) = longest.expect("there are six");
        let share = if all.is_zero() {
            0.0
        } else {
            time.as_secs_f64() / all.as_secs_f64()
        };
        (bottleneck, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of: waiting for the reader, sending, waiting for a batch, reading, decoding, rendering.
    fn sums(seconds: [u64; 6]) -> EpochStats {
        let [
            waiting_for_reader,
            sending,
            waiting_for_batch,
            reading,
            decoding,
            rendering,
        ] = seconds.map(Duration::from_secs);
        EpochStats {
            waiting_for_reader,
            sending,
            waiting_for_batch,
            reading,
            decoding,
            rendering,
            ..EpochStats::default()
        }
    }

    fn observed(seconds: [u64; 6], is_first_epoch: bool) -> (Bottleneck, f64) {
        TimeBreakdown::observed(&sums(seconds), is_first_epoch).bottleneck()
    }

    #[test]
    fn the_longest_time_decides() {
        assert_eq!(observed([9, 1, 1, 0, 1, 1], true), (Bottleneck::Trainer, 0.8));
        assert_eq!(observed([9, 8, 1, 0, 1, 1], true), (Bottleneck::Network, 0.8));
        assert_eq!(
            observed([1, 9, 9, 0, 1, 3], true).0,
            Bottleneck::Rendering,
            "no more is sent than is waited"
        );
        assert_eq!(observed([2, 0, 8, 0, 1, 3], true), (Bottleneck::Rendering, 0.6));
        assert_eq!(observed([2, 0, 8, 3, 1, 0], true), (Bottleneck::Disk, 0.6));
        assert_eq!(observed([2, 0, 8, 0, 3, 1], true), (Bottleneck::Decoding, 0.6));
        assert_eq!(observed([2, 0, 8, 0, 3, 1], false), (Bottleneck::Cache, 0.6));
        assert_eq!(observed([0; 6], true).1, 0.0);
    }

    /// Seconds of working and waiting, as a reader says.
    fn reported(seconds: [u64; 6], (working, waiting): (u64, u64)) -> (Bottleneck, f64) {
        let usage = ClientReport {
            steps: 1,
            working: Duration::from_secs(working),
            waiting: Duration::from_secs(waiting),
        };
        TimeBreakdown::reported(&sums(seconds), false, &usage).bottleneck()
    }

    #[test]
    fn a_reader_knows_better_what_it_did() {
        // The socket was full for most of the time, since the reader read nothing while it worked.
        assert_eq!(observed([9, 9, 1, 0, 0, 1], false), (Bottleneck::Network, 0.9));
        assert_eq!(reported([9, 9, 1, 0, 0, 1], (9, 1)), (Bottleneck::Trainer, 0.9));
        // All was made in time, and the reader waited.
        assert_eq!(reported([9, 2, 1, 0, 0, 1], (1, 9)), (Bottleneck::Network, 0.8));
        // The server was busy all the time, but the reader hardly waited.
        assert_eq!(reported([0, 0, 10, 0, 0, 10], (9, 1)), (Bottleneck::Trainer, 0.9));
        assert_eq!(
            reported([0, 0, 10, 0, 0, 10], (1, 9)),
            (Bottleneck::Rendering, 0.9)
        );
        assert_eq!(reported([0, 0, 10, 1, 3, 1], (0, 10)), (Bottleneck::Cache, 0.6));
    }
}
