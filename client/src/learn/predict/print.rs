//! Results as text, one line per image.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use clap::ValueEnum;

use super::Prediction;

/// Output format of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrintFormat {
    /// Aligned columns.
    Table,
    /// Comma-separated values.
    Csv,
    /// One object per line.
    Json,
}

/// Writes results.
#[derive(Debug)]
pub struct Printer<'a, W> {
    out: W,
    style: PrintFormat,
    classes: &'a [String],
    top: usize,
    width: usize,
}

impl<'a, W: Write> Printer<'a, W> {
    /// Creates a printer and writes the header, if the format has one. At most `top` classes are written per image, whose
    /// name has at most `width` characters.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn new(
        out: W,
        style: PrintFormat,
        classes: &'a [String],
        top: usize,
        width: usize,
    ) -> io::Result<Self> {
        let top = top.min(classes.len());
        let mut printer = Self {
            out,
            style,
            classes,
            top,
            width,
        };
        match style {
            PrintFormat::Table => {
                let cells = (1..=top).map(|place| match place {
                    1 => "class".to_owned(),
                    place => format!("{place}."),
                });
                let line = printer.columns("image", cells);
                writeln!(printer.out, "{line}")?;
            }
            PrintFormat::Csv => {
                let mut header = "image".to_owned();
                for place in 1..=top {
                    let suffix = if place == 1 {
                        String::new()
                    } else {
                        format!("_{place}")
                    };
                    let _ = write!(header, ",class{suffix},probability{suffix}");
                }
                writeln!(printer.out, "{header},error")?;
            }
            PrintFormat::Json => {}
        }
        Ok(printer)
    }

    /// Writes the prediction of an image.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn prediction(&mut self, name: &str, prediction: &Prediction) -> io::Result<()> {
        let top = prediction.top(self.top);
        match self.style {
            PrintFormat::Table => {
                let cells = top
                    .iter()
                    .map(|&(class, share)| format!("{} {:.1} %", self.classes[class], share * 100.0));
                let line = self.columns(name, cells);
                writeln!(self.out, "{line}")
            }
            PrintFormat::Csv => {
                let mut line = quoted(name);
                for (class, share) in top {
                    let _ = write!(line, ",{},{share:.6}", quoted(&self.classes[class]));
                }
                writeln!(self.out, "{line},")
            }
            PrintFormat::Json => {
                let shares = top
                    .iter()
                    .map(|&(class, share)| (self.classes[class].clone(), share.into()));
                let shares: serde_json::Map<String, serde_json::Value> = shares.collect();
                let record = serde_json::json!({
                    "image": name,
                    "class": self.classes[prediction.class],
                    "probability": prediction.probabilities[prediction.class],
                    "probabilities": shares,
                });
                writeln!(self.out, "{record}")
            }
        }
    }

    /// Writes why an image could not be classified.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn failure(&mut self, name: &str, error: &str) -> io::Result<()> {
        match self.style {
            PrintFormat::Table => {
                let line = self.columns(name, std::iter::once(format!("({error})")));
                writeln!(self.out, "{line}")
            }
            PrintFormat::Csv => {
                let empty = ",,".repeat(self.top);
                writeln!(self.out, "{}{empty},{}", quoted(name), quoted(error))
            }
            PrintFormat::Json => writeln!(
                self.out,
                "{}",
                serde_json::json!({ "image": name, "error": error })
            ),
        }
    }

    /// Flushes the output.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn columns(&self, name: &str, cells: impl Iterator<Item = String>) -> String {
        // The longest class name followed by `100.0 %`.
        let cell = 8 + self
            .classes
            .iter()
            .map(|class| class.chars().count())
            .max()
            .unwrap_or(0);
        let width = self.width;
        let mut line = format!("{name:<width$}");
        for text in cells {
            let _ = write!(line, "  {text:<cell$}");
        }
        line.trim_end().to_owned()
    }
}

/// Quotes a CSV field if it contains a separator, as in RFC 4180.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(style: PrintFormat, top: usize) -> String {
        let classes = ["bird, small", "flower", "boat"].map(str::to_owned);
        let prediction = Prediction {
            class: 1,
            probabilities: vec![0.25, 0.625, 0.125],
        };
        let mut out = vec![];
        let mut printer = Printer::new(&mut out, style, &classes, top, 9).expect("memory");
        printer.prediction("a.jpg", &prediction).expect("memory");
        printer.failure("b \"x\".jpg", "cut off").expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn tables_have_columns() {
        let lines = [
            "image      class                2.",
            "a.jpg      flower 62.5 %        bird, small 25.0 %",
            "b \"x\".jpg  (cut off)",
        ];
        assert_eq!(printed(PrintFormat::Table, 2), lines.join("\n") + "\n");
    }

    #[test]
    fn csv_lines_have_equal_field_counts_and_are_quoted() {
        let lines = [
            "image,class,probability,class_2,probability_2,error",
            "a.jpg,flower,0.625000,\"bird, small\",0.250000,",
            "\"b \"\"x\"\".jpg\",,,,,cut off",
        ];
        assert_eq!(printed(PrintFormat::Csv, 2), lines.join("\n") + "\n");
    }

    #[test]
    fn json_has_one_object_per_line() {
        let text = printed(PrintFormat::Json, 9);
        let records: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(records[0]["class"], "flower");
        assert_eq!(records[0]["probability"], 0.625);
        assert_eq!(records[0]["probabilities"]["boat"], 0.125);
        assert_eq!(
            records[1],
            serde_json::json!({ "image": "b \"x\".jpg", "error": "cut off" })
        );
    }
}
