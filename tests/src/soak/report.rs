//! What a soak came to.

use std::fmt;

use serde_json::json;

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
    /// How long each batch was waited for, in milliseconds.
    pub(super) waits_ms: Vec<f64>,
}

/// What was done to the servers, and what they used.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) kills: u64,
    pub(super) stops: u64,
    pub(super) stand_stills: u64,
    /// Largest resident size of a server, in bytes.
    pub(super) peak_rss: u64,
}

/// What came of a soak.
#[derive(Debug)]
pub struct Report {
    corrupt_files: usize,
    trained: Trained,
    trouble: Trouble,
    nuisances: u64,
}

impl Report {
    pub(super) fn new(corrupt_files: usize) -> Self {
        Self {
            corrupt_files,
            trained: Trained::default(),
            trouble: Trouble::default(),
            nuisances: 0,
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
        all.waits_ms.extend(other.waits_ms);
        all.waits_ms.sort_by(f64::total_cmp);
    }

    pub(super) fn trouble(&mut self, trouble: &Trouble) {
        self.trouble = Trouble { ..*trouble };
    }

    pub(super) fn annoyed(&mut self, requests: u64) {
        self.nuisances += requests;
    }

    /// Whether steps came, and every one of them once, in order, with the right bytes.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let all = &self.trained;
        all.steps > 0 && all.lost + all.repeated + all.wrong == 0 && all.failures.is_empty()
    }

    /// The wait that this share of the batches did not exceed, in milliseconds.
    fn wait(&self, share: f64) -> f64 {
        let waits = &self.trained.waits_ms;
        let index = ((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1));
        waits.get(index).copied().unwrap_or(0.0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, trouble) = (&self.trained, &self.trouble);
        let megabytes = trouble.peak_rss as f64 / 1e6;
        let rows: [(&str, String); 14] = [
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
                "requests of slow and senseless clients",
                self.nuisances.to_string(),
            ),
            ("corrupt files", self.corrupt_files.to_string()),
            ("largest server, MB", format!("{megabytes:.0}")),
            (
                "wait for a batch, ms: p50, p99",
                format!("{:.1}, {:.1}", self.wait(0.5), self.wait(0.99)),
            ),
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
            "batch_wait_p50_ms": self.wait(0.5),
            "batch_wait_p99_ms": self.wait(0.99),
        });
        write!(f, "{line}")
    }
}
