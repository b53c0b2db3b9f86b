//! The confusion matrix as a picture, PNG or SVG.

use std::{
    io,
    path::{Path, PathBuf},
};

use equibatch_server::files;
use plotters::{
    coord::Shift,
    prelude::*,
    style::{
        FontTransform,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::canvas::{FONT, register_font};
use crate::learn::metrics::ConfusionMatrix;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The drawing failed.
    #[error("cannot draw {}: {reason}", path.display())]
    Draw {
        /// The file.
        path: PathBuf,
        /// What the drawing library said.
        reason: String,
    },
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Stops of the colour map that is called Blues, from no share to all of a row.
///
/// # Source
///
/// <https://colorbrewer2.org>, sequential, nine classes.
const BLUES: [(u8, u8, u8); 9] = [
    (247, 251, 255),
    (222, 235, 247),
    (198, 219, 239),
    (158, 202, 225),
    (107, 174, 214),
    (66, 146, 198),
    (33, 113, 181),
    (8, 81, 156),
    (8, 48, 107),
];

const INK: RGBColor = RGBColor(33, 37, 41);
const FAINT: RGBColor = RGBColor(73, 80, 87);
/// Longer class names are cut, so that one of them cannot squeeze the matrix.
const LONGEST_NAME: usize = 28;

/// Writes the matrix to `path`: SVG where it ends in `.svg`, PNG otherwise. Cells are shaded by their share of the row.
///
/// # Errors
///
/// [`Error`] where the file cannot be written.
pub fn save(path: &Path, matrix: &ConfusionMatrix, names: &[String], title: &str) -> Result<(), Error> {
    register_font();
    let layout = Layout::new(matrix, names, title);
    let failed = |reason: String| Error::Draw {
        path: path.to_path_buf(),
        reason,
    };
    let written = |result: io::Result<()>| {
        result.map_err(|source| Error::Write {
            path: path.to_path_buf(),
            source,
        })
    };
    let size = layout.size();
    if path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("svg"))
    {
        let mut text = String::new();
        draw(
            &SVGBackend::with_string(&mut text, size).into_drawing_area(),
            &layout,
        )
        .map_err(failed)?;
        return written(files::replace(path, text.as_bytes()));
    }
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
    draw(
        &BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area(),
        &layout,
    )
    .map_err(failed)?;
    let image = image::RgbImage::from_raw(size.0, size.1, pixels).expect("the buffer was made for this size");
    let mut encoded = io::Cursor::new(Vec::new());
    image
        .write_to(&mut encoded, image::ImageFormat::Png)
        .map_err(|error| failed(error.to_string()))?;
    written(files::replace(path, &encoded.into_inner()))
}

/// Where everything goes, in pixels.
struct Layout<'a> {
    matrix: &'a ConfusionMatrix,
    names: Vec<String>,
    title: &'a str,
    cell: i32,
    text: i32,
    /// Whether the names below the columns are turned.
    turned: bool,
    left: i32,
    top: i32,
    bottom: i32,
}

const MARGIN: i32 = 28;
const GAP: i32 = 12;
const TITLE: i32 = 28;
const AXIS: i32 = 22;

impl<'a> Layout<'a> {
    fn new(matrix: &'a ConfusionMatrix, names: &[String], title: &'a str) -> Self {
        let names: Vec<String> = names.iter().map(|name| shortened(name)).collect();
        let (cell, text) = match matrix.classes() {
            0..=4 => (150, 24),
            5..=8 => (104, 21),
            9..=12 => (80, 19),
            _ => (60, 16),
        };
        let widest = names.iter().map(|name| width(name, text)).max().unwrap_or(0);
        let turned = widest > cell - GAP;
        let left = MARGIN + AXIS + 2 * GAP + widest;
        let bottom = GAP + if turned { widest } else { text } + GAP + AXIS + MARGIN;
        Self {
            matrix,
            names,
            title,
            cell,
            text,
            turned,
            left,
            top: MARGIN + TITLE + 2 * GAP,
            bottom,
        }
    }

    fn side(&self) -> i32 {
        self.cell * i32::try_from(self.matrix.classes()).expect("few classes")
    }

    fn size(&self) -> (u32, u32) {
        let needed = self.left + self.side() + MARGIN;
        let width = needed.max(width(self.title, TITLE) + 2 * MARGIN);
        let height = self.top + self.side() + self.bottom;
        (width.unsigned_abs(), height.unsigned_abs())
    }

    /// Top left corner of a cell.
    fn corner(&self, row: usize, column: usize) -> (i32, i32) {
        let at = |index: usize| self.cell * i32::try_from(index).expect("few classes");
        (self.left + at(column), self.top + at(row))
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}

fn width(text: &str, size: i32) -> i32 {
    let (width, _) = (FONT, size).into_font().box_size(text).unwrap_or((0, 0));
    i32::try_from(width).unwrap_or(0)
}

fn blue(share: f64) -> RGBColor {
    let at = share.clamp(0.0, 1.0) * (BLUES.len() - 1) as f64;
    let index = (at as usize).min(BLUES.len() - 2);
    let (low, high, part) = (BLUES[index], BLUES[index + 1], at - index as f64);
    let mix = |low: u8, high: u8| (f64::from(low) + (f64::from(high) - f64::from(low)) * part).round() as u8;
    RGBColor(mix(low.0, high.0), mix(low.1, high.1), mix(low.2, high.2))
}

fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, layout: &Layout<'_>) -> Result<(), String> {
    area.fill(&WHITE).map_err(|error| error.to_string())?;
    for (row, name) in layout.names.iter().enumerate() {
        for column in 0..layout.names.len() {
            draw_cell(area, layout, row, column)?;
        }
        draw_names(area, layout, row, name)?;
    }
    let side = layout.side();
    let (left, top) = (layout.left, layout.top);
    let frame = Rectangle::new([(left, top), (left + side, top + side)], FAINT.stroke_width(1));
    area.draw(&frame).map_err(|error| error.to_string())?;
    let total_width = i32::try_from(layout.size().0).expect("a width in pixels");
    write(
        area,
        layout.title,
        (total_width / 2, MARGIN + TITLE / 2),
        centred(TITLE, INK),
    )?;
    let bottom = top + side + layout.bottom - MARGIN - AXIS / 2;
    write(area, "Predicted", (left + side / 2, bottom), centred(AXIS, FAINT))?;
    let turned = (FONT, AXIS)
        .into_font()
        .transform(FontTransform::Rotate270)
        .color(&FAINT)
        .pos(Pos::new(HPos::Center, VPos::Center));
    write(area, "Actual", (MARGIN + AXIS / 2, top + side / 2), turned)?;
    area.present().map_err(|error| error.to_string())
}

/// Count, and under it the share of the row, in white on dark cells.
fn draw_cell<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    layout: &Layout<'_>,
    row: usize,
    column: usize,
) -> Result<(), String> {
    let count = layout.matrix.count(row, column);
    let images = layout.matrix.actual(row);
    let share = if images > 0 {
        count as f64 / images as f64
    } else {
        0.0
    };
    let (x, y) = layout.corner(row, column);
    let cell = layout.cell;
    let fill = Rectangle::new([(x, y), (x + cell, y + cell)], blue(share).filled());
    area.draw(&fill).map_err(|error| error.to_string())?;
    area.draw(&Rectangle::new(
        [(x, y), (x + cell, y + cell)],
        WHITE.stroke_width(1),
    ))
    .map_err(|error| error.to_string())?;
    let ink = if share > 0.5 { WHITE } else { INK };
    let (large, small) = (layout.text * 5 / 4, layout.text * 3 / 4);
    let middle = (x + cell / 2, y + cell / 2);
    write(
        area,
        &count.to_string(),
        (middle.0, middle.1 - small * 3 / 5),
        centred(large, ink),
    )?;
    if images == 0 {
        return Ok(());
    }
    let ink = if share > 0.5 { WHITE } else { FAINT };
    write(
        area,
        &format!("{:.1} %", share * 100.0),
        (middle.0, middle.1 + large * 3 / 5),
        centred(small, ink),
    )
}

/// The name of a class, left of its row and below its column.
fn draw_names<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    layout: &Layout<'_>,
    class: usize,
    name: &str,
) -> Result<(), String> {
    let (cell, text) = (layout.cell, layout.text);
    let (_, y) = layout.corner(class, 0);
    let right = TextStyle::from((FONT, text).into_font())
        .color(&INK)
        .pos(Pos::new(HPos::Right, VPos::Center));
    write(area, name, (layout.left - GAP, y + cell / 2), right)?;
    let (x, _) = layout.corner(0, class);
    let (x, y) = (x + cell / 2, layout.top + layout.side() + GAP);
    if !layout.turned {
        return write(area, name, (x, y + text / 2), centred(text, INK));
    }
    let turned = (FONT, text)
        .into_font()
        .transform(FontTransform::Rotate270)
        .color(&INK)
        .pos(Pos::new(HPos::Right, VPos::Center));
    write(area, name, (x, y), turned)
}

fn centred(size: i32, color: RGBColor) -> TextStyle<'static> {
    let style = TextStyle::from((FONT, size).into_font());
    TextStyle {
        color: color.to_backend_color(),
        ..style
    }
    .pos(Pos::new(HPos::Center, VPos::Center))
}

fn write<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    text: &str,
    at: (i32, i32),
    style: TextStyle<'_>,
) -> Result<(), String> {
    area.draw(&Text::new(text.to_owned(), at, style))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn matrix(classes: usize) -> (ConfusionMatrix, Vec<String>) {
        let mut matrix = ConfusionMatrix::new(classes);
        for actual in 0..classes {
            for predicted in 0..classes {
                let times = if actual == predicted {
                    40
                } else {
                    (actual * 7 + predicted * 3) % 5
                };
                (0..times).for_each(|_| matrix.record(actual, predicted));
            }
        }
        let names = [
            "birds",
            "flowers",
            "a class whose name is much too long to be shown",
            "über",
            "猫",
        ];
        (
            matrix,
            (0..classes)
                .map(|class| format!("{}{}", names[class % 5], "i".repeat(class / 5)))
                .collect(),
        )
    }

    #[test]
    fn pictures_of_two_to_twenty_classes_are_readable_files() {
        let folder = std::env::var_os("PICTURES").map_or_else(std::env::temp_dir, PathBuf::from);
        for classes in [1, 2, 5, 10, 20] {
            let (matrix, names) = matrix(classes);
            let path = folder.join(format!("confusion-{}-{classes}.png", std::process::id()));
            save(&path, &matrix, &names, "Confusion matrix").expect("a picture");
            let picture = image::open(&path).expect("a readable picture").to_rgb8();
            let dark = picture
                .pixels()
                .filter(|pixel| pixel.0 == [8, 48, 107] || pixel.0[0] < 60)
                .count();
            assert!(dark > 200, "{classes} classes: {dark} dark pixels");
        }
    }

    #[test]
    fn an_svg_names_axes_classes_and_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("matrix.svg");
        let (matrix, names) = matrix(2);
        save(&path, &matrix, &names, "Confusion matrix").expect("a picture");
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
    fn shares_go_from_pale_to_dark() {
        assert_eq!(blue(0.0), RGBColor(247, 251, 255));
        assert_eq!(blue(1.0), RGBColor(8, 48, 107));
        assert_eq!(blue(0.5), RGBColor(107, 174, 214));
    }
}
