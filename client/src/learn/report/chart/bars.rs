//! Grouped horizontal bar charts.

use super::{
    FONT_SIZE, GAP,
    axis::{Axis, ScaledAxis},
};
use crate::learn::report::canvas::{Align, Canvas, Color, Error, Font, Picture, Stroke, width};

/// A grouped horizontal bar chart.
#[derive(Clone, Debug)]
pub struct Bars {
    /// Axis of the values.
    pub axis: Axis,
    /// Legend: the name of each bar of a group.
    pub kinds: Vec<String>,
    /// Groups, from top to bottom.
    pub groups: Vec<BarGroup>,
}

/// A group of bars.
#[derive(Clone, Debug)]
pub struct BarGroup {
    /// Label of the group.
    pub name: String,
    /// Values of the bars, with the text beside each.
    pub values: Vec<(f64, String)>,
}

const WIDTH: f64 = 680.0;
const THICKNESS: f64 = 16.0;
const TICKS: usize = 6;
/// Longer names are truncated, to leave space for the bars.
const LONGEST_NAME: usize = 28;

impl Bars {
    fn group_height(&self) -> f64 {
        self.kinds.len() as f64 * (THICKNESS + 2.0) + 2.0 * GAP
    }

    fn top(&self) -> f64 {
        FONT_SIZE + 3.0 * GAP
    }

    fn bottom(&self) -> f64 {
        self.top() + self.groups.len() as f64 * self.group_height()
    }

    fn legend(&self, canvas: &dyn Canvas, left: f64) -> Result<(), Error> {
        let (mut x, y) = (left, FONT_SIZE / 2.0 + 2.0);
        for (number, kind) in self.kinds.iter().enumerate() {
            canvas.rectangle([(x, y - 6.0), (x + 12.0, y + 6.0)], Color::Series(number))?;
            x += 12.0 + GAP;
            canvas.word(kind, (x, y), Font::new(FONT_SIZE, Color::Text, Align::Start))?;
            x += width(kind, FONT_SIZE) + 4.0 * GAP;
        }
        Ok(())
    }

    fn grid(
        &self,
        canvas: &dyn Canvas,
        scaled_axis: &ScaledAxis,
        (left, right): (f64, f64),
    ) -> Result<(), Error> {
        let (top, bottom) = (self.top(), self.bottom());
        for (value, name) in scaled_axis.ticks(TICKS) {
            let Some(place) = scaled_axis.place(value) else {
                continue;
            };
            let x = left + place * (right - left);
            let stroke = Stroke {
                color: Color::Grid,
                width: 1.0,
                opacity: 1.0,
            };
            canvas.line(&[(x, top), (x, bottom)], stroke)?;
            let font = Font::new(FONT_SIZE, Color::Faint, Align::Middle);
            canvas.word(&name, (x, bottom + GAP + FONT_SIZE / 2.0), font)?;
        }
        let font = Font::new(FONT_SIZE, Color::Faint, Align::Middle);
        let below = bottom + 2.0 * GAP + FONT_SIZE * 1.5;
        canvas.word(&self.axis.label, (f64::midpoint(left, right), below), font)
    }
}

impl Picture for Bars {
    fn size(&self) -> (f64, f64) {
        (WIDTH, self.bottom() + 2.0 * FONT_SIZE + 3.0 * GAP)
    }

    fn draw(&self, canvas: &dyn Canvas) -> Result<(), Error> {
        let values = || self.groups.iter().flat_map(|group| &group.values);
        let scaled_axis = self.axis.over(values().map(|(value, _)| *value));
        let names: Vec<String> = self.groups.iter().map(|group| shortened(&group.name)).collect();
        let widest = names
            .iter()
            .map(|name| width(name, FONT_SIZE))
            .fold(0.0, f64::max);
        let behind = values()
            .map(|(_, text)| width(text, FONT_SIZE))
            .fold(0.0, f64::max);
        let (left, right) = (widest + 2.0 * GAP, WIDTH - behind - 2.0 * GAP);
        self.legend(canvas, left)?;
        self.grid(canvas, &scaled_axis, (left, right))?;
        let mut y = self.top();
        for (group, name) in self.groups.iter().zip(&names) {
            let middle = y + self.group_height() / 2.0;
            let font = Font::new(FONT_SIZE, Color::Text, Align::End);
            canvas.word(name, (left - GAP, middle), font)?;
            let mut bar = y + GAP;
            for (number, (value, text)) in group.values.iter().enumerate() {
                let end = left + scaled_axis.place(*value).unwrap_or(0.0) * (right - left);
                canvas.rectangle(
                    [(left, bar), (end.max(left + 1.0), bar + THICKNESS)],
                    Color::Series(number),
                )?;
                let font = Font::new(FONT_SIZE, Color::Text, Align::Start);
                canvas.word(text, (end + GAP, bar + THICKNESS / 2.0), font)?;
                bar += THICKNESS + 2.0;
            }
            y += self.group_height();
        }
        let stroke = Stroke {
            color: Color::Faint,
            width: 1.0,
            opacity: 1.0,
        };
        canvas.line(&[(left, self.top()), (left, self.bottom())], stroke)
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}
