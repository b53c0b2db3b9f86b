//! Bottleneck attribution, from the timings of client and servers.

use std::{fmt, time::Duration};

use equibatch_proto::v1;

use super::step_timings::StepTimings;

/// The bottleneck of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BottleneckReport {
    /// What it is.
    pub bottleneck: Bottleneck,
    /// Its share of the time of the epoch, in `0..=1`.
    pub share: f64,
}

/// What can limit the speed of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bottleneck {
    /// This client: batches were ready.
    Trainer,
    /// The transfer from the servers.
    Network,
    /// The servers' augmentation and writing of tensors.
    ServerCpu,
    /// The servers' reading of files.
    Disk,
    /// The servers' first decoding of images.
    Decoding,
    /// Repeated decoding, because the servers' caches are too small.
    Cache,
    /// Batches were late, and the servers gave no breakdown.
    Batches,
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trainer => "trainer",
            Self::Network => "network",
            Self::ServerCpu => "server CPU",
            Self::Disk => "disk",
            Self::Decoding => "decoding",
            Self::Cache => "cache too small",
            Self::Batches => "batches",
        })
    }
}

impl fmt::Display for BottleneckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:.0} %", self.bottleneck, self.share * 100.0)
    }
}

/// Seconds of an epoch by cause, in the order of [`BOTTLENECKS`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimeBreakdown([f64; 7]);

/// The causes in the order of [`TimeBreakdown`].
const BOTTLENECKS: [Bottleneck; 7] = [
    Bottleneck::Trainer,
    Bottleneck::Network,
    Bottleneck::ServerCpu,
    Bottleneck::Disk,
    Bottleneck::Decoding,
    Bottleneck::Cache,
    Bottleneck::Batches,
];

impl TimeBreakdown {
    /// The breakdown of a server.
    pub(super) fn from_wire(answer: &v1::ReportEpochResponse) -> Self {
        Self([
            answer.trainer_seconds,
            answer.network_seconds,
            answer.processor_seconds,
            answer.disk_seconds,
            answer.decoding_seconds,
            answer.cache_seconds,
            0.0,
        ])
    }

    /// The breakdown if the server gives none: the client's own timings.
    pub(super) fn alone(step_timings: &StepTimings) -> Self {
        let seconds = |time: Duration| time.as_secs_f64();
        let mut breakdown = Self::default();
        (breakdown.0[0], breakdown.0[6]) = (seconds(step_timings.working), seconds(step_timings.waiting));
        breakdown
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, seconds) in self.0.iter_mut().zip(other.0) {
            *sum += seconds;
        }
    }

    /// The cause with the most time; `None` if no time was recorded.
    pub(super) fn bottleneck(&self) -> Option<BottleneckReport> {
        let all: f64 = self.0.iter().sum();
        let times = BOTTLENECKS.into_iter().zip(self.0);
        let (bottleneck, time) = times.max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        (all > 0.0).then(|| BottleneckReport {
            bottleneck,
            share: time / all,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_total_time_is_the_bottleneck() {
        let answer = |trainer_seconds, network_seconds, processor_seconds| v1::ReportEpochResponse {
            trainer_seconds,
            network_seconds,
            processor_seconds,
            ..v1::ReportEpochResponse::default()
        };
        let mut breakdown = TimeBreakdown::from_wire(&answer(2.0, 3.0, 0.0));
        assert_eq!(
            breakdown.bottleneck().expect("a verdict").bottleneck,
            Bottleneck::Network
        );
        breakdown.add(&TimeBreakdown::from_wire(&answer(2.0, 0.0, 1.0)));
        let bottleneck = breakdown.bottleneck().expect("a verdict");
        assert_eq!(bottleneck.to_string(), "trainer 50 %");
        breakdown.add(&TimeBreakdown::alone(&StepTimings {
            steps: 1,
            working: Duration::ZERO,
            waiting: Duration::from_secs(8),
        }));
        assert_eq!(
            breakdown.bottleneck().expect("a verdict").to_string(),
            "batches 50 %"
        );
        assert_eq!(TimeBreakdown::default().bottleneck(), None);
    }
}
