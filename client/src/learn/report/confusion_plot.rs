//! The confusion matrix as a picture.

use std::path::{Path, PathBuf};

use equibatch_cli::files::{self, WriteError};

use super::canvas::{self, Align, Canvas, Color, Font, Picture, Stroke, width};
use crate::learn::metrics::Metrics;

/// Why a picture could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The drawing failed.
    #[error("cannot draw {}", path.display())]
    Draw {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: canvas::Error,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Longer class names are truncated, to leave space for the matrix.
const LONGEST_NAME: usize = 28;
/// Cells also show their share of the row up to this many classes.
const WITH_SHARES: usize = 8;
/// Smallest cell with text.
const LEAST_WRITTEN: f64 = 18.0;
/// Side of the whole matrix if there are many classes.
const MOST: f64 = 1000.0;

const MARGIN: f64 = 14.0;
const GAP: f64 = 6.0;
const TITLE: f64 = 14.0;
const AXIS: f64 = 12.0;

/// The confusion matrix of a model: rows are actual classes, columns predicted ones; cells are shaded by their share of the row.
#[derive(Clone, Debug)]
pub struct ConfusionPlot<'a> {
    metrics: &'a Metrics,
    names: Vec<String>,
    title: &'a str,
    /// Side of a cell.
    cell: f64,
    /// Font size of class names.
    text: f64,
    /// Width of the widest name.
    widest: f64,
}

impl<'a> ConfusionPlot<'a> {
    /// Creates the plot; an empty title is omitted.
    #[must_use]
    pub fn new(metrics: &'a Metrics, title: &'a str) -> Self {
        let names: Vec<String> = metrics
            .classes
            .iter()
            .map(|class| shortened(&class.name))
            .collect();
        let (cell, text) = match names.len() {
            0..=4 => (75.0, 12.0),
            5..=8 => (52.0, 10.5),
            9..=25 => (36.0, 10.5),
            more => {
                let cell = (MOST / more as f64).max(2.0);
                (cell, cell.min(9.0))
            }
        };
        let widest = names.iter().map(|name| width(name, text)).fold(0.0, f64::max);
        Self {
            metrics,
            names,
            title,
            cell,
            text,
            widest,
        }
    }

    /// Writes the plot to `path`, as SVG if it ends in `.svg`, otherwise as PNG.
    ///
    /// # Errors
    ///
    /// [`Error`] if it cannot be drawn or written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let is_svg = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
        let drawn = match is_svg {
            true => canvas::svg(self).map(String::into_bytes),
            false => canvas::png(self),
        };
        let bytes = drawn.map_err(|source| Error::Draw {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(files::write(path, &bytes)?)
    }

    fn side(&self) -> f64 {
        self.cell * self.names.len() as f64
    }

    /// Whether the names below the columns are rotated.
    fn is_turned(&self) -> bool {
        self.widest > self.cell - GAP
    }

    /// Upper left corner of the matrix.
    fn corner(&self) -> (f64, f64) {
        let title = if self.title.is_empty() {
            0.0
        } else {
            TITLE + 2.0 * GAP
        };
        (MARGIN + AXIS + 2.0 * GAP + self.widest, MARGIN + title)
    }

    /// Height of the labels below the matrix, without the margin.
    fn below(&self) -> f64 {
        let names = if self.is_turned() { self.widest } else { self.text };
        2.0 * GAP + names + AXIS
    }

    fn draw_cell(&self, canvas: &dyn Canvas, (row, column): (usize, usize)) -> Result<(), canvas::Error> {
        let counts = &self.metrics.confusion_matrix[row];
        let (count, images) = (counts[column], counts.iter().sum::<u64>());
        let share = count as f64 / images.max(1) as f64;
        let (left, top) = self.corner();
        let (x, y) = (left + self.cell * column as f64, top + self.cell * row as f64);
        let corners = [(x, y), (x + self.cell, y + self.cell)];
        canvas.rectangle(corners, Color::shade(share))?;
        let is_one_of_few = self.names.len() <= WITH_SHARES;
        if self.cell < LEAST_WRITTEN || (count == 0 && !is_one_of_few) {
            return Ok(());
        }
        let (large, small) = (self.text * 1.25, self.text * 0.75);
        let drop = if is_one_of_few && images > 0 {
            small * 0.6
        } else {
            0.0
        };
        let word = |size| Font::new(size, Color::on_shade(share), Align::Middle);
        let (x, y) = (x + self.cell / 2.0, y + self.cell / 2.0);
        canvas.word(&count.to_string(), (x, y - drop), word(large))?;
        if drop > 0.0 {
            canvas.word(
                &format!("{:.1} %", share * 100.0),
                (x, y + large * 0.6),
                word(small),
            )?;
        }
        Ok(())
    }

    /// Draws the name of a class left of its row and below its column.
    fn draw_names(&self, canvas: &dyn Canvas, class: usize) -> Result<(), canvas::Error> {
        let name = &self.names[class];
        let (left, top) = self.corner();
        let middle = self.cell * (class as f64 + 0.5);
        let font = |align| Font::new(self.text, Color::Text, align);
        canvas.word(name, (left - GAP, top + middle), font(Align::End))?;
        let below = top + self.side() + GAP;
        if !self.is_turned() {
            return canvas.word(
                name,
                (left + middle, below + self.text / 2.0),
                font(Align::Middle),
            );
        }
        let turned = Font {
            is_upright: true,
            ..font(Align::End)
        };
        canvas.word(name, (left + middle, below), turned)
    }
}

impl Picture for ConfusionPlot<'_> {
    fn size(&self) -> (f64, f64) {
        let (left, top) = self.corner();
        let titled = width(self.title, TITLE) + 2.0 * MARGIN;
        let across = (left + self.side() + MARGIN).max(titled);
        (across, top + self.side() + self.below() + MARGIN)
    }

    fn draw(&self, canvas: &dyn Canvas) -> Result<(), canvas::Error> {
        let classes = self.names.len();
        for cell in (0..classes).flat_map(|row| (0..classes).map(move |column| (row, column))) {
            self.draw_cell(canvas, cell)?;
        }
        for class in 0..classes {
            self.draw_names(canvas, class)?;
        }
        let ((left, top), side) = (self.corner(), self.side());
        let (right, bottom) = (left + side, top + side);
        let frame = [
            (left, top),
            (right, top),
            (right, bottom),
            (left, bottom),
            (left, top),
        ];
        let hair = Stroke {
            color: Color::Faint,
            width: 0.5,
            opacity: 1.0,
        };
        canvas.line(&frame, hair)?;
        if !self.title.is_empty() {
            let middle = self.size().0 / 2.0;
            let font = Font::new(TITLE, Color::Text, Align::Middle);
            canvas.word(self.title, (middle, MARGIN + TITLE / 2.0), font)?;
        }
        let axis = Font::new(AXIS, Color::Faint, Align::Middle);
        let below = bottom + self.below() - AXIS / 2.0;
        canvas.word("Predicted", (left + side / 2.0, below), axis)?;
        let upright = Font {
            is_upright: true,
            ..axis
        };
        canvas.word("Actual", (MARGIN + AXIS / 2.0, top + side / 2.0), upright)
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::learn::metrics::MetricAccumulator;

    fn metrics(classes: usize) -> Metrics {
        let mut accumulator = MetricAccumulator::new(classes);
        for actual in 0..classes {
            for predicted in 0..classes {
                let times = if actual == predicted {
                    40
                } else {
                    (actual * 7 + predicted * 3) % 5
                };
                let logits: Vec<f32> = (0..classes)
                    .map(|class| f32::from(u8::from(class == predicted)))
                    .collect();
                (0..times).for_each(|_| accumulator.record(&logits, actual));
            }
        }
        let names = [
            "birds",
            "flowers",
            "a class whose name is much too long to be shown",
            "über",
            "猫",
        ];
        let named = (0..classes).map(|class| format!("{}{}", names[class % 5], "i".repeat(class / 5)));
        accumulator.metrics(&named.collect::<Vec<_>>())
    }

    #[test]
    fn pictures_of_few_and_many_classes_are_readable_files() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder =
            std::env::var_os("PICTURES").map_or_else(|| temporary.path().to_path_buf(), PathBuf::from);
        for classes in [1, 2, 5, 10, 20, 120] {
            let path = folder.join(format!("confusion-{classes}.png"));
            ConfusionPlot::new(&metrics(classes), "Confusion matrix")
                .save(&path)
                .expect("a picture");
            let picture = image::open(&path).expect("a readable picture").to_rgb8();
            let dark = picture.pixels().filter(|pixel| pixel.0[0] < 60).count();
            assert!(dark > 200, "{classes} classes: {dark} dark pixels");
            assert!(picture.width() < 2600, "{classes} classes: {}", picture.width());
        }
    }

    #[test]
    fn an_svg_names_axes_classes_and_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("matrix.svg");
        ConfusionPlot::new(&metrics(2), "Confusion matrix")
            .save(&path)
            .expect("a picture");
        let text = fs::read_to_string(&path).expect("readable");
        for word in [
            "Actual",
            "Predicted",
            "birds",
            "flowers",
            "40",
            "Confusion matrix",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
    }

    #[test]
    fn a_page_shows_all_columns_of_many_classes_in_its_own_colours() {
        let metrics = metrics(16);
        let page = canvas::page_svg(&ConfusionPlot::new(&metrics, ""), "words")
            .expect("a drawing")
            .into_string();
        for name in metrics.classes.iter().map(|class| shortened(&class.name)) {
            assert!(
                page.matches(&format!(">\n{name}\n")).count() >= 2,
                "{name}: {page}"
            );
        }
        assert!(page.contains("color-mix(") && !page.contains('#'), "{page}");
    }
}
