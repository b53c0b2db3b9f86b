//! Axes: projection of values to positions, and ticks.

/// Scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Linear.
    Linear,
    /// Logarithmic. Values that are not positive are not shown.
    Logarithmic,
}

/// Format of tick labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Plain numbers.
    Plain,
    /// Shares, in percent.
    Percent,
}

/// One axis of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Label, with the unit.
    pub label: String,
    /// Scale.
    pub scale: Scale,
    /// Format of its values.
    pub unit: Unit,
    /// Whether it includes zero.
    pub has_zero: bool,
    /// Whether its values are integers, such as epochs.
    pub is_whole: bool,
}

impl Axis {
    /// A linear axis over the range of its values.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            scale: Scale::Linear,
            unit: Unit::Plain,
            has_zero: false,
            is_whole: false,
        }
    }

    /// Uses integer ticks.
    #[must_use]
    pub fn whole(self) -> Self {
        Self {
            is_whole: true,
            ..self
        }
    }

    /// Includes zero.
    #[must_use]
    pub fn from_zero(self) -> Self {
        Self {
            has_zero: true,
            ..self
        }
    }

    /// Formats values in percent.
    #[must_use]
    pub fn percent(self) -> Self {
        Self {
            unit: Unit::Percent,
            ..self
        }
    }

    /// Uses a logarithmic scale.
    #[must_use]
    pub fn logarithmic(self) -> Self {
        Self {
            scale: Scale::Logarithmic,
            ..self
        }
    }

    /// The axis scaled to the range of `values`; values that it cannot show are ignored.
    pub(super) fn over(&self, values: impl Iterator<Item = f64>) -> ScaledAxis {
        let shown = values
            .map(|value| self.project(value))
            .filter(|value| value.is_finite());
        let (mut low, mut high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let is_linear = self.scale == Scale::Linear;
        if self.has_zero && is_linear {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if high - low <= f64::EPSILON * high.abs().max(1.0) {
            let room = if is_linear { high.abs().max(1.0) * 0.5 } else { 0.5 };
            (low, high) = if self.has_zero {
                (low, high + room)
            } else {
                (low - room, high + room)
            };
        }
        ScaledAxis {
            axis: self.clone(),
            low,
            high,
        }
    }

    fn project(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.log10(),
        }
    }

    fn write(&self, value: f64, step: f64) -> String {
        match (self.unit, self.scale) {
            (Unit::Percent, _) => format!("{:.*} %", decimals(step * 100.0), value * 100.0),
            (Unit::Plain, Scale::Logarithmic) => format!("{value:.0e}"),
            (Unit::Plain, Scale::Linear) if step < 1e-3 => match value {
                0.0 => "0".to_owned(),
                _ => format!("{value:.1e}").replace(".0e", "e"),
            },
            (Unit::Plain, Scale::Linear) => grouped(&format!("{:.*}", decimals(step), value)),
        }
    }
}

/// An axis with its range in projected values.
#[derive(Clone, Debug)]
pub(super) struct ScaledAxis {
    axis: Axis,
    low: f64,
    high: f64,
}

impl ScaledAxis {
    /// Position of a value, 0 to 1 within the range; `None` if the axis cannot show it.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let place = (self.axis.project(value) - self.low) / (self.high - self.low);
        place.is_finite().then_some(place)
    }

    /// Adds a margin of 4 % at both ends, except at zero if the axis includes zero.
    pub(super) fn with_room(mut self) -> Self {
        let room = (self.high - self.low) * 0.04;
        let is_zero = |end: f64| self.axis.has_zero && end == 0.0;
        let (low, high) = (self.low, self.high);
        self.low -= if is_zero(low) { 0.0 } else { room };
        self.high += if is_zero(high) { 0.0 } else { room };
        self
    }

    /// About `count` round values with their labels.
    pub(super) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        match self.axis.scale {
            Scale::Linear => {
                let step = self.step(count);
                let first = (self.low / step - 1e-9).ceil() as i64;
                let last = (self.high / step + 1e-9).floor() as i64;
                (first..=last)
                    .map(|number| {
                        let value = number as f64 * step;
                        (value, self.axis.write(value, step))
                    })
                    .collect()
            }
            Scale::Logarithmic => {
                let (first, last) = ((self.low - 1e-9).ceil() as i32, (self.high + 1e-9).floor() as i32);
                let every = ((last - first + 1).max(1) as usize).div_ceil(count.max(1));
                (first..=last)
                    .step_by(every)
                    .map(|exponent| {
                        let value = 10_f64.powi(exponent);
                        (value, self.axis.write(value, value))
                    })
                    .collect()
            }
        }
    }

    /// Distance of about `count` ticks: 1, 2 or 5 times a power of ten.
    fn step(&self, count: usize) -> f64 {
        let rough = (self.high - self.low) / count.max(1) as f64;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude);
        round
            .into_iter()
            .find(|&step| step >= rough * 0.999)
            .unwrap_or(rough)
            .max(if self.axis.is_whole { 1.0 } else { 0.0 })
    }
}

/// Number of decimals that distinguish values a step apart.
fn decimals(step: f64) -> usize {
    let digits = -(step.abs().max(1e-12) * 1.0001).log10().floor();
    digits.clamp(0.0, 12.0) as usize
}

/// Groups digits by thousands with a thin space: `12 000`.
fn grouped(text: &str) -> String {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("\u{2212}", rest));
    let (whole, rest) = digits
        .find('.')
        .map_or((digits, ""), |point| digits.split_at(point));
    if whole.len() < 5 {
        return format!("{sign}{whole}{rest}");
    }
    let mut parts: Vec<&str> = vec![];
    let mut end = whole.len();
    while end > 0 {
        let start = end.saturating_sub(3);
        parts.insert(0, &whole[start..end]);
        end = start;
    }
    format!("{sign}{}{rest}", parts.join("\u{2009}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(axis: &Axis, values: &[f64], count: usize) -> Vec<String> {
        let scaled_axis = axis.over(values.iter().copied());
        scaled_axis
            .ticks(count)
            .into_iter()
            .map(|(_, name)| name)
            .collect()
    }

    #[test]
    fn ticks_are_round_with_short_labels() {
        let plain = Axis::new("x");
        assert_eq!(names(&plain, &[0.0, 110.0], 5), ["0", "50", "100"]);
        assert_eq!(names(&plain, &[0.12, 0.93], 4), ["0.5"]);
        assert_eq!(
            names(&plain.clone().percent(), &[0.0, 0.1], 5),
            ["0 %", "2 %", "4 %", "6 %", "8 %", "10 %"]
        );
        assert_eq!(
            names(&plain, &[0.0, 40_000.0], 4),
            [
                "0",
                "10\u{2009}000",
                "20\u{2009}000",
                "30\u{2009}000",
                "40\u{2009}000"
            ]
        );
        assert_eq!(
            names(&plain, &[0.0, 0.003], 3),
            ["0.000", "0.001", "0.002", "0.003"]
        );
        assert_eq!(names(&plain, &[0.0, 3e-5], 3), ["0", "1e-5", "2e-5", "3e-5"]);
        assert_eq!(names(&plain, &[-1.0, 1.0], 2), ["\u{2212}1", "0", "1"]);
    }

    #[test]
    fn an_integer_axis_has_integer_ticks() {
        let epochs = Axis::new("epoch").whole();
        assert_eq!(names(&epochs, &[1.0, 2.0], 7), ["1", "2"]);
        assert_eq!(names(&epochs, &[1.0], 7), ["1"]);
        assert_eq!(names(&epochs, &[1.0, 4.0], 7), ["1", "2", "3", "4"]);
        assert_eq!(
            names(&epochs, &[0.0, 100.0], 5),
            ["0", "20", "40", "60", "80", "100"]
        );
    }

    #[test]
    fn a_logarithmic_axis_has_ticks_at_powers_of_ten_and_ignores_nonpositive_values() {
        let axis = Axis::new("x").logarithmic();
        assert_eq!(
            names(&axis, &[-1.0, 0.0, 1e-4, 0.5], 9),
            ["1e-4", "1e-3", "1e-2", "1e-1"]
        );
        assert_eq!(names(&axis, &[1e-7, 10.0], 4), ["1e-7", "1e-4", "1e-1"]);
        let scaled_axis = axis.over([1e-4, 1e-2].into_iter());
        assert_eq!(scaled_axis.place(0.0), None);
        assert!((scaled_axis.place(1e-3).expect("a place") - 0.5).abs() < 1e-9);
    }

    #[test]
    fn no_values_and_a_single_value_give_a_range() {
        for values in [&[][..], &[0.0], &[-3.0], &[f64::NAN]] {
            for axis in [
                Axis::new("x"),
                Axis::new("x").from_zero(),
                Axis::new("x").logarithmic(),
            ] {
                let scaled_axis = axis.over(values.iter().copied()).with_room();
                assert!(
                    scaled_axis.high > scaled_axis.low && scaled_axis.high.is_finite(),
                    "{values:?} {axis:?}: {scaled_axis:?}"
                );
                assert!(scaled_axis.ticks(4).len() < 20);
            }
        }
    }

    proptest! {
        #[test]
        fn every_value_has_a_position_within_the_range(values in prop::collection::vec(-1e9_f64..1e9, 1..20), zero: bool) {
            let axis = if zero { Axis::new("x").from_zero() } else { Axis::new("x") };
            let scaled_axis = axis.over(values.iter().copied()).with_room();
            for value in values {
                let place = scaled_axis.place(value).expect("a place");
                prop_assert!((-1e-9..=1.0 + 1e-9).contains(&place), "{place}");
            }
            let ticks = scaled_axis.ticks(5);
            prop_assert!((1..=12).contains(&ticks.len()), "{ticks:?}");
            for (value, _) in ticks {
                prop_assert!((-1e-6..=1.0 + 1e-6).contains(&scaled_axis.place(value).expect("a place")));
            }
        }
    }
}
