//! Renders pictures with plotters.

use std::{io, sync::Once};

use plotters::{
    coord::Shift,
    prelude::{Color as _, *},
    style::{
        FontTransform,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    color::Color,
    surface::{Align, Canvas, Error, Font, Picture, Point, Stroke},
};

/// SVG resolution: the drawing library has integer coordinates, so drawings are enlarged by this factor.
const FINE: f64 = 8.0;
/// Bitmap pixels per unit, for high-resolution screens and print.
const SHARP: f64 = 2.0;

/// Renders an SVG file.
///
/// # Errors
///
/// [`Error`] if the picture cannot be drawn.
pub fn svg(picture: &dyn Picture) -> Result<String, Error> {
    let (width, height) = scaled(picture.size(), FINE);
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
    area.fill(&Color::Paper.rgb()).map_err(Error::new)?;
    draw_on(picture, area, (FINE, 0.0))?;
    let (usual_width, usual_height) = scaled(picture.size(), 1.0);
    Ok(text.replacen(
        &format!("width=\"{width}\" height=\"{height}\""),
        &format!("width=\"{usual_width}\" height=\"{usual_height}\""),
        1,
    ))
}

/// Renders an SVG element for a page whose style sheet defines the colours. `label` is its accessible name.
///
/// # Errors
///
/// [`Error`] if the picture cannot be drawn.
pub fn page_svg(picture: &dyn Picture, label: &str) -> Result<maud::Markup, Error> {
    let (width, height) = scaled(picture.size(), FINE);
    let mut text = String::new();
    draw_on(
        picture,
        SVGBackend::with_string(&mut text, (width, height)).into_drawing_area(),
        (FINE, 0.0),
    )?;
    for color in Color::all() {
        let RGBColor(red, green, blue) = color.rgb();
        text = text.replace(
            &format!("\"#{red:02X}{green:02X}{blue:02X}\""),
            &format!("\"{}\"", color.variable()),
        );
    }
    let inside = text
        .split_once('>')
        .map_or("", |(_, rest)| rest.trim_end().trim_end_matches("</svg>"));
    let (usual_width, _) = scaled(picture.size(), 1.0);
    Ok(maud::html! {
        svg role="img" aria-label=(label) viewBox=(format!("0 0 {width} {height}")) style=(format!("max-width:{usual_width}px")) {
            (maud::PreEscaped(inside))
        }
    })
}

/// Renders a PNG file.
///
/// # Errors
///
/// [`Error`] if the picture cannot be drawn or encoded.
pub fn png(picture: &dyn Picture) -> Result<Vec<u8>, Error> {
    let (width, height) = scaled(picture.size(), SHARP);
    let mut pixels = vec![0xff; width as usize * height as usize * 3];
    let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
    draw_on(picture, area, (SHARP, 0.18))?;
    let bitmap = image::RgbImage::from_raw(width, height, pixels).expect("the buffer was made for this size");
    let mut encoded = io::Cursor::new(Vec::new());
    bitmap
        .write_to(&mut encoded, image::ImageFormat::Png)
        .map_err(Error::new)?;
    Ok(encoded.into_inner())
}

fn draw_on<B: DrawingBackend>(
    picture: &dyn Picture,
    area: DrawingArea<B, Shift>,
    (scale, drop): (f64, f64),
) -> Result<(), Error> {
    register_font();
    let sheet = PlottersCanvas { area, scale, drop };
    picture.draw(&sheet)?;
    sheet.area.present().map_err(Error::new)
}

fn scaled((width, height): (f64, f64), scale: f64) -> (u32, u32) {
    ((width * scale).ceil() as u32, (height * scale).ceil() as u32)
}

const FONT: &str = "sans-serif";

/// Bitmaps use a font embedded in the program, because training machines often have none.
fn register_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let registered =
            plotters::style::register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
        debug_assert!(registered.is_ok(), "the embedded font is readable");
    });
}

/// Width of text in the embedded font.
#[must_use]
pub fn width(text: &str, size: f64) -> f64 {
    register_font();
    let (width, _) = (FONT, size * FINE).into_font().box_size(text).unwrap_or((0, 0));
    f64::from(width) / FINE
}

/// A canvas on an area of the drawing library.
struct PlottersCanvas<B: DrawingBackend> {
    area: DrawingArea<B, Shift>,
    scale: f64,
    /// Vertical offset of text in font sizes that centres it on its point: bitmaps centre a box with space above the text.
    drop: f64,
}

impl<B: DrawingBackend> PlottersCanvas<B> {
    fn place(&self, (x, y): Point) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    fn length(&self, length: f64) -> u32 {
        (length * self.scale).round().max(1.0) as u32
    }
}

impl<B: DrawingBackend> Canvas for PlottersCanvas<B> {
    fn line(&self, points: &[Point], stroke: Stroke) -> Result<(), Error> {
        let points: Vec<(i32, i32)> = points.iter().map(|&point| self.place(point)).collect();
        let style = ShapeStyle {
            color: stroke.color.rgb().mix(stroke.opacity),
            filled: false,
            stroke_width: self.length(stroke.width),
        };
        self.area
            .draw(&PathElement::new(points, style))
            .map_err(Error::new)
    }

    fn rectangle(&self, corners: [Point; 2], color: Color) -> Result<(), Error> {
        let rectangle = Rectangle::new(corners.map(|corner| self.place(corner)), color.rgb().filled());
        self.area.draw(&rectangle).map_err(Error::new)
    }

    fn disc(&self, centre: Point, radius: f64, color: Color) -> Result<(), Error> {
        let disc = Circle::new(self.place(centre), self.length(radius), color.rgb().filled());
        self.area.draw(&disc).map_err(Error::new)
    }

    fn word(&self, text: &str, at: Point, font: Font) -> Result<(), Error> {
        let typeface = (FONT, font.size * self.scale).into_font();
        let typeface = if font.is_upright {
            typeface.transform(FontTransform::Rotate270)
        } else {
            typeface
        };
        let across = match font.align {
            Align::Start => HPos::Left,
            Align::Middle => HPos::Center,
            Align::End => HPos::Right,
        };
        let colour = font.color.rgb();
        let style = typeface.color(&colour).pos(Pos::new(across, VPos::Center));
        let drop = font.size * self.drop;
        let at = if font.is_upright {
            (at.0 + drop, at.1)
        } else {
            (at.0, at.1 + drop)
        };
        let word = Text::new(text.to_owned(), self.place(at), style);
        self.area.draw(&word).map_err(Error::new)
    }
}
