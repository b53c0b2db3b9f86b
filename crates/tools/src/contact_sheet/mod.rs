//! Grids of captioned images.

mod text;

use image::{Rgb, RgbImage, imageops};

use self::text::{TextStyle, write};

/// A grid of captioned images below a title.
#[derive(Clone, Debug)]
pub struct ContactSheet {
    /// Lines above the grid.
    pub title: Vec<String>,
    /// Images per row.
    pub columns: u32,
    /// Tiles in reading order. All images have the size of the first.
    pub tiles: Vec<Tile>,
}

/// An image and its caption.
#[derive(Clone, Debug)]
pub struct Tile {
    /// The image.
    pub picture: RgbImage,
    /// The caption: a label, then details.
    pub lines: Vec<String>,
}

const BACKGROUND: Rgb<u8> = Rgb([255, 255, 255]);
const FOREGROUND: Rgb<u8> = Rgb([31, 35, 40]);
const MUTED: Rgb<u8> = Rgb([89, 99, 110]);
const MARGIN: u32 = 20;
const GAP: u32 = 12;
const TITLE: TextStyle = TextStyle::new(22.0, FOREGROUND);
const SUBTITLE: TextStyle = TextStyle::new(17.0, MUTED);
const LABEL: TextStyle = TextStyle::new(18.0, FOREGROUND);
const DETAIL: TextStyle = TextStyle::new(15.0, MUTED);
/// Images narrower than this many pixels are enlarged by an integer factor, to leave room for captions.
const MIN_SIDE: u32 = 160;

impl ContactSheet {
    /// The number of columns of a nearly square sheet of `count` images.
    #[must_use]
    pub fn square(count: usize) -> u32 {
        (1..)
            .find(|columns| *columns as usize * *columns as usize >= count)
            .unwrap_or(1)
    }

    /// Renders the sheet.
    #[must_use]
    pub fn draw(&self) -> RgbImage {
        let columns = self
            .columns
            .max(1)
            .min(u32::try_from(self.tiles.len()).unwrap_or(u32::MAX).max(1));
        let (width, height) = self
            .tiles
            .first()
            .map_or((MIN_SIDE, MIN_SIDE), |tile| tile.picture.dimensions());
        let times = MIN_SIDE.div_ceil(width.max(1)).max(1);
        let (width, height) = (width * times, height * times);
        let lines = self.tiles.iter().map(|tile| tile.lines.len()).max().unwrap_or(0);
        let below: u32 = (0..lines).map(|line| label(line).leading()).sum();
        let above: u32 = (0..self.title.len()).map(|line| heading(line).leading()).sum();
        let rows = u32::try_from(self.tiles.len())
            .unwrap_or(u32::MAX)
            .div_ceil(columns);
        let top = MARGIN + above + if above > 0 { GAP } else { 0 };
        let mut sheet = RgbImage::from_pixel(
            2 * MARGIN + columns * (width + GAP) - GAP,
            top + rows * (height + below + 2 * GAP) - GAP + MARGIN,
            BACKGROUND,
        );
        let mut y = MARGIN;
        for (line, text) in self.title.iter().enumerate() {
            let room = sheet.width() - 2 * MARGIN;
            write(&mut sheet, text, (MARGIN, y), (heading(line), room));
            y += heading(line).leading();
        }
        for (place, tile) in (0..).zip(&self.tiles) {
            let x = MARGIN + place % columns * (width + GAP);
            let y = top + place / columns * (height + below + 2 * GAP);
            let picture = if times == 1 {
                &tile.picture
            } else {
                &imageops::resize(&tile.picture, width, height, imageops::FilterType::Nearest)
            };
            imageops::replace(&mut sheet, picture, x.into(), y.into());
            let mut y = y + height + GAP / 2;
            for (line, text) in tile.lines.iter().enumerate() {
                write(&mut sheet, text, (x, y), (label(line), width));
                y += label(line).leading();
            }
        }
        sheet
    }
}

fn heading(line: usize) -> TextStyle {
    if line == 0 { TITLE } else { SUBTITLE }
}

fn label(line: usize) -> TextStyle {
    if line == 0 { LABEL } else { DETAIL }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(count: usize, side: u32) -> ContactSheet {
        let tile = |number: usize| Tile {
            picture: RgbImage::from_pixel(side, side, Rgb([200, number as u8, 0])),
            lines: vec![format!("class {number}"), "rotate 12.3°".to_owned()],
        };
        ContactSheet {
            title: vec!["A title".to_owned(), "and more".to_owned()],
            columns: ContactSheet::square(count),
            tiles: (0..count).map(tile).collect(),
        }
    }

    #[test]
    fn every_image_is_drawn_in_full_and_captions_do_not_overlap() {
        for (count, side) in [(1, 224), (5, 224), (25, 32), (7, 161)] {
            let drawn = sheet(count, side).draw();
            let times = 160_u32.div_ceil(side);
            for number in 0..count {
                let pixels = drawn
                    .pixels()
                    .filter(|pixel| pixel.0 == [200, number as u8, 0])
                    .count();
                assert_eq!(pixels as u32, side * side * times * times, "{number} of {count}");
            }
            let dark = drawn
                .pixels()
                .filter(|pixel| pixel.0[0] < 80 && pixel.0[2] > 30)
                .count();
            assert!(dark > 100, "{dark} pixels of text");
        }
    }

    #[test]
    fn a_sheet_is_nearly_square() {
        assert_eq!(
            [0, 1, 2, 4, 5, 25, 26].map(ContactSheet::square),
            [1, 1, 2, 2, 3, 5, 6]
        );
    }

    #[test]
    fn an_empty_sheet_has_only_a_title() {
        let drawn = sheet(0, 1).draw();
        assert!(drawn.height() < 300 && drawn.width() > 100);
    }

    #[test]
    fn long_captions_are_truncated() {
        let mut long = sheet(2, 200);
        for tile in &mut long.tiles {
            tile.lines[0] = "i".repeat(500);
        }
        let drawn = long.draw();
        let between = MARGIN + 200..MARGIN + 200 + GAP;
        assert!(
            between
                .into_iter()
                .all(|x| (0..drawn.height()).all(|y| y < 90 || drawn.get_pixel(x, y).0 == BACKGROUND.0))
        );
    }
}
