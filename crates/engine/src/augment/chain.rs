//! The coordinate changes of which the map of a draw is composed.

use crate::geometry::Projective;

/// Scale and offset that map pixel centres `0..length` of one axis to `[-1, 1]`, with the centres of the border pixels at the ends
/// (`align_corners`). A single pixel is at -1.
fn to_unit(length: u32) -> (f64, f64) {
    if length == 1 {
        (0.0, -1.0)
    } else {
        (2.0 / f64::from(length - 1), -1.0)
    }
}

/// Maps canvas pixel centres to `[-1, 1]` on both axes.
pub(super) fn normalize(canvas: (u32, u32)) -> Projective {
    let (x, y) = (to_unit(canvas.0), to_unit(canvas.1));
    Projective::scale_then_offset([x.0, y.0], [x.1, y.1])
}

/// Maps `[-1, 1]` on both axes to source pixel centres.
pub(super) fn denormalize(source: (u32, u32)) -> Projective {
    let (x, y) = (f64::from(source.0 - 1) / 2.0, f64::from(source.1 - 1) / 2.0);
    Projective::scale_then_offset([x, y], [x, y])
}

/// Maps source pixel centres to canvas pixel centres.
pub(super) fn to_canvas(source: (u32, u32), canvas: (u32, u32)) -> Projective {
    denormalize(canvas).compose(&normalize(source))
}

/// Mirrors the canvas left to right: column `c` shows column `width - 1 - c`.
pub(super) fn flip(canvas: (u32, u32)) -> Projective {
    Projective::scale_then_offset([-1.0, 1.0], [f64::from(canvas.0 - 1), 0.0])
}

/// Maps pixels of the crop to pixels of the canvas.
pub(super) fn place_crop(start: (u32, u32)) -> Projective {
    Projective::scale_then_offset([1.0, 1.0], [f64::from(start.0), f64::from(start.1)])
}

/// Corrects an affine map in normalised coordinates for the aspect ratio, so that a rotation of a non-square canvas does not shear it.
/// Applied once, to the product of all affine parts; offsets are left as they are.
pub(super) fn correct_aspect(affine: &Projective, canvas: (u32, u32)) -> Projective {
    let aspect = f64::from(canvas.1) / f64::from(canvas.0);
    let mut corrected = *affine;
    corrected.0[0][1] *= aspect;
    corrected.0[1][0] /= aspect;
    corrected
}
