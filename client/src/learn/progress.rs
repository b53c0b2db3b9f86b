//! Progress on the terminal: a bar if standard error is a terminal, and a line per epoch.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use equibatch_cli::terminal;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::{
    finder::SweepPoint,
    fit::{EpochRecord, Observer, StepEvent},
    metrics::Metric,
    report::table::percent,
};

/// Where lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error, if standard output carries results.
    Stderr,
    /// Nowhere.
    Quiet,
}

impl Output {
    /// Prints a line. Write errors, such as a closed pipe, are ignored.
    pub fn print_line(self, text: &str) {
        let _ = match self {
            Self::Stdout => writeln!(io::stdout().lock(), "{text}"),
            Self::Stderr => writeln!(io::stderr().lock(), "{text}"),
            Self::Quiet => Ok(()),
        };
    }
}

/// Progress of several runs: a bar on standard error, or a line per run if that is not a terminal.
#[derive(Clone, Debug)]
pub struct RunsProgress(ProgressBar);

impl RunsProgress {
    /// For `steps` steps of all runs.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self(terminal::bar(steps, ""))
    }

    /// The run called `name` begins.
    pub fn begin(&self, name: &str) {
        self.0.set_prefix(name.to_owned());
    }

    /// A run has ended, as `line` says, or had ended before; `skipped` steps were not taken now.
    pub fn end(&self, line: &str, skipped: u64) {
        self.0.inc(skipped);
        if self.0.is_hidden() {
            Output::Stderr.print_line(line);
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }

    fn step(&self, step: &StepEvent) {
        self.0.inc(1);
        self.0.set_message(format!("loss {:.4}", step.smoothed_loss));
    }
}

/// Shows steps as a bar on standard error, and epochs as lines on standard output.
#[derive(Debug)]
pub struct ProgressReporter {
    bar: ProgressBar,
    header_shown: bool,
    columns: Vec<Metric>,
    output: Output,
    /// Shown instead of the bar.
    runs: Option<RunsProgress>,
    /// Moving averages over recent steps.
    images_per_second: Average,
    wait_share: Average,
    /// Totals over all steps: time waiting for batches, and total time including it.
    waited: Duration,
    took: Duration,
}

impl ProgressReporter {
    /// For a run of `total_steps`, `done` of which are done; the line of an epoch shows the validation metrics `columns`.
    #[must_use]
    pub fn new(total_steps: u64, done: u64, columns: Vec<Metric>) -> Self {
        let bar = bar("", total_steps);
        bar.set_position(done);
        bar.reset_eta();
        Self {
            bar,
            header_shown: false,
            columns,
            output: Output::Stdout,
            runs: None,
            images_per_second: Average::default(),
            wait_share: Average::default(),
            waited: Duration::ZERO,
            took: Duration::ZERO,
        }
    }

    /// Share of the time of all steps so far spent waiting for batches, 0 to 1. `None` before the first step.
    #[must_use]
    pub fn wait_share(&self) -> Option<f64> {
        (!self.took.is_zero()).then(|| self.waited.as_secs_f64() / self.took.as_secs_f64())
    }

    /// Prints the lines of epochs to `output`.
    #[must_use]
    pub fn with_output(self, output: Output) -> Self {
        Self { output, ..self }
    }

    /// Shows steps in the progress of all runs, if given, instead of a bar.
    #[must_use]
    pub fn within(self, runs: Option<RunsProgress>) -> Self {
        if runs.is_some() {
            self.bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { runs, ..self }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| self.output.print_line(text));
    }
}

impl Observer for ProgressReporter {
    fn stream_opened(&mut self, ways: &str) {
        self.line(&format!("batches come by {ways}"));
    }

    fn features(&mut self, done: usize, total: usize) {
        self.bar.set_prefix("features");
        self.bar.set_message(format!("of image {done} of {total}"));
        if done == total {
            self.line(&format!("features of {total} images are kept"));
        }
    }

    fn step(&mut self, step: &StepEvent) {
        if let Some(runs) = &self.runs {
            runs.step(step);
        }
        let seconds = step.took.as_secs_f64();
        self.images_per_second.add(step.images as f64, seconds);
        self.wait_share.add(step.waited.as_secs_f64(), seconds);
        self.waited += step.waited;
        self.took += step.took;
        self.bar.set_prefix(format!("epoch {}", step.epoch + 1));
        self.bar.set_position(step.steps);
        self.bar.set_message(format!(
            "loss {:.4}  lr {:.1e}  {:.1} images/s  waiting {:.0} %",
            step.smoothed_loss,
            step.report.learning_rate,
            self.images_per_second.value(),
            self.wait_share.value() * 100.0
        ));
        if step.steps == step.total_steps {
            self.bar.finish_and_clear();
        }
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let titles: Vec<String> = self.columns.iter().map(Metric::title).collect();
        if !self.header_shown {
            self.header_shown = true;
            let titles = titles
                .iter()
                .map(|title| format!("{title:>10}  "))
                .collect::<String>();
            self.line(&format!(
                "epoch  train loss  valid loss  {titles}images/s  waiting  replaced  {:<20}  time",
                "bound by"
            ));
        }
        let valid = record.valid.as_ref();
        let metrics = self.columns.iter().zip(&titles).map(|(metric, title)| {
            let width = title.chars().count().max(10);
            format!("{:>width$}  ", metric.show(valid))
        });
        self.line(&format!(
            "{:>5}  {:>10.4}  {:>10}  {}{:>8.1}  {:>7}  {:>8}  {:<20}  {:>5}",
            record.epoch,
            record.train_loss,
            Metric::Loss.show(valid),
            metrics.collect::<String>(),
            record.images_per_second,
            percent(Some(record.wait_share)),
            record.replaced,
            bound_by(record),
            clock(Duration::from_secs_f64(record.seconds)),
        ));
    }
}

/// A progress bar with the name padded to the longest one.
fn bar(name: &'static str, steps: u64) -> ProgressBar {
    terminal::bar(steps, format!("{name:<12}"))
}

/// Progress bar of a learning-rate sweep, on standard error.
#[derive(Debug)]
pub struct SweepProgress(ProgressBar);

impl SweepProgress {
    /// For a sweep of `steps` steps.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self(bar("learning rate", steps))
    }

    /// Advances by a step.
    pub fn step(&mut self, point: &SweepPoint) {
        self.0.inc(1);
        self.0.set_message(format!(
            "lr {:.1e}  loss {:.4}",
            point.learning_rate, point.smoothed_loss
        ));
    }
}

impl Drop for SweepProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The bottleneck of the epoch and its share of the time.
fn bound_by(record: &EpochRecord) -> String {
    match (&record.bottleneck, record.bottleneck_share) {
        (Some(bottleneck), share) => format!("{bottleneck} {}", percent(share)),
        (None, _) => "-".to_owned(),
    }
}

/// `m:ss`.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Ratio of two exponentially decaying sums; the weight of a step halves after about seven more.
#[derive(Debug, Default)]
struct Average {
    above: f64,
    below: f64,
}

impl Average {
    const KEPT: f64 = 0.9;

    fn add(&mut self, above: f64, below: f64) {
        self.above = self.above * Self::KEPT + above;
        self.below = self.below * Self::KEPT + below;
    }

    fn value(&self) -> f64 {
        if self.below > 0.0 {
            self.above / self.below
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_of_equal_ratios_is_that_ratio() {
        let mut average = Average::default();
        assert_eq!(average.value(), 0.0);
        for seconds in [0.5, 1.0, 2.0] {
            average.add(16.0 * seconds, seconds);
        }
        assert!((average.value() - 16.0).abs() < 1e-12);
    }

    #[test]
    fn times_are_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_millis(59_600)), "1:00");
        assert_eq!(clock(Duration::from_secs(7)), "0:07");
    }
}
