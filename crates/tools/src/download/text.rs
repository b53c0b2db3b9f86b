use std::fmt::Write as _;

use super::DownloadReport;
use equibatch_cli::terminal::table;
use equibatch_engine::byte_size::text as bytes;

/// Formats a line for each failure, then a table of the classes.
#[must_use]
pub fn text(report: &DownloadReport) -> String {
    let mut text = String::new();
    for failure in &report.failures {
        let tries = if failure.tries == 1 {
            String::new()
        } else {
            format!(" ({} tries)", failure.tries)
        };
        // Writing to a string never fails.
        let _ = writeln!(
            text,
            "{}/{:08}  {}: {}{tries}",
            failure.class, failure.number, failure.url, failure.reason
        );
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let heading = [
        "class", "lines", "fetched", "bytes", "present", "repeated", "failed",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for class in &report.classes {
        rows.push(vec![
            class.class.clone(),
            class.lines.to_string(),
            class.fetched.to_string(),
            bytes(class.bytes),
            class.present.to_string(),
            class.repeated.to_string(),
            class.failed.to_string(),
        ]);
    }
    text + &table(&rows)
}
