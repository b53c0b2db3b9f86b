//! A draw in a few words, for captions.

use super::{Draw, Length, Move};
use crate::retouch::Touch;

impl Draw {
    /// What happens to the image, in the order in which it does; empty where nothing does but a crop.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![];
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
        words.extend(self.moves.iter().map(moved));
        words.extend(self.touches.iter().map(touched));
        words
    }
}

fn moved(step: &Move) -> String {
    let length = |length: &Length| match length {
        Length::Pixels(pixels) => format!("{pixels:.0} px"),
        Length::Part(part) => format!("{:.0} %", part * 100.0),
    };
    match step {
        Move::Dihedral(number) => format!("symmetry {number}"),
        Move::ShearX(shear) => format!("shear x {shear:.2}"),
        Move::ShearY(shear) => format!("shear y {shear:.2}"),
        Move::TranslateX(right) => format!("right by {}", length(right)),
        Move::TranslateY(down) => format!("down by {}", length(down)),
        Move::Turn(degrees) => format!("turn {degrees:.1}°"),
    }
}

fn touched(touch: &Touch) -> String {
    match touch {
        Touch::Brightness(factor) => format!("brightness × {factor:.2}"),
        Touch::Contrast(factor) => format!("contrast × {factor:.2}"),
        Touch::Saturation(factor) => format!("saturation × {factor:.2}"),
        Touch::Sharpness(factor) => format!("sharpness {factor:.2}"),
        Touch::Hue(turn) => format!("hue {:+.0}°", turn * 360.0),
        Touch::Posterize(bits) => format!("posterize to {bits} bits"),
        Touch::Solarize(threshold) => format!("solarize from {threshold:.0}"),
        Touch::AutoContrast => "auto contrast".to_owned(),
        Touch::Equalize => "equalize".to_owned(),
        Touch::Blur(sigma) => format!("blur {sigma:.1} px"),
        Touch::Erase(_) => "erase".to_owned(),
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
    fn what_happens_is_said_in_its_order_and_nothing_else() {
        let draw = Draw {
            rotate: Some(Rotate { degrees: -12.34 }),
            brightness: Some(0.55),
            flip: true,
            moves: vec![Move::Turn(3.0)],
            touches: vec![Touch::Hue(0.25)],
            ..Draw::identity()
        };
        assert_eq!(
            draw.words(),
            [
                "rotate -12.3°",
                "brightness 0.550",
                "flip",
                "turn 3.0°",
                "hue +90°"
            ]
        );
        assert_eq!(Draw::identity().words(), Vec::<String>::new());
    }

    #[test]
    fn every_part_of_every_preset_has_words() {
        for recipe in [
            "fastai p_affine=1 p_lighting=1",
            "randaugment",
            "trivialaugment",
            "resized_crop erase(p=1) jitter blur(p=1) grayscale",
            "dihedral",
        ] {
            let recipe: Recipe = recipe.parse().expect("a recipe");
            for place in 0..20 {
                let words = recipe
                    .draw(&mut generator(1, Purpose::AUGMENT, &[0, place]))
                    .words();
                assert!(words.iter().all(|word| !word.is_empty()), "{words:?}");
            }
        }
    }
}
