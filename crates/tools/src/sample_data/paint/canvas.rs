//! The canvas: fills, strokes, layers, shadows and blur.

use tiny_skia::{
    BlendMode, Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Pixmap,
    RadialGradient, Shader, SpreadMode, Stroke, Transform,
};

use super::outline::Outline;
use super::{Colour, Placement, Point};

/// The paint of a fill or stroke. Points and lengths are in the units of the shape.
#[derive(Clone, Debug)]
pub(crate) struct FillStyle {
    pattern: Pattern,
    blend: BlendMode,
}

#[derive(Clone, Debug)]
enum Pattern {
    Flat(Color),
    Linear(Point, Point, Vec<GradientStop>),
    Radial(Point, f32, Vec<GradientStop>),
}

impl FillStyle {
    /// A solid colour.
    pub(crate) fn flat(colour: Colour) -> Self {
        Self::veil(colour, 1.0)
    }

    /// A solid colour with an opacity.
    pub(crate) fn veil(colour: Colour, alpha: f32) -> Self {
        Self::of(Pattern::Flat(colour.with_alpha(alpha)))
    }

    /// Linear gradient between two colours with opacities.
    pub(crate) fn linear(from: Point, to: Point, ends: [(Colour, f32); 2]) -> Self {
        Self::of(Pattern::Linear(from, to, stops(&ends)))
    }

    /// Linear gradient of evenly spaced colours from `from` to `to`.
    pub(crate) fn ramp(from: Point, to: Point, colours: &[Colour]) -> Self {
        let opaque: Vec<_> = colours.iter().map(|&colour| (colour, 1.0)).collect();
        Self::of(Pattern::Linear(from, to, stops(&opaque)))
    }

    /// Radial gradient from one colour at `centre` to another at `radius`, with opacities.
    pub(crate) fn radial(centre: Point, radius: f32, ends: [(Colour, f32); 2]) -> Self {
        Self::of(Pattern::Radial(centre, radius, stops(&ends)))
    }

    /// Paints only where the layer is already covered (source atop).
    pub(crate) fn inside(self) -> Self {
        Self {
            blend: BlendMode::SourceAtop,
            ..self
        }
    }

    fn of(pattern: Pattern) -> Self {
        Self {
            pattern,
            blend: BlendMode::SourceOver,
        }
    }

    fn paint(&self) -> Paint<'static> {
        let mut paint = Paint {
            blend_mode: self.blend,
            ..Paint::default()
        };
        let point = |p: Point| tiny_skia::Point::from_xy(p.0, p.1);
        // A gradient without extent has no direction: its last colour stands for it.
        let shader = match &self.pattern {
            Pattern::Flat(colour) => Some(Shader::SolidColor(*colour)),
            Pattern::Linear(from, to, stops) => LinearGradient::new(
                point(*from),
                point(*to),
                stops.clone(),
                SpreadMode::Pad,
                Transform::identity(),
            ),
            Pattern::Radial(centre, radius, stops) => RadialGradient::new(
                point(*centre),
                0.0,
                point(*centre),
                *radius,
                stops.clone(),
                SpreadMode::Pad,
                Transform::identity(),
            ),
        };
        if let Some(shader) = shader {
            paint.shader = shader;
        }
        paint
    }
}

fn stops(colours: &[(Colour, f32)]) -> Vec<GradientStop> {
    let last = (colours.len() - 1).max(1) as f32;
    let stop = |(i, &(colour, alpha)): (usize, &(Colour, f32))| {
        GradientStop::new(i as f32 / last, colour.with_alpha(alpha))
    };
    colours.iter().enumerate().map(stop).collect()
}

/// A layer of premultiplied RGBA pixels, initially transparent.
#[derive(Clone, Debug)]
pub(crate) struct Canvas {
    pixmap: Pixmap,
}

impl Canvas {
    /// A transparent canvas of at least one pixel.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self {
            pixmap: Pixmap::new(width, height).expect("a picture has a few hundred thousand pixels"),
        }
    }

    /// A transparent canvas of the same size.
    pub(crate) fn layer(&self) -> Self {
        Self::new(self.pixmap.width(), self.pixmap.height())
    }

    pub(crate) fn width(&self) -> f32 {
        self.pixmap.width() as f32
    }

    pub(crate) fn height(&self) -> f32 {
        self.pixmap.height() as f32
    }

    /// The shorter side.
    pub(crate) fn short(&self) -> f32 {
        self.width().min(self.height())
    }

    /// The pixels as premultiplied RGBA.
    pub(crate) fn pixels(&self) -> &[u8] {
        self.pixmap.data()
    }

    /// Fills the whole canvas; the points of the style are in pixels.
    pub(crate) fn flood(&mut self, style: &FillStyle) {
        let (width, height) = (self.width(), self.height());
        let all = super::outline::polygon(&[(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]);
        self.fill(&all, style, Placement::at(0.0, 0.0, 1.0));
    }

    /// Fills an outline.
    pub(crate) fn fill(&mut self, outline: &Outline, style: &FillStyle, at: Placement) {
        if let Some(path) = outline {
            self.pixmap
                .fill_path(path, &style.paint(), FillRule::Winding, at.transform(), None);
        }
    }

    /// Strokes an outline with a round pen of `width`, in the units of the shape.
    pub(crate) fn stroke(&mut self, outline: &Outline, width: f32, style: &FillStyle, at: Placement) {
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        if let Some(path) = outline {
            self.pixmap
                .stroke_path(path, &style.paint(), &stroke, at.transform(), None);
        }
    }

    /// Composites `layer` over this canvas.
    pub(crate) fn lay(&mut self, layer: &Self) {
        self.lay_at(layer, (0, 0));
    }

    /// Composites the shadow of `layer` over this canvas: shifted by `offset` pixels, blurred, with opacity `alpha`.
    pub(crate) fn lay_shadow(&mut self, layer: &Self, offset: (i32, i32), soft: usize, alpha: f32) {
        let mut shadow = layer.clone();
        let strength = (alpha * 256.0) as u16;
        for pixel in shadow.pixmap.data_mut().chunks_exact_mut(4) {
            let opacity = ((u16::from(pixel[3]) * strength) >> 8) as u8;
            pixel.copy_from_slice(&[0, 0, 0, opacity]);
        }
        shadow.blur(soft);
        self.lay_at(&shadow, offset);
    }

    /// Source-over compositing of premultiplied pixels, in integer arithmetic.
    fn lay_at(&mut self, layer: &Self, (x, y): (i32, i32)) {
        let (width, height) = (self.pixmap.width() as i32, self.pixmap.height() as i32);
        let columns = x.max(0)..(layer.pixmap.width() as i32 + x).min(width);
        for row in y.max(0)..(layer.pixmap.height() as i32 + y).min(height) {
            let below = (row * width + columns.start) as usize * 4;
            let above = ((row - y) * layer.pixmap.width() as i32 + columns.start - x) as usize * 4;
            let length = columns.len() * 4;
            let above = &layer.pixmap.data()[above..above + length];
            let below = &mut self.pixmap.data_mut()[below..below + length];
            for (source, target) in above.chunks_exact(4).zip(below.chunks_exact_mut(4)) {
                let rest = 255 - u32::from(source[3]);
                for c in 0..4 {
                    let product = u32::from(target[c]) * rest + 128;
                    target[c] = source[c] + ((product + (product >> 8)) >> 8) as u8;
                }
            }
        }
    }

    /// Blurs by two box filters of `2 * radius + 1` pixels in each direction; edges are replicated.
    pub(crate) fn blur(&mut self, radius: usize) {
        let width = self.pixmap.width() as usize;
        super::blur::blur(self.pixmap.data_mut(), width, radius);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_data::paint::outline;

    #[test]
    fn blur_keeps_a_flat_canvas_and_softens_an_edge() {
        let mut flat = Canvas::new(20, 10);
        flat.flood(&FillStyle::flat(Colour::grey(0.5)));
        let before = flat.clone();
        flat.blur(3);
        assert_eq!(flat.pixels(), before.pixels());

        let mut edge = Canvas::new(20, 1);
        edge.fill(
            &outline::polygon(&[(0.0, 0.0), (10.0, 0.0), (10.0, 1.0), (0.0, 1.0)]),
            &FillStyle::flat(Colour::WHITE),
            Placement::at(0.0, 0.0, 1.0),
        );
        edge.blur(2);
        let alphas: Vec<_> = edge.pixels().chunks_exact(4).map(|pixel| pixel[3]).collect();
        assert!(alphas.is_sorted_by(|a, b| a >= b), "{alphas:?}");
        assert!(
            alphas[9] < 255 && alphas[10] > 0 && alphas[0] == 255 && alphas[19] == 0,
            "{alphas:?}"
        );
    }

    #[test]
    fn ink_inside_stays_inside() {
        let mut canvas = Canvas::new(4, 1);
        let square = outline::polygon(&[(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.0, 1.0)]);
        canvas.fill(
            &square,
            &FillStyle::flat(Colour::BLACK),
            Placement::at(0.0, 0.0, 1.0),
        );
        canvas.flood(&FillStyle::flat(Colour::WHITE).inside());
        assert_eq!(
            canvas.pixels(),
            [255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }
}
