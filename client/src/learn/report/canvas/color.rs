//! Colours, and their light values.

use plotters::style::RGBColor;

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

    pub(super) fn all() -> impl Iterator<Item = Self> {
        let plain = [Self::Paper, Self::Text, Self::Faint, Self::Grid];
        let words = [Shade::Pale, Shade::Half, Shade::Full].map(Self::OnShade);
        let series = (0..SERIES.len()).map(Self::Series);
        plain
            .into_iter()
            .chain(words)
            .chain(series)
            .chain((0..=100).map(Self::Shade))
    }

    pub(super) fn rgb(self) -> RGBColor {
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
    pub(super) fn variable(self) -> String {
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

#[cfg(test)]
mod tests {
    use plotters::style::Color as _;

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
