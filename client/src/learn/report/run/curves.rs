//! Charts over steps and epochs; each is `None` if the run has no data for it.

use crate::{
    learn::report::run::RunRecord,
    learn::{
        finder::Suggestions,
        metrics::{Metric, Metrics},
        report::{
            self, canvas,
            chart::{Axis, Chart, LineStyle, Series},
            html::Figure,
        },
        text::counted,
    },
};

type Drawn = Result<Option<Figure>, canvas::Error>;

/// Size of a chart of half the page width.
const HALF: (f64, f64) = (460.0, 250.0);

fn is_empty(series: &[Series]) -> bool {
    series.iter().all(|series| series.points.is_empty())
}

/// First and last value of a curve as text.
fn from_to(points: &[(f64, f64)], write: impl Fn(f64) -> String) -> String {
    match (points.first(), points.last()) {
        (Some(first), Some(last)) if points.len() > 1 => {
            format!("from {} to {}", write(first.1), write(last.1))
        }
        (Some(only), _) => format!("at {}", write(only.1)),
        _ => "without values".to_owned(),
    }
}

fn four(value: f64) -> String {
    format!("{value:.4}")
}

fn percent(value: f64) -> String {
    format!("{:.1} %", value * 100.0)
}

/// Training loss by step, raw and smoothed, and validation loss by epoch.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn loss(record: &RunRecord) -> Drawn {
    // The loss of a skipped step may be NaN.
    let steps = record.steps.iter().filter(|line| line.loss.is_finite());
    let raw: Vec<(f64, f64)> = steps.clone().map(|line| (line.step as f64, line.loss)).collect();
    let smoothed: Vec<(f64, f64)> = if raw.is_empty() {
        record
            .epochs
            .iter()
            .map(|epoch| (epoch.steps as f64, epoch.train_loss))
            .collect()
    } else {
        steps.map(|line| (line.step as f64, line.smoothed_loss)).collect()
    };
    let evaluated = record
        .epochs
        .iter()
        .filter_map(|epoch| Some((epoch.steps as f64, epoch.valid.as_ref()?.loss)));
    let valid: Vec<(f64, f64)> = evaluated.collect();
    let words = format!(
        "Loss over {}: the smoothed training loss goes {}, the validation loss {}.",
        counted(record.steps_done().0, "step"),
        from_to(&smoothed, four),
        from_to(&valid, four)
    );
    let series = vec![
        Series::line("", 0, raw).with_style(LineStyle::Background),
        Series::line("training, smoothed", 0, smoothed),
        Series::line("validation", 1, valid).with_style(LineStyle::LineAndDots),
    ];
    if is_empty(&series) {
        return Ok(None);
    }
    let chart = Chart::new(
        Axis::new("step").whole(),
        Axis::new("cross entropy, nats").from_zero(),
        series,
    );
    let caption = "Loss. Pale: each batch. The training loss is computed on augmented images with dropout, the validation loss on unaugmented \
    images.";
    Figure::chart("loss", caption, &words, &chart).map(Some)
}

/// Error rate, balanced accuracy, macro F1, and the recall of the rarest class, by epoch.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn metrics(record: &RunRecord) -> Drawn {
    let rarest = record.rarest();
    let metrics = [Metric::ErrorRate, Metric::BalancedAccuracy, Metric::MacroF1];
    let evaluated: Vec<(f64, &Metrics)> = record
        .epochs
        .iter()
        .filter_map(|epoch| Some((epoch.epoch as f64, epoch.valid.as_ref()?)))
        .collect();
    let line = |name: &str, colour: usize, of: &dyn Fn(&Metrics) -> Option<f64>| {
        let points = evaluated
            .iter()
            .filter_map(|(epoch, metrics)| Some((*epoch, of(metrics)?)));
        Series::line(name, colour, points.collect()).with_style(LineStyle::LineAndDots)
    };
    let defaults = metrics.iter().enumerate();
    let defaults =
        defaults.map(|(colour, metric)| line(&metric.title(), colour, &|metrics| metric.of(metrics)));
    let of_rarest = rarest.iter().map(|rarest| {
        let name = format!("recall of {}", rarest.names);
        line(&name, metrics.len(), &|metrics| rarest.recall(metrics).value())
    });
    let series: Vec<Series> = defaults.chain(of_rarest).collect();
    if is_empty(&series) {
        return Ok(None);
    }
    let each: Vec<String> = series
        .iter()
        .map(|series| format!("{} {}", series.name, from_to(&series.points, percent)))
        .collect();
    let words = format!(
        "On the validation images, over {}: {}.",
        counted(evaluated.len(), "epoch"),
        each.join(", ")
    );
    let chart = Chart::new(
        Axis::new("epoch").whole(),
        Axis::new("share").percent().from_zero(),
        series,
    );
    Figure::chart(
        "metrics",
        "On the validation images, after each epoch.",
        &words,
        &chart,
    )
    .map(Some)
}

/// Learning rates by step; one curve per layer group if their rates differ.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn learning_rate(record: &RunRecord) -> Drawn {
    const GROUPS: [&str; 3] = ["early layers", "late layers", "head"];
    let Some(last) = record.steps.last() else {
        return Ok(None);
    };
    let curve = |group: usize| -> Vec<(f64, f64)> {
        let steps = record.steps.iter();
        steps
            .filter_map(|line| Some((line.step as f64, *line.learning_rates.get(group)?)))
            .collect()
    };
    let groups = last.learning_rates.len();
    let is_one = record
        .steps
        .iter()
        .all(|line| line.learning_rates.windows(2).all(|pair| pair[0] == pair[1]));
    let series: Vec<Series> = if is_one {
        vec![Series::line("", 0, curve(0))]
    } else {
        let name = |group: usize| GROUPS.get(group).copied().unwrap_or("more layers");
        (0..groups)
            .map(|group| Series::line(name(group), group, curve(group)))
            .collect()
    };
    if is_empty(&series) {
        return Ok(None);
    }
    let largest = |series: &Series| series.points.iter().map(|point| point.1).fold(0.0, f64::max);
    let each: Vec<String> = series
        .iter()
        .map(|series| {
            format!(
                "{} at most {:.1e}",
                if series.name.is_empty() {
                    "all layers"
                } else {
                    &series.name
                },
                largest(series)
            )
        })
        .collect();
    let words = format!(
        "Learning rate over {}: {}.",
        counted(record.steps.len(), "step"),
        each.join(", ")
    );
    let chart = Chart {
        size: HALF,
        ..Chart::new(
            Axis::new("step").whole(),
            Axis::new("learning rate").from_zero(),
            series,
        )
    };
    Figure::chart("learning-rate", "Learning rate.", &words, &chart).map(Some)
}

/// Momentum by step.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn momentum(record: &RunRecord) -> Drawn {
    let points: Vec<(f64, f64)> = record
        .steps
        .iter()
        .map(|line| (line.step as f64, line.momentum))
        .collect();
    if points.is_empty() {
        return Ok(None);
    }
    let least = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let words = format!(
        "Momentum goes {}, and is least at {least:.3}.",
        from_to(&points, |value| format!("{value:.3}"))
    );
    let chart = Chart {
        size: HALF,
        ..Chart::new(
            Axis::new("step").whole(),
            Axis::new("momentum"),
            vec![Series::line("", 0, points)],
        )
    };
    Figure::chart("momentum", "Momentum (Adam's beta1).", &words, &chart).map(Some)
}

/// Images per second by epoch.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn throughput(record: &RunRecord) -> Drawn {
    let points: Vec<(f64, f64)> = record
        .epochs
        .iter()
        .map(|epoch| (epoch.epoch as f64, epoch.images_per_second))
        .collect();
    let words = format!(
        "Training speed goes {} images per second.",
        from_to(&points, |value| format!("{value:.1}"))
    );
    by_epoch(
        ("throughput", "Training speed."),
        (points, Axis::new("images per second").from_zero()),
        &words,
    )
}

/// Share of the time spent waiting for batches, by epoch.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn waiting(record: &RunRecord) -> Drawn {
    let points: Vec<(f64, f64)> = record
        .epochs
        .iter()
        .map(|epoch| (epoch.epoch as f64, epoch.wait_share))
        .collect();
    let words = format!(
        "The share of time spent waiting for batches goes {}.",
        from_to(&points, percent)
    );
    let axis = Axis::new("share of the time").percent().from_zero();
    by_epoch(
        ("waiting", "Time spent waiting for batches."),
        (points, axis),
        &words,
    )
}

fn by_epoch((id, caption): (&str, &str), (points, y): (Vec<(f64, f64)>, Axis), words: &str) -> Drawn {
    if points.is_empty() {
        return Ok(None);
    }
    let series = vec![Series::line("", 0, points).with_style(LineStyle::LineAndDots)];
    let chart = Chart {
        size: HALF,
        ..Chart::new(Axis::new("epoch").whole(), y, series)
    };
    Figure::chart(id, caption, words, &chart).map(Some)
}
/// The learning-rate sweep before the training.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn sweep(record: &RunRecord) -> Drawn {
    if record.sweep.is_empty() {
        return Ok(None);
    }
    let caption = "Smoothed loss of the learning-rate sweep. All weights were restored afterwards.";
    let words = match Suggestions::of(&record.sweep) {
        Ok(Suggestions {
            valley,
            steepest,
            lowest_tenth,
        }) => format!(
            "Loss over the learning rate: the middle of the longest valley is at {valley:.2e}, the steepest descent at {steepest:.2e}, a tenth of the \
            rate at the minimum at {lowest_tenth:.2e}."
        ),
        Err(unclear) => format!("Loss over the learning rate: {unclear}."),
    };
    Figure::chart("find-lr", caption, &words, &report::sweep::chart(&record.sweep)).map(Some)
}
