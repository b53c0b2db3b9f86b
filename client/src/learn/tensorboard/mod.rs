//! TensorBoard event file in the run's folder, with points per step and per epoch.

pub mod events;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use events::EventWriter;

use super::{
    fit::{EpochRecord, Observer, StepEvent},
    metrics::{Metric, Metrics},
};

const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".equibatch";

/// Whether `name` is that of an event file written here.
pub(super) fn is_event_file(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Writes curves during training. If the file cannot be written, it warns once and stops writing; training continues.
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    writer: Option<EventWriter<File>>,
}

impl TensorBoard {
    /// Starts a new event file in `folder`, for steps from `first_step` on.
    ///
    /// # Errors
    ///
    /// If the file cannot be created or written.
    pub fn create(folder: &Path, first_step: u64) -> io::Result<Self> {
        let now = wall_time();
        // TensorBoard reads all files with `tfevents` in their names, in the order of their names.
        let name = format!("{PREFIX}{:010.0}.{}{SUFFIX}", now.floor(), process::id());
        let path = folder.join(name);
        let file = File::options().append(true).create(true).open(&path)?;
        let writer = Some(EventWriter::new(file, now, first_step)?);
        Ok(Self { path, writer })
    }

    fn scalars(&mut self, step: u64, values: &[(&str, f64)]) {
        let Some(writer) = &mut self.writer else { return };
        if let Err(error) = writer.scalars(wall_time(), step, values) {
            tracing::warn!(
                "TensorBoard logging stopped: cannot write {}: {error}",
                self.path.display()
            );
            self.writer = None;
        }
    }
}

impl Observer for TensorBoard {
    fn step(&mut self, step: &StepEvent) {
        let mut values = vec![
            ("train/loss", step.report.loss),
            ("train/smoothed_loss", step.smoothed_loss),
            ("train/learning_rate", step.report.learning_rate),
            ("time/step_seconds", step.took.as_secs_f64()),
            ("time/waited_seconds", step.waited.as_secs_f64()),
        ];
        values.extend(
            step.report
                .gradient_norm
                .map(|norm| ("train/gradient_norm", norm)),
        );
        values.extend(
            step.report
                .loss_scale
                .map(|scale| ("train/loss_scale", f64::from(scale))),
        );
        self.scalars(step.steps, &values);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let mut values = vec![
            ("time/images_per_second".to_owned(), record.images_per_second),
            ("time/wait_share".to_owned(), record.wait_share),
        ];
        values.extend(record.valid.as_ref().map(curves).into_iter().flatten());
        let values: Vec<(&str, f64)> = values.iter().map(|(tag, value)| (tag.as_str(), *value)).collect();
        self.scalars(record.steps, &values);
    }
}

/// The defined validation metrics.
fn curves(metrics: &Metrics) -> Vec<(String, f64)> {
    let defaults = Metric::defaults(metrics.classes.len());
    let whole = [Metric::Loss, Metric::Accuracy].into_iter().chain(defaults);
    // TensorFlow allows no colons in names.
    let name = |metric: &Metric| format!("valid/{metric}").replace(':', "_");
    let whole = whole.filter_map(|metric| Some((name(&metric), metric.of(metrics)?)));
    let classes = metrics.classes.iter();
    let recalls = classes.filter_map(|class| Some((format!("recall/{}", class.name), class.recall?)));
    whole.chain(recalls).collect()
}

/// Seconds since 1970.
fn wall_time() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
