//! Who holds a stream up.

use std::{fmt, time::Duration};

use super::meter::Sums;

/// What a stream spent most of its time on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) bottleneck: Bottleneck,
    /// Part of the time, from 0 to 1.
    pub(super) share: f64,
}

/// What can hold a stream up. More of anything else would not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bottleneck {
    /// The reader works on earlier batches.
    Trainer,
    /// The connection takes no more bytes.
    Network,
    /// The workers augment and write tensors.
    Rendering,
    /// The workers read files.
    Disk,
    /// The workers decode images for the first time.
    Decoding,
    /// The workers decode again what the cache had no room for.
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

impl Verdict {
    /// The verdict on `sums`; in the first epoch of a stream, images may have to be decoded.
    pub(super) fn on(sums: &Sums, is_first_epoch: bool) -> Self {
        let sending = sums.sending.min(sums.waiting_for_reader);
        let making = sums.waiting_for_batch;
        // While the reader waits, the workers do all three; it waits for each of them in proportion.
        let work = (sums.reading + sums.decoding + sums.rendering).as_secs_f64();
        let part = |time: Duration| {
            if work > 0.0 {
                making.mul_f64(time.as_secs_f64() / work)
            } else {
                Duration::ZERO
            }
        };
        let (reading, decoding) = (part(sums.reading), part(sums.decoding));
        let decoder = if is_first_epoch {
            Bottleneck::Decoding
        } else {
            Bottleneck::Cache
        };
        let times = [
            (Bottleneck::Trainer, sums.waiting_for_reader - sending),
            (Bottleneck::Network, sending),
            (Bottleneck::Rendering, making.saturating_sub(reading + decoding)),
            (Bottleneck::Disk, reading),
            (decoder, decoding),
        ];
        let all = sums.waiting_for_reader + making;
        let (bottleneck, time) = times
            .into_iter()
            .max_by_key(|(_, time)| *time)
            .expect("there are five");
        Self {
            bottleneck,
            share: if all.is_zero() {
                0.0
            } else {
                time.as_secs_f64() / all.as_secs_f64()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of: waiting for the reader, sending, waiting for a batch, reading, decoding, rendering.
    fn verdict(seconds: [u64; 6], is_first_epoch: bool) -> (Bottleneck, f64) {
        let [
            waiting_for_reader,
            sending,
            waiting_for_batch,
            reading,
            decoding,
            rendering,
        ] = seconds.map(Duration::from_secs);
        let sums = Sums {
            waiting_for_reader,
            sending,
            waiting_for_batch,
            reading,
            decoding,
            rendering,
            ..Sums::default()
        };
        let verdict = Verdict::on(&sums, is_first_epoch);
        (verdict.bottleneck, verdict.share)
    }

    #[test]
    fn the_longest_time_decides() {
        assert_eq!(verdict([9, 1, 1, 0, 1, 1], true), (Bottleneck::Trainer, 0.8));
        assert_eq!(verdict([9, 8, 1, 0, 1, 1], true), (Bottleneck::Network, 0.8));
        assert_eq!(
            verdict([1, 9, 9, 0, 1, 3], true).0,
            Bottleneck::Rendering,
            "no more is sent than is waited"
        );
        assert_eq!(verdict([2, 0, 8, 0, 1, 3], true), (Bottleneck::Rendering, 0.6));
        assert_eq!(verdict([2, 0, 8, 3, 1, 0], true), (Bottleneck::Disk, 0.6));
        assert_eq!(verdict([2, 0, 8, 0, 3, 1], true), (Bottleneck::Decoding, 0.6));
        assert_eq!(verdict([2, 0, 8, 0, 3, 1], false), (Bottleneck::Cache, 0.6));
        assert_eq!(verdict([0; 6], true).1, 0.0);
    }
}
