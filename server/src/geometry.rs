//! Projective maps of the plane.

/// A 3x3 projective map, rows first. It takes output pixel centres `(column, row)` to source pixel centres, both in pixels counted
/// from the centre of the top left pixel, columns to the right and rows down:
/// `(u, v, w) = M (column, row, 1)`, source = `(u / w, v / w)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projective(pub [[f64; 3]; 3]);
