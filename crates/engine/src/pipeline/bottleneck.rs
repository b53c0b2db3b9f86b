//! Bottleneck attribution: what limits a stream.

use std::{fmt, time::Duration};

use super::metrics::{ClientReport, EpochStats};

/// How the time of an epoch is divided.
///
/// A server alone sees only whether its reader is late, and infers why: a connection that accepts no bytes means the network. A client's report is
/// more accurate: a trainer that computes has its batches; while it waits for one, the server renders it, or it is in transit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimeBreakdown {
    /// The client computed on earlier batches.
    pub trainer: Duration,
    /// Complete batches were in transit.
    pub network: Duration,
    /// The workers augmented and wrote tensors.
    pub rendering: Duration,
    /// The workers read files.
    pub disk: Duration,
    /// The workers decoded images for the first time.
    pub decoding: Duration,
    /// The workers decoded images again that the cache had no room for.
    pub cache: Duration,
}

/// What can limit a stream. More of any other resource would not help.
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
    /// The breakdown as the server sees it. In the first epoch of a stream, decoding is not blamed on the cache.
    pub(super) fn observed(sums: &EpochStats, is_first_epoch: bool) -> Self {
        let sending = sums.sending.min(sums.waiting_for_reader);
        Self {
            trainer: sums.waiting_for_reader - sending,
            network: sending,
            ..Self::rendering_breakdown(sums, is_first_epoch, sums.waiting_for_batch)
        }
    }

    /// The breakdown from `sums` and the client's report.
    pub(super) fn reported(sums: &EpochStats, is_first_epoch: bool, usage: &ClientReport) -> Self {
        // Batches that are rendered while the client computes delay nothing.
        let rendering = sums.waiting_for_batch.min(usage.waiting);
        Self {
            trainer: usage.working,
            network: usage.waiting - rendering,
            ..Self::rendering_breakdown(sums, is_first_epoch, rendering)
        }
    }

    /// Divides the time waited for batches among reading, decoding and rendering, in proportion to the workers' time on each.
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

    /// The longest part, and its fraction of the time, from 0 to 1.
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
        let seconds = seconds.map(Duration::from_secs);
        EpochStats {
            waiting_for_reader: seconds[0],
            sending: seconds[1],
            waiting_for_batch: seconds[2],
            reading: seconds[3],
            decoding: seconds[4],
            rendering: seconds[5],
            ..EpochStats::default()
        }
    }

    fn observed(seconds: [u64; 6], is_first_epoch: bool) -> (Bottleneck, f64) {
        TimeBreakdown::observed(&sums(seconds), is_first_epoch).bottleneck()
    }

    #[test]
    fn the_longest_part_is_the_bottleneck() {
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

    /// With a report of these seconds of working and waiting.
    fn reported(seconds: [u64; 6], (working, waiting): (u64, u64)) -> (Bottleneck, f64) {
        let usage = ClientReport {
            steps: 1,
            working: Duration::from_secs(working),
            waiting: Duration::from_secs(waiting),
        };
        TimeBreakdown::reported(&sums(seconds), false, &usage).bottleneck()
    }

    #[test]
    fn a_report_overrides_what_the_server_infers() {
        // The socket was full most of the time, since the client did not read while it computed.
        assert_eq!(observed([9, 9, 1, 0, 0, 1], false), (Bottleneck::Network, 0.9));
        assert_eq!(reported([9, 9, 1, 0, 0, 1], (9, 1)), (Bottleneck::Trainer, 0.9));
        // All batches were ready in time, and the client waited.
        assert_eq!(reported([9, 2, 1, 0, 0, 1], (1, 9)), (Bottleneck::Network, 0.8));
        // The server was busy all the time, but the client hardly waited.
        assert_eq!(reported([0, 0, 10, 0, 0, 10], (9, 1)), (Bottleneck::Trainer, 0.9));
        assert_eq!(
            reported([0, 0, 10, 0, 0, 10], (1, 9)),
            (Bottleneck::Rendering, 0.9)
        );
        assert_eq!(reported([0, 0, 10, 1, 3, 1], (0, 10)), (Bottleneck::Cache, 0.6));
    }
}
