//! The soak test: three servers, honest and hostile clients, and failures: `soak [--seconds N] [--seed N]`.
//!
//! Prints a table, and a JSON object as its last line. Exits with 1 if a step was lost, repeated or wrong.

use std::{env, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};
use equibatch_tests::soak::{Settings, soak};

fn main() -> Result<ExitCode> {
    let mut settings = Settings {
        time: Duration::from_secs(120),
        seed: 1,
    };
    let mut arguments = env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments
            .next()
            .with_context(|| format!("{flag} needs a number"))?;
        let number: u64 = value.parse().with_context(|| format!("{flag} {value}"))?;
        match flag.as_str() {
            "--seconds" => settings.time = Duration::from_secs(number),
            "--seed" => settings.seed = number,
            _ => bail!("usage: soak [--seconds N] [--seed N]"),
        }
    }
    let report = soak(&settings)?;
    #[allow(clippy::print_stdout, reason = "the report is what the program is for")]
    {
        println!("{report}");
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
