//! Short descriptions of a draw, for captions.

use super::{AffineOp, Draw, Length};
use crate::pixel_ops::PixelOp;

impl Draw {
    /// The operations of the draw, in order of application; empty if it only crops.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let mut words = vec![];
        if let Some(value) = self.pad {
            words.push(format!("pad with {value}"));
        }
        if let Some(warp) = self.warp {
            let [right, left, bottom, top] = warp.magnitudes;
            words.push(format!("warp {right:.2} {left:.2} {bottom:.2} {top:.2}"));
        }
        if let Some(rotate) = self.rotate {
            words.push(format!("rotate {:.1}°", rotate.degrees));
        }
        if let Some(zoom) = self.zoom {
            words.push(format!(
                "zoom {:.3} at {:.2}, {:.2}",
                zoom.scale, zoom.column, zoom.row
            ));
        }
        if let Some(brightness) = self.brightness {
            words.push(format!("brightness {brightness:.3}"));
        }
        if let Some(contrast) = self.contrast {
            words.push(format!("contrast {contrast:.3}"));
        }
        if self.flip {
            words.push("flip".to_owned());
        }
        if self.resized_crop.is_some() {
            words.push("resized crop".to_owned());
        }
        words.extend(self.affine_ops.iter().map(affine_op));
        words.extend(self.pixel_ops.iter().map(pixel_op));
        words
    }
}

fn affine_op(op: &AffineOp) -> String {
    let length = |length: &Length| match length {
        Length::Pixels(pixels) => format!("{pixels:.0} px"),
        Length::Fraction(fraction) => format!("{:.0} %", fraction * 100.0),
    };
    match op {
        AffineOp::Dihedral(number) => format!("symmetry {number}"),
        AffineOp::ShearX(shear) => format!("shear x {shear:.2}"),
        AffineOp::ShearY(shear) => format!("shear y {shear:.2}"),
        AffineOp::TranslateX(right) => format!("right by {}", length(right)),
        AffineOp::TranslateY(down) => format!("down by {}", length(down)),
        AffineOp::Rotate(degrees) => format!("rotate {degrees:.1}°"),
    }
}

fn pixel_op(op: &PixelOp) -> String {
    match op {
        PixelOp::Brightness(factor) => format!("brightness × {factor:.2}"),
        PixelOp::Contrast(factor) => format!("contrast × {factor:.2}"),
        PixelOp::Saturation(factor) => format!("saturation × {factor:.2}"),
        PixelOp::Sharpness(factor) => format!("sharpness {factor:.2}"),
        PixelOp::Hue(shift) => format!("hue {:+.0}°", shift * 360.0),
        PixelOp::Posterize(bits) => format!("posterize to {bits} bits"),
        PixelOp::Solarize(threshold) => format!("solarize from {threshold:.0}"),
        PixelOp::AutoContrast => "auto contrast".to_owned(),
        PixelOp::Equalize => "equalize".to_owned(),
        PixelOp::Blur(sigma) => format!("blur {sigma:.1} px"),
        PixelOp::Erase(_) => "erase".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        augment::{Recipe, Rotate},
        random::{Purpose, generator},
    };

    #[test]
    fn operations_are_listed_in_order_of_application() {
        let draw = Draw {
            rotate: Some(Rotate { degrees: -12.34 }),
            brightness: Some(0.55),
            flip: true,
            affine_ops: vec![AffineOp::Rotate(3.0)],
            pixel_ops: vec![PixelOp::Hue(0.25)],
            ..Draw::identity()
        };
        assert_eq!(
            draw.describe(),
            [
                "rotate -12.3°",
                "brightness 0.550",
                "flip",
                "rotate 3.0°",
                "hue +90°"
            ]
        );
        assert_eq!(Draw::identity().describe(), Vec::<String>::new());
    }

    #[test]
    fn every_operation_has_a_description() {
        for recipe in [
            "fastai p_affine=1 p_lighting=1",
            "randaugment",
            "trivialaugment",
            "resized_crop erase(p=1) jitter blur(p=1) grayscale",
            "dihedral pad(128)",
        ] {
            let recipe: Recipe = recipe.parse().expect("a recipe");
            for place in 0..20 {
                let words = recipe
                    .draw(&mut generator(1, Purpose::AUGMENT, &[0, place]))
                    .describe();
                assert!(words.iter().all(|word| !word.is_empty()), "{words:?}");
            }
        }
    }
}
