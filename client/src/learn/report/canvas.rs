//! Drawing surface of pictures, rendered as inline SVG with a page's colours, as an SVG file or as a PNG file.

use std::{io, sync::Once};

use plotters::{
    coord::Shift,
    prelude::{Color as _, *},
    style::{
        FontTransform,
        text_anchor::{HPos, Pos, VPos},
    },
};

/// The drawing library failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot draw: {0}")]
pub struct Error(String);

impl Error {
    #[allow(
        clippy::needless_pass_by_value,
        reason = "it is a function from one error to another"
    )]
    fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// A colour. On a page it is a variable of the style sheet, light or dark; in a file it is the light value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Background.
    Paper,
    /// Text.
    Text,
    /// Secondary text, axes and labels.
    Faint,
    /// Grid lines.
    Grid,
    /// Series number n, from 0.
    Series(usize),
    /// Heat-map shade of a percentage, 0 to 100: darker for more on a light page.
    Shade(u8),
    /// Text on a shade.
    OnShade(Shade),
}

/// Classes of shades by the text colour they need for a contrast ratio of at least 4.5 on light and dark pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shade {
    /// Close to the background.
    Pale,
    /// In between.
    Half,
    /// Close to the full colour.
    Full,
}

impl Shade {
    /// The class of a share, 0 to 1.
    #[must_use]
    pub fn of(share: f64) -> Self {
        match share {
            _ if share > 0.77 => Self::Full,
            _ if share > 0.565 => Self::Half,
            _ => Self::Pale,
        }
    }
}

/// Equidistant stops of the colour map Blues, from 0 to 1.
///
/// # Source
///
/// <https://colorbrewer2.org>, sequential, nine classes.
const BLUES: [[u8; 3]; 9] = [
    [247, 251, 255],
    [222, 235, 247],
    [198, 219, 239],
    [158, 202, 225],
    [107, 174, 214],
    [66, 146, 198],
    [33, 113, 181],
    [8, 81, 156],
    [8, 48, 107],
];

fn blue(share: f64) -> RGBColor {
    let at = share.clamp(0.0, 1.0) * (BLUES.len() - 1) as f64;
    let index = (at as usize).min(BLUES.len() - 2);
    let (low, high, part) = (BLUES[index], BLUES[index + 1], at - index as f64);
    let mix = |channel: usize| {
        let (low, high) = (f64::from(low[channel]), f64::from(high[channel]));
        (low + (high - low) * part).round() as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}

/// Light values. All light values are distinct, so that a page can replace each by its variable.
const SERIES: [RGBColor; 5] = [
    RGBColor(0x0b, 0x62, 0xb8),
    RGBColor(0xc2, 0x41, 0x0c),
    RGBColor(0x15, 0x80, 0x3d),
    RGBColor(0x7e, 0x22, 0xce),
    RGBColor(0x0e, 0x74, 0x90),
];

impl Color {
    /// Heat-map shade of a share, 0 to 1.
    #[must_use]
    pub fn shade(share: f64) -> Self {
        Self::Shade((share.clamp(0.0, 1.0) * 100.0).round() as u8)
    }

    /// Text colour on [`Color::shade`].
    #[must_use]
    pub fn on_shade(share: f64) -> Self {
        Self::OnShade(Shade::of(share))
    }

    fn all() -> impl Iterator<Item = Self> {
        let plain = [Self::Paper, Self::Text, Self::Faint, Self::Grid];
        let words = [Shade::Pale, Shade::Half, Shade::Full].map(Self::OnShade);
        let series = (0..SERIES.len()).map(Self::Series);
        plain
            .into_iter()
            .chain(words)
            .chain(series)
            .chain((0..=100).map(Self::Shade))
    }

    fn rgb(self) -> RGBColor {
        match self {
            Self::Paper => RGBColor(0xff, 0xff, 0xff),
            Self::Text => RGBColor(0x1f, 0x23, 0x28),
            Self::Faint => RGBColor(0x59, 0x63, 0x6e),
            Self::Grid => RGBColor(0xdf, 0xe3, 0xe8),
            Self::Series(number) => SERIES[number % SERIES.len()],
            Self::Shade(percent) => blue(f64::from(percent) / 100.0),
            Self::OnShade(Shade::Pale) => RGBColor(0x21, 0x25, 0x29),
            Self::OnShade(Shade::Half) => RGBColor(0x21, 0x25, 0x2a),
            Self::OnShade(Shade::Full) => RGBColor(0xfe, 0xfe, 0xfe),
        }
    }

    /// Its CSS value in a page.
    fn variable(self) -> String {
        match self {
            Self::Paper => "var(--paper)".to_owned(),
            Self::Text => "var(--text)".to_owned(),
            Self::Faint => "var(--faint)".to_owned(),
            Self::Grid => "var(--grid)".to_owned(),
            Self::Series(number) => format!("var(--series-{})", number % SERIES.len()),
            Self::Shade(percent) => format!("color-mix(in oklab, var(--heat) {percent}%, var(--heat-paper))"),
            Self::OnShade(Shade::Pale) => "var(--heat-pale)".to_owned(),
            Self::OnShade(Shade::Half) => "var(--heat-half)".to_owned(),
            Self::OnShade(Shade::Full) => "var(--heat-full)".to_owned(),
        }
    }
}

/// Horizontal alignment of text relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Starts at the point.
    Start,
    /// Centred on the point.
    Middle,
    /// Ends at the point.
    End,
}

/// Style of text, which is centred vertically on its point.
#[derive(Clone, Copy, Debug)]
pub struct Font {
    /// Font size.
    pub size: f64,
    /// Colour.
    pub color: Color,
    /// Horizontal alignment.
    pub align: Align,
    /// Whether it is rotated to read from bottom to top.
    pub is_upright: bool,
}

impl Font {
    /// Horizontal text.
    #[must_use]
    pub fn new(size: f64, color: Color, align: Align) -> Self {
        Self {
            size,
            color,
            align,
            is_upright: false,
        }
    }
}

/// Style of a line.
#[derive(Clone, Copy, Debug)]
pub struct Stroke {
    /// Colour.
    pub color: Color,
    /// Width.
    pub width: f64,
    /// Opacity, 0 to 1.
    pub opacity: f64,
}

/// A point `(x, y)`, y down.
pub type Point = (f64, f64);

/// A drawing surface. Lengths are in CSS pixels at the picture's default size.
pub trait Canvas {
    /// Draws a line through points.
    ///
    /// # Errors
    ///
    /// [`Error`] if the drawing library fails.
    fn line(&self, points: &[Point], stroke: Stroke) -> Result<(), Error>;
    /// Draws a filled rectangle between two corners.
    ///
    /// # Errors
    ///
    /// [`Error`] if the drawing library fails.
    fn rectangle(&self, corners: [Point; 2], color: Color) -> Result<(), Error>;
    /// Draws a filled circle.
    ///
    /// # Errors
    ///
    /// [`Error`] if the drawing library fails.
    fn disc(&self, centre: Point, radius: f64, color: Color) -> Result<(), Error>;
    /// Draws text.
    ///
    /// # Errors
    ///
    /// [`Error`] if the drawing library fails.
    fn word(&self, text: &str, at: Point, font: Font) -> Result<(), Error>;
}

/// A picture that can be drawn on any canvas.
pub trait Picture {
    /// Width and height.
    fn size(&self) -> (f64, f64);
    /// Draws the picture on a filled background.
    ///
    /// # Errors
    ///
    /// [`Error`] if the drawing library fails.
    fn draw(&self, canvas: &dyn Canvas) -> Result<(), Error>;
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_light_values_are_distinct() {
        let mut colours: Vec<(u8, u8, u8)> = Color::all().map(|color| color.rgb().rgb()).collect();
        let inks = colours.len();
        colours.sort_unstable();
        colours.dedup();
        assert_eq!(colours.len(), inks);
    }

    #[test]
    fn shades_go_from_light_to_dark() {
        let rgb = |share| Color::shade(share).rgb().rgb();
        assert_eq!(rgb(0.0), (247, 251, 255));
        assert_eq!(rgb(0.5), (107, 174, 214));
        assert_eq!(rgb(1.0), (8, 48, 107));
    }
}
