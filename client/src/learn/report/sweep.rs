//! Chart and table of a learning-rate sweep.

use equibatch_cli::terminal::ruled_table;

use super::chart::{Axis, Chart, LineStyle, Series};
use crate::learn::finder::{Suggestions, Sweep, SweepPoint, usable};

/// Steps between the lines of a table.
const STRIDE: usize = 5;

/// The smoothed loss over the learning rate, without the unused ends, with dots at the middle of the longest valley and at the steepest
/// descent.
#[must_use]
pub fn chart(steps: &[SweepPoint]) -> Chart {
    let points = usable(steps).iter();
    let points: Vec<(f64, f64)> = points
        .map(|point| (point.learning_rate, point.smoothed_loss))
        .collect();
    let mut series = vec![Series::line("", 0, points.clone())];
    if let Ok(Suggestions { valley, steepest, .. }) = Suggestions::of(steps) {
        for (colour, name, at) in [(1, "valley", valley), (3, "steepest descent", steepest)] {
            let dot = points.iter().copied().filter(|(rate, _)| *rate == at).collect();
            series.push(Series::line(&format!("{name}: {at:.2e}"), colour, dot).with_style(LineStyle::Dots));
        }
    }
    Chart::new(
        Axis::new("learning rate").logarithmic(),
        Axis::new("loss, smoothed"),
        series,
    )
}

/// A table of every fifth step and the last one.
#[must_use]
pub fn table(sweep: &Sweep) -> String {
    let mut rows = vec![
        ["step", "learning rate", "loss", "smoothed"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let last = sweep.points().len().saturating_sub(1);
    for (step, point) in sweep.points().iter().enumerate() {
        if step % STRIDE == 0 || step == last {
            rows.push(vec![
                step.to_string(),
                format!("{:.2e}", point.learning_rate),
                format!("{:.4}", point.loss),
                format!("{:.4}", point.smoothed_loss),
            ]);
        }
    }
    ruled_table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{
        finder::SweepRange,
        report::canvas::{png, svg},
    };

    fn sweep() -> Sweep {
        let mut sweep = Sweep::new(SweepRange::default());
        while let Some(rate) = sweep.next_rate() {
            sweep.record(0.7 - 0.4 * rate / (rate + 3e-3) + rate * rate);
        }
        sweep
    }

    #[test]
    fn the_chart_shows_the_suggestions() {
        let sweep = sweep();
        let Suggestions { valley, steepest, .. } = Suggestions::of(sweep.points()).expect("a clear curve");
        let picture = svg(&chart(sweep.points())).expect("a picture");
        let [valley, steepest] = [valley, steepest].map(|rate| format!("{rate:.2e}"));
        for word in ["learning rate", "loss, smoothed", &valley, &steepest] {
            assert!(picture.contains(word), "{word}");
        }
        assert!(
            png(&chart(sweep.points()))
                .expect("a picture")
                .starts_with(b"\x89PNG")
        );
    }

    #[test]
    fn a_sweep_too_short_for_suggestions_can_be_drawn() {
        let mut sweep = Sweep::new(SweepRange::default());
        sweep.record(1.0);
        svg(&chart(sweep.points())).expect("a picture");
        assert!(table(&sweep).ends_with("1.0000\n"), "{}", table(&sweep));
    }

    #[test]
    fn a_table_has_every_fifth_step_and_the_last() {
        let sweep = sweep();
        let last = sweep.points().len() - 1;
        let text = table(&sweep);
        let steps = text
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok());
        let expected = (0..last).step_by(5).chain([last]);
        assert_eq!(steps.collect::<Vec<usize>>(), expected.collect::<Vec<_>>());
    }
}
