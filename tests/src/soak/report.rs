//! Results of a soak test.

use std::{collections::BTreeMap, fmt};

use serde_json::json;

use equibatch_harness::hostile::Kind;

/// Counts of one client.
#[derive(Debug, Default)]
pub(super) struct Trained {
    pub(super) streams: u64,
    pub(super) steps: u64,
    /// Missing steps.
    pub(super) lost: u64,
    /// Repeated steps.
    pub(super) repeated: u64,
    /// Steps whose bytes differ from an undisturbed server's.
    pub(super) wrong: u64,
    /// Streams that were closed and resumed from the token.
    pub(super) resumed: u64,
    /// Errors that ended streams.
    pub(super) failures: Vec<String>,
    /// Without hostile clients.
    pub(super) alone: Phase,
    /// With hostile clients.
    pub(super) beside: Phase,
}

/// Counts of one period.
#[derive(Debug, Default)]
pub(super) struct Phase {
    pub(super) images: u64,
    /// Time with a stream open or being opened, over all clients.
    pub(super) seconds: f64,
    /// The wait for each batch, in milliseconds.
    pub(super) waits_ms: Vec<f64>,
}

impl Phase {
    fn add(&mut self, other: Self) {
        self.images += other.images;
        self.seconds += other.seconds;
        self.waits_ms.extend(other.waits_ms);
        self.waits_ms.sort_by(f64::total_cmp);
    }

    /// Images per second of stream time.
    fn rate(&self) -> f64 {
        self.images as f64 / self.seconds
    }

    /// The quantile `share` of the waits, in milliseconds.
    fn wait(&self, share: f64) -> f64 {
        let index = (self.waits_ms.len() as f64 * share) as usize;
        let index = index.min(self.waits_ms.len().saturating_sub(1));
        self.waits_ms.get(index).copied().unwrap_or(0.0)
    }
}

/// Failures of the servers, and their memory.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pub(super) kills: u64,
    pub(super) stops: u64,
    pub(super) stand_stills: u64,
    /// Peak resident memory of any server, in bytes.
    pub(super) peak_rss: u64,
}

/// The result of a soak test.
#[derive(Debug)]
pub struct Report {
    corrupt_files: usize,
    trained: Trained,
    failures: Failures,
    /// Rounds of the hostile clients of each kind.
    hostile: BTreeMap<Kind, u64>,
}

impl Report {
    pub(super) fn new(corrupt_files: usize) -> Self {
        Self {
            corrupt_files,
            trained: Trained::default(),
            failures: Failures::default(),
            hostile: BTreeMap::new(),
        }
    }

    pub(super) fn trained(&mut self, other: Trained) {
        let all = &mut self.trained;
        all.streams += other.streams;
        all.steps += other.steps;
        all.lost += other.lost;
        all.repeated += other.repeated;
        all.wrong += other.wrong;
        all.resumed += other.resumed;
        all.failures.extend(other.failures);
        all.alone.add(other.alone);
        all.beside.add(other.beside);
    }

    pub(super) fn failures(&mut self, failures: &Failures) {
        self.failures = Failures { ..*failures };
    }

    pub(super) fn attacked(&mut self, kind: Kind, rounds: u64) {
        *self.hostile.entry(kind).or_default() += rounds;
    }

    /// The rate of honest clients beside hostile ones, relative to their fair share of their rate alone.
    ///
    /// A server shares its workers' time by client address. The honest clients have one address, and each kind of hostile
    /// clients that opens streams has one: with n such kinds, the fair share is 1 / (n + 1). Hostile clients without streams have no share; the time
    /// they take is missing here. Killed and stopped servers are in both rates, and the CPU time of the hostile clients
    /// themselves in the second.
    fn honest_share(&self) -> f64 {
        let kinds = self.hostile.keys().filter(|kind| kind.holds_streams()).count();
        let fair = self.trained.alone.rate() / (kinds + 1) as f64;
        self.trained.beside.rate() / fair
    }

    /// Whether there were steps, each once, in order, with the right bytes.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let all = &self.trained;
        all.steps > 0 && all.lost + all.repeated + all.wrong == 0 && all.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, failures) = (&self.trained, &self.failures);
        let megabytes = failures.peak_rss as f64 / 1e6;
        let hostile: BTreeMap<String, u64> = self
            .hostile
            .iter()
            .map(|(kind, rounds)| (format!("{kind:?}").to_lowercase(), *rounds))
            .collect();
        let waits = |phase: &Phase| format!("{:.1}, {:.1}", phase.wait(0.5), phase.wait(0.99));
        let rows: [(&str, String); 17] = [
            ("steps delivered", all.steps.to_string()),
            ("steps lost", all.lost.to_string()),
            ("steps repeated", all.repeated.to_string()),
            ("steps with wrong bytes", all.wrong.to_string()),
            ("streams", all.streams.to_string()),
            ("streams gone on from a token", all.resumed.to_string()),
            ("streams that failed", all.failures.len().to_string()),
            ("servers killed", failures.kills.to_string()),
            ("servers told to stop", failures.stops.to_string()),
            ("servers made to stand still", failures.stand_stills.to_string()),
            (
                "kinds of hostile clients, rounds",
                format!("{}, {}", hostile.len(), hostile.values().sum::<u64>()),
            ),
            (
                "images/s of an honest client: alone, beside",
                format!("{:.0}, {:.0}", all.alone.rate(), all.beside.rate()),
            ),
            ("of their fair share", format!("{:.2}", self.honest_share())),
            ("corrupt files", self.corrupt_files.to_string()),
            ("largest server, MB", format!("{megabytes:.0}")),
            ("wait for a batch alone, ms: p50, p99", waits(&all.alone)),
            ("wait for a batch beside, ms: p50, p99", waits(&all.beside)),
        ];
        for (name, value) in rows {
            writeln!(f, "{name:<40} {value:>12}")?;
        }
        for failure in &all.failures {
            writeln!(f, "failed: {failure}")?;
        }
        let line = json!({
            "steps": all.steps,
            "lost": all.lost,
            "repeated": all.repeated,
            "wrong": all.wrong,
            "failed_streams": all.failures.len(),
            "resumed": all.resumed,
            "kills": failures.kills,
            "stops": failures.stops,
            "stand_stills": failures.stand_stills,
            "corrupt_files": self.corrupt_files,
            "peak_rss_mb": megabytes.round(),
            "hostile": hostile,
            "honest_share": self.honest_share(),
            "batch_wait_p50_ms": all.beside.wait(0.5),
            "batch_wait_p99_ms": all.beside.wait(0.99),
            "batch_wait_alone_p50_ms": all.alone.wait(0.5),
            "batch_wait_alone_p99_ms": all.alone.wait(0.99),
        });
        write!(f, "{line}")
    }
}
