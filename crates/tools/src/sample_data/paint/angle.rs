//! Angles and placements, with platform-independent sine and cosine.

use std::f32::consts::TAU;

use tiny_skia::Transform;

/// Cosine and sine of `turns` full turns, within 1e-6.
///
/// Uses additions and multiplications only, since the results of C libraries differ.
pub(crate) fn unit(turns: f32) -> (f32, f32) {
    let quarter = (turns * 4.0).round();
    let x = (turns - quarter * 0.25) * TAU;
    let square = x * x;
    let sin =
        x * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0))));
    let cos = 1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0)));
    match quarter.rem_euclid(4.0) as u8 {
        0 => (cos, sin),
        1 => (-sin, cos),
        2 => (-cos, -sin),
        _ => (sin, -cos),
    }
}

/// Affine placement on the image of a shape drawn around the origin, about one unit large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    transform: Transform,
}

impl Placement {
    /// At `x`, `y`, one unit `scale` pixels long.
    pub(crate) fn at(x: f32, y: f32, scale: f32) -> Self {
        Self {
            transform: Transform::from_row(scale, 0.0, 0.0, scale, x, y),
        }
    }

    /// Translates, in the units of the shape.
    pub(crate) fn moved(self, x: f32, y: f32) -> Self {
        self.with(Transform::from_row(1.0, 0.0, 0.0, 1.0, x, y))
    }

    /// Rotates clockwise around the origin of the shape.
    pub(crate) fn turned(self, turns: f32) -> Self {
        let (cos, sin) = unit(turns);
        self.with(Transform::from_row(cos, sin, -sin, cos, 0.0, 0.0))
    }

    /// Scales along the axes of the shape; a negative factor mirrors.
    pub(crate) fn stretched(self, x: f32, y: f32) -> Self {
        self.with(Transform::from_row(x, 0.0, 0.0, y, 0.0, 0.0))
    }

    /// Approximate pixels per unit: the square root of the determinant.
    pub(crate) fn scale(&self) -> f32 {
        let t = self.transform;
        (t.sx * t.sy - t.kx * t.ky).abs().sqrt()
    }

    /// The origin of the shape, in pixels.
    pub(crate) fn origin(&self) -> super::Point {
        (self.transform.tx, self.transform.ty)
    }

    pub(super) fn transform(&self) -> Transform {
        self.transform
    }

    /// Composition: `self` after `inner`.
    fn with(self, inner: Transform) -> Self {
        let t = self.transform;
        Self {
            transform: Transform::from_row(
                t.sx * inner.sx + t.kx * inner.ky,
                t.ky * inner.sx + t.sy * inner.ky,
                t.sx * inner.kx + t.kx * inner.sy,
                t.ky * inner.kx + t.sy * inner.sy,
                t.sx * inner.tx + t.kx * inner.ty + t.tx,
                t.ky * inner.tx + t.sy * inner.ty + t.ty,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_agrees_with_the_standard_library() {
        for step in -500..500 {
            let turns = step as f32 / 173.0;
            let (cos, sin) = unit(turns);
            let exact = f64::from(turns) * std::f64::consts::TAU;
            assert!((f64::from(cos) - exact.cos()).abs() < 2e-6, "cos of {turns}");
            assert!((f64::from(sin) - exact.sin()).abs() < 2e-6, "sin of {turns}");
        }
    }

    #[test]
    fn placements_apply_from_the_inside_out() {
        let placed = Placement::at(10.0, 20.0, 2.0).turned(0.25).moved(3.0, 0.0);
        let (x, y) = placed.origin();
        assert!((x - 10.0).abs() < 1e-4 && (y - 26.0).abs() < 1e-4, "({x}, {y})");
        assert!((placed.scale() - 2.0).abs() < 1e-5);
    }
}
