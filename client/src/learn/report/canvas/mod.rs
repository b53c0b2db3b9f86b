//! Drawing surface of pictures, rendered as inline SVG with a page's colours, as an SVG file or as a PNG file.

mod color;
mod render;
mod surface;

pub use color::{Color, Shade};
pub use render::{page_svg, png, svg, width};
pub use surface::{Align, Canvas, Error, Font, Picture, Point, Stroke};
