//! Results as text: a line per image, in the order of the images.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::Prediction;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintFormat {
    /// Aligned columns, with names padded to this many characters.
    Table {
        /// Of the longest name.
        width: usize,
    },
    /// Comma-separated values with a header, quoted as RFC 4180 says.
    Csv,
    /// One JSON object a line.
    Json,
}

/// Writes results.
#[derive(Debug)]
pub struct Printer<'a, W> {
    out: W,
    style: PrintFormat,
    classes: &'a [String],
    top: usize,
}

impl<'a, W: Write> Printer<'a, W> {
    /// Begins, with a header where the style has one. At most `top` classes are written of each image.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn new(out: W, style: PrintFormat, classes: &'a [String], top: usize) -> io::Result<Self> {
        let top = top.min(classes.len());
        let mut printer = Self {
            out,
            style,
            classes,
            top,
        };
        match style {
            PrintFormat::Table { width } => {
                let cells = (1..=top).map(|place| match place {
                    1 => "class".to_owned(),
                    place => format!("{place}."),
                });
                let line = printer.columns("image", width, cells);
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

    /// Writes what an image was taken for.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn prediction(&mut self, name: &str, prediction: &Prediction) -> io::Result<()> {
        let top = prediction.top(self.top);
        match self.style {
            PrintFormat::Table { width } => {
                let cells = top
                    .iter()
                    .map(|&(class, share)| format!("{} {:.1} %", self.classes[class], share * 100.0));
                let line = self.columns(name, width, cells);
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
    /// Those of `out`.
    pub fn failure(&mut self, name: &str, error: &str) -> io::Result<()> {
        match self.style {
            PrintFormat::Table { width } => {
                let line = self.columns(name, width, std::iter::once(format!("({error})")));
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

    /// Hands everything on.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn columns(&self, name: &str, width: usize, cells: impl Iterator<Item = String>) -> String {
        // `100.0 %` behind the longest class name.
        let cell = 8 + self
            .classes
            .iter()
            .map(|class| class.chars().count())
            .max()
            .unwrap_or(0);
        let mut line = format!("{name:<width$}");
        for text in cells {
            let _ = write!(line, "  {text:<cell$}");
        }
        line.trim_end().to_owned()
    }
}

/// A field as RFC 4180 has it: between quotation marks where it holds what separates fields or lines.
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
        let mut printer = Printer::new(&mut out, style, &classes, top).expect("memory");
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
        assert_eq!(
            printed(PrintFormat::Table { width: 9 }, 2),
            lines.join("\n") + "\n"
        );
    }

    #[test]
    fn csv_has_as_many_fields_in_every_line_and_is_quoted() {
        let lines = [
            "image,class,probability,class_2,probability_2,error",
            "a.jpg,flower,0.625000,\"bird, small\",0.250000,",
            "\"b \"\"x\"\".jpg\",,,,,cut off",
        ];
        assert_eq!(printed(PrintFormat::Csv, 2), lines.join("\n") + "\n");
    }

    #[test]
    fn json_is_an_object_a_line() {
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
