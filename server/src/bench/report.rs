//! The results, as Markdown and as JSON.

use std::fmt;

use serde_json::{Map, Value};

use super::{interleaved::Rounds, meter::Cost, meter::median};

/// All results by name, in the order in which they were measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    rows: Vec<Row>,
    figures: Vec<(String, f64)>,
}

/// A row of the table of costs.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: &'static str,
    cpu_ms: f64,
    /// Minimum and maximum.
    range: (f64, f64),
    images_per_second: f64,
}

impl Report {
    /// The result of that name.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<f64> {
        let mut figures = self.figures.iter();
        figures.find(|(other, _)| other == name).map(|(_, value)| *value)
    }

    /// All results as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let figures = self.figures.iter();
        let object: Map<String, Value> = figures
            .map(|(name, value)| (name.clone(), Value::from(*value)))
            .collect();
        Value::Object(object).to_string()
    }

    /// Adds a result.
    pub(super) fn note(&mut self, name: &str, value: f64) {
        self.figures.push((name.to_owned(), value));
    }

    /// Adds a result, if there is one.
    pub(super) fn note_any(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.note(name, value);
        }
    }

    /// Adds the cost of each benchmark.
    pub(super) fn costs(&mut self, rounds: &Rounds) {
        for (name, costs) in rounds.iter() {
            let cpu_ms = || costs.iter().map(Cost::cpu_ms);
            let row = Row {
                name,
                cpu_ms: median(cpu_ms()),
                range: (
                    cpu_ms().fold(f64::INFINITY, f64::min),
                    cpu_ms().fold(0.0, f64::max),
                ),
                images_per_second: median(costs.iter().map(Cost::rate)),
            };
            self.note(&format!("{name}_cpu_ms"), row.cpu_ms);
            self.note(&format!("{name}_images_per_second"), row.images_per_second);
            self.rows.push(row);
        }
    }

    /// Returns whether the result is already in a row of the table.
    fn is_in_table(&self, name: &str) -> bool {
        let is_of = |row: &Row| {
            let rest = name.strip_prefix(row.name);
            rest.is_some_and(|rest| matches!(rest, "_cpu_ms" | "_images_per_second"))
        };
        self.rows.iter().any(is_of)
    }
}

/// Two Markdown tables: the cost of each benchmark, and all other results.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.rows.is_empty() {
            writeln!(f, "| stage | CPU-ms/image (range) | images/s |\n|---|--:|--:|")?;
        }
        for row in &self.rows {
            let (name, (least, most)) = (row.name.replace('_', " "), row.range);
            let (cpu_ms, rate) = (row.cpu_ms, row.images_per_second);
            writeln!(f, "| {name} | {cpu_ms:.3} ({least:.3}–{most:.3}) | {rate:.0} |")?;
        }
        let others: Vec<_> = self
            .figures
            .iter()
            .filter(|(name, _)| !self.is_in_table(name))
            .collect();
        if !self.rows.is_empty() && !others.is_empty() {
            writeln!(f)?;
        }
        if !others.is_empty() {
            writeln!(f, "| figure | |\n|---|--:|")?;
        }
        for (name, value) in others {
            writeln!(f, "| {name} | {value:.3} |")?;
        }
        Ok(())
    }
}
