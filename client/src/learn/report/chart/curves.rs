//! Line charts.

use super::{
    FONT_SIZE, GAP,
    axis::{Axis, ScaledAxis},
    downsample::downsampled,
};
use crate::learn::report::canvas::{Align, Canvas, Color, Error, Font, Picture, Point, Stroke, width};

/// A line chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// The curves; named ones appear in the legend.
    pub series: Vec<Series>,
    /// Vertical marker lines: x values with their labels.
    pub events: Vec<(f64, String)>,
    /// Width and height.
    pub size: (f64, f64),
}

impl Chart {
    /// A chart of the default size, without events.
    #[must_use]
    pub fn new(x: Axis, y: Axis, series: Vec<Series>) -> Self {
        Self {
            x,
            y,
            series,
            events: vec![],
            size: (680.0, 300.0),
        }
    }
}

/// One curve.
#[derive(Clone, Debug)]
pub struct Series {
    /// Name in the legend; empty: not in the legend.
    pub name: String,
    /// Points, in the order in which they are connected.
    pub points: Vec<(f64, f64)>,
    /// Line style.
    pub style: LineStyle,
    /// Colour.
    pub color: Color,
}

impl Series {
    /// A line in series colour number `colour`.
    #[must_use]
    pub fn line(name: &str, colour: usize, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.to_owned(),
            points,
            style: LineStyle::Line,
            color: Color::Series(colour),
        }
    }

    /// Sets the line style.
    #[must_use]
    pub fn with_style(self, style: LineStyle) -> Self {
        Self { style, ..self }
    }
}

/// Style of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineStyle {
    /// A line.
    Line,
    /// A faint line behind the others.
    Background,
    /// A line with a dot at each point, for few points.
    LineAndDots,
    /// A dot at each point, without a line.
    Dots,
}

/// Most points that are drawn of a curve: about one per pixel.
const MOST_POINTS: usize = 1200;
const TICKS: (usize, usize) = (7, 5);

impl Picture for Chart {
    fn size(&self) -> (f64, f64) {
        self.size
    }

    fn draw(&self, canvas: &dyn Canvas) -> Result<(), Error> {
        let plot = Plot::new(self);
        plot.axes(canvas)?;
        plot.legend(canvas)?;
        for (at, name) in &self.events {
            plot.event(canvas, *at, name)?;
        }
        let behind = |series: &&Series| series.style == LineStyle::Background;
        for series in self.series.iter().filter(behind) {
            plot.series(canvas, series)?;
        }
        for series in self.series.iter().filter(|series| !behind(series)) {
            plot.series(canvas, series)?;
        }
        Ok(())
    }
}

/// A chart with scaled axes and the frame of its plot area.
struct Plot<'a> {
    chart: &'a Chart,
    x: ScaledAxis,
    y: ScaledAxis,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl<'a> Plot<'a> {
    fn new(chart: &'a Chart) -> Self {
        let points = || chart.series.iter().flat_map(|series| series.points.iter());
        let x = chart.x.over(points().map(|point| point.0));
        let y = chart.y.over(points().map(|point| point.1)).with_room();
        let names = y.ticks(TICKS.1);
        let widest = names
            .iter()
            .map(|(_, name)| width(name, FONT_SIZE))
            .fold(0.0, f64::max);
        let (total_width, total_height) = chart.size;
        let has_legend = chart.series.iter().any(|series| !series.name.is_empty());
        let above = if has_legend { FONT_SIZE + 2.0 * GAP } else { 0.0 };
        let events = if chart.events.is_empty() {
            0.0
        } else {
            FONT_SIZE + GAP
        };
        Self {
            chart,
            x,
            y,
            left: FONT_SIZE + GAP + widest + 2.0 * GAP,
            right: total_width - 3.0 * GAP,
            top: above + FONT_SIZE / 2.0 + GAP + events,
            bottom: total_height - 2.0 * (FONT_SIZE + GAP) - GAP,
        }
    }

    fn place(&self, (x, y): (f64, f64)) -> Option<Point> {
        Some((self.across(x)?, self.upwards(y)?))
    }

    fn across(&self, value: f64) -> Option<f64> {
        Some(self.left + self.x.place(value)? * (self.right - self.left))
    }

    fn upwards(&self, value: f64) -> Option<f64> {
        Some(self.bottom - self.y.place(value)? * (self.bottom - self.top))
    }

    fn axes(&self, canvas: &dyn Canvas) -> Result<(), Error> {
        let font = |align| Font::new(FONT_SIZE, Color::Faint, align);
        let hair = |color| Stroke {
            color,
            width: 1.0,
            opacity: 1.0,
        };
        for (value, name) in self.y.ticks(TICKS.1) {
            let Some(y) = self.upwards(value) else { continue };
            canvas.line(&[(self.left, y), (self.right, y)], hair(Color::Grid))?;
            canvas.word(&name, (self.left - 1.5 * GAP, y), font(Align::End))?;
        }
        canvas.line(
            &[(self.left, self.bottom), (self.right, self.bottom)],
            hair(Color::Faint),
        )?;
        for (value, name) in self.x.ticks(TICKS.0) {
            let Some(x) = self.across(value) else { continue };
            canvas.line(&[(x, self.bottom), (x, self.bottom + GAP)], hair(Color::Faint))?;
            let below = self.bottom + 1.5 * GAP + FONT_SIZE / 2.0;
            canvas.word(&name, (x, below), font(Align::Middle))?;
        }
        let (_, height) = self.chart.size;
        let middle = f64::midpoint(self.left, self.right);
        canvas.word(
            &self.chart.x.label,
            (middle, height - FONT_SIZE / 2.0 - 1.0),
            font(Align::Middle),
        )?;
        let upright = Font {
            is_upright: true,
            ..font(Align::Middle)
        };
        let middle = f64::midpoint(self.top, self.bottom);
        canvas.word(&self.chart.y.label, (FONT_SIZE / 2.0, middle), upright)
    }

    /// Draws the legend above the frame.
    fn legend(&self, canvas: &dyn Canvas) -> Result<(), Error> {
        const SWATCH: f64 = 22.0;
        let mut x = self.left;
        let y = FONT_SIZE / 2.0 + 2.0;
        for series in self.chart.series.iter().filter(|series| !series.name.is_empty()) {
            let stroke = stroke(series);
            let middle = (x + SWATCH / 2.0, y);
            if series.style != LineStyle::Dots {
                canvas.line(&[(x, y), (x + SWATCH, y)], stroke)?;
            }
            if matches!(series.style, LineStyle::LineAndDots | LineStyle::Dots) {
                canvas.disc(middle, DOT, series.color)?;
            }
            x += SWATCH + GAP;
            canvas.word(
                &series.name,
                (x, y),
                Font::new(FONT_SIZE, Color::Text, Align::Start),
            )?;
            x += width(&series.name, FONT_SIZE) + 4.0 * GAP;
        }
        Ok(())
    }

    /// Draws a vertical line with a label above it.
    fn event(&self, canvas: &dyn Canvas, at: f64, name: &str) -> Result<(), Error> {
        let Some(x) = self.across(at) else { return Ok(()) };
        let stroke = Stroke {
            color: Color::Faint,
            width: 1.0,
            opacity: 0.6,
        };
        canvas.line(&[(x, self.top), (x, self.bottom)], stroke)?;
        let half = width(name, FONT_SIZE) / 2.0;
        let x = x.clamp(self.left + half, (self.right - half).max(self.left + half));
        let above = (x, self.top - FONT_SIZE / 2.0 - 2.0);
        canvas.word(name, above, Font::new(FONT_SIZE, Color::Faint, Align::Middle))
    }

    fn series(&self, canvas: &dyn Canvas, series: &Series) -> Result<(), Error> {
        let points = downsampled(&series.points, MOST_POINTS);
        if series.style != LineStyle::Dots {
            // A value that cannot be shown is a gap.
            let mut stretch = vec![];
            for place in points.iter().map(|&point| self.place(point)).chain([None]) {
                match place {
                    Some(place) => stretch.push(place),
                    None if stretch.len() > 1 => {
                        canvas.line(&std::mem::take(&mut stretch), stroke(series))?;
                    }
                    None => stretch.clear(),
                }
            }
        }
        if matches!(series.style, LineStyle::LineAndDots | LineStyle::Dots) || points.len() == 1 {
            for place in points.iter().filter_map(|&point| self.place(point)) {
                canvas.disc(place, DOT, series.color)?;
            }
        }
        Ok(())
    }
}

const DOT: f64 = 3.5;

fn stroke(series: &Series) -> Stroke {
    let (width, opacity) = match series.style {
        LineStyle::Background => (1.0, 0.35),
        _ => (2.0, 1.0),
    };
    Stroke {
        color: series.color,
        width,
        opacity,
    }
}
