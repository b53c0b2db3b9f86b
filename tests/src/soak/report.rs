//! What a soak came to.

use std::{collections::BTreeMap, fmt};

use serde_json::json;

use equibatch_harness::hostile::Kind;

/// What one client got.
#[derive(Debug, Default)]
pub(super) struct Trained {
    pub(super) streams: u64,
    pub(super) steps: u64,
    /// Steps that were left out.
    pub(super) lost: u64,
    /// Steps that had come before.
    pub(super) repeated: u64,
    /// Steps with other bytes than an undisturbed server's.
    pub(super) wrong: u64,
    /// Streams that were broken off and gone on with from the token.
    pub(super) resumed: u64,
    /// Why streams ended before their end.
    pub(super) failures: Vec<String>,
    /// While there were no hostile clients.
    pub(super) alone: Phase,
    /// While there were.
    pub(super) beside: Phase,
}

/// What came in a part of the time.
#[derive(Debug, Default)]
pub(super) struct Phase {
    pub(super) images: u64,
    /// While a stream was open or being opened, and its batches were compared; over all clients.
    pub(super) seconds: f64,
    /// How long each batch was waited for, in milliseconds.
    pub(super) waits_ms: Vec<f64>,
}

impl Phase {
    fn add(&mut self, other: Self) {
        self.images += other.images;
        self.seconds += other.seconds;
        self.waits_ms.extend(other.waits_ms);
        self.waits_ms.sort_by(f64::total_cmp);
    }

    /// Images that a client got in a second of its streams.
    fn rate(&self) -> f64 {
        self.images as f64 / self.seconds
    }

    /// The wait that this share of the batches did not exceed, in milliseconds.
    fn wait(&self, share: f64) -> f64 {
        let index = (self.waits_ms.len() as f64 * share) as usize;
        let index = index.min(self.waits_ms.len().saturating_sub(1));
        self.waits_ms.get(index).copied().unwrap_or(0.0)
    }
}

/// What was done to the servers, and what they used.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) kills: u64,
    pub(super) stops: u64,
    pub(super) stand_stills: u64,
    /// Largest resident size that a server ever had, in bytes.
    pub(super) peak_rss: u64,
}

/// What came of a soak.
#[derive(Debug)]
pub struct Report {
    corrupt_files: usize,
    trained: Trained,
    trouble: Trouble,
    /// Rounds of the hostile clients of each kind.
    hostile: BTreeMap<Kind, u64>,
}

impl Report {
    pub(super) fn new(corrupt_files: usize) -> Self {
        Self {
            corrupt_files,
            trained: Trained::default(),
            trouble: Trouble::default(),
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

    pub(super) fn trouble(&mut self, trouble: &Trouble) {
        self.trouble = Trouble { ..*trouble };
    }

    pub(super) fn attacked(&mut self, kind: Kind, rounds: u64) {
        *self.hostile.entry(kind).or_default() += rounds;
    }

    /// The rate of honest clients beside hostile ones, of their fair share of the rate that they had alone.
    ///
    /// A server shares its workers' time by client, and a client is an address. The honest clients have one address, and each kind of hostile
    /// clients that holds streams has one: of n such kinds, the fair share is 1 of n + 1. Hostile clients without streams have no share: what
    /// they take is missing here. Killed and stopped servers are in both rates, as is the processor time that hostile clients themselves
    /// take on this machine in the second.
    fn honest_share(&self) -> f64 {
        let kinds = self.hostile.keys().filter(|kind| kind.holds_streams()).count();
        let fair = self.trained.alone.rate() / (kinds + 1) as f64;
        self.trained.beside.rate() / fair
    }

    /// Whether steps came, and every one of them once, in order, with the right bytes.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let all = &self.trained;
        all.steps > 0 && all.lost + all.repeated + all.wrong == 0 && all.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, trouble) = (&self.trained, &self.trouble);
        let megabytes = trouble.peak_rss as f64 / 1e6;
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
            ("servers killed", trouble.kills.to_string()),
            ("servers told to stop", trouble.stops.to_string()),
            ("servers made to stand still", trouble.stand_stills.to_string()),
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
            "kills": trouble.kills,
            "stops": trouble.stops,
            "stand_stills": trouble.stand_stills,
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
