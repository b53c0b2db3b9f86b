use proptest::prelude::*;

use super::*;

fn pixel_ops() -> impl Strategy<Value = PixelOp> {
    let hole = || {
        (0.01f64..0.9, 0.01f64..0.9, 0.0f64..1.0, 0.0f64..1.0).prop_map(|(height, width, row, column)| {
            EraseRect {
                height,
                width,
                row,
                column,
            }
        })
    };
    prop_oneof![
        (0.0f32..2.0).prop_map(PixelOp::Brightness),
        (0.0f32..2.0).prop_map(PixelOp::Contrast),
        (0.0f32..2.0).prop_map(PixelOp::Saturation),
        (0.0f32..2.0).prop_map(PixelOp::Sharpness),
        (-1.0f32..1.0).prop_map(PixelOp::Hue),
        (0u8..9).prop_map(PixelOp::Posterize),
        (0.0f32..256.0).prop_map(PixelOp::Solarize),
        Just(PixelOp::AutoContrast),
        Just(PixelOp::Equalize),
        (0.1f32..5.0).prop_map(PixelOp::Blur),
        hole().prop_map(PixelOp::Erase),
    ]
}

#[test]
fn touches_of_no_strength_change_nothing() {
    let pixels: Vec<u8> = (0..12 * 12 * 3).map(|at| (at * 37 % 256) as u8).collect();
    for touch in [
        PixelOp::Brightness(1.0),
        PixelOp::Contrast(1.0),
        PixelOp::Saturation(1.0),
        PixelOp::Sharpness(1.0),
        PixelOp::Hue(0.0),
        PixelOp::Posterize(8),
        PixelOp::Solarize(256.0),
    ] {
        let mut touched = pixels.clone();
        apply(&[touch], &mut touched, 12);
        assert_eq!(touched, pixels, "{touch:?}");
    }
}

#[test]
fn an_erased_rectangle_is_filled_and_nothing_else() {
    let hole = EraseRect {
        height: 0.5,
        width: 0.25,
        row: 1.0,
        column: 0.0,
    };
    let mut pixels = vec![7; 8 * 8 * 3];
    apply(&[PixelOp::Erase(hole)], &mut pixels, 8);
    for (at, pixel) in pixels.chunks(3).enumerate() {
        let is_inside = at / 8 >= 4 && at % 8 < 2;
        assert_eq!(pixel, if is_inside { erase::FILL } else { [7; 3] }, "{at}");
    }
}

#[test]
fn a_whole_turn_of_the_hue_by_thirds_exchanges_the_channels() {
    let mut pixels = vec![200, 100, 30];
    apply(&[PixelOp::Hue(1.0 / 3.0)], &mut pixels, 1);
    assert_eq!(pixels, [30, 200, 100]);
    apply(&[PixelOp::Hue(2.0 / 3.0)], &mut pixels, 1);
    assert_eq!(pixels, [200, 100, 30]);
}

proptest! {
    #[test]
    fn any_touch_of_any_size_keeps_flat_grey_flat(touch in pixel_ops(), size in 1usize..20, grey in any::<u8>()) {
        let mut pixels = vec![grey; size * size * 3];
        apply(&[touch], &mut pixels, size);
        let is_hole = matches!(touch, PixelOp::Erase(_));
        prop_assert!(is_hole || pixels.iter().all(|value| *value == pixels[0]), "{:?}", touch);
    }
}
