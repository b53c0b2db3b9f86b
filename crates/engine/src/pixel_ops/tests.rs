use proptest::prelude::*;

use super::*;

fn any_op() -> impl Strategy<Value = PixelOp> {
    let rects = || {
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
        rects().prop_map(PixelOp::Erase),
    ]
}

#[test]
fn ops_of_zero_magnitude_are_the_identity() {
    let pixels: Vec<u8> = (0..12 * 12 * 3).map(|at| (at * 37 % 256) as u8).collect();
    for op in [
        PixelOp::Brightness(1.0),
        PixelOp::Contrast(1.0),
        PixelOp::Saturation(1.0),
        PixelOp::Sharpness(1.0),
        PixelOp::Hue(0.0),
        PixelOp::Posterize(8),
        PixelOp::Solarize(256.0),
    ] {
        let mut changed = pixels.clone();
        apply(&[op], &mut changed, 12);
        assert_eq!(changed, pixels, "{op:?}");
    }
}

#[test]
fn only_the_erased_rectangle_is_filled() {
    let rect = EraseRect {
        height: 0.5,
        width: 0.25,
        row: 1.0,
        column: 0.0,
    };
    let mut pixels = vec![7; 8 * 8 * 3];
    apply(&[PixelOp::Erase(rect)], &mut pixels, 8);
    for (at, pixel) in pixels.chunks(3).enumerate() {
        let is_inside = at / 8 >= 4 && at % 8 < 2;
        assert_eq!(pixel, if is_inside { erase::FILL } else { [7; 3] }, "{at}");
    }
}

#[test]
fn hue_shifts_by_a_third_rotate_the_channels() {
    let mut pixels = vec![200, 100, 30];
    apply(&[PixelOp::Hue(1.0 / 3.0)], &mut pixels, 1);
    assert_eq!(pixels, [30, 200, 100]);
    apply(&[PixelOp::Hue(2.0 / 3.0)], &mut pixels, 1);
    assert_eq!(pixels, [200, 100, 30]);
}

proptest! {
    #[test]
    fn any_op_at_any_size_keeps_uniform_grey_uniform(op in any_op(), size in 1usize..20, grey in any::<u8>()) {
        let mut pixels = vec![grey; size * size * 3];
        apply(&[op], &mut pixels, size);
        let is_erased = matches!(op, PixelOp::Erase(_));
        prop_assert!(is_erased || pixels.iter().all(|value| *value == pixels[0]), "{:?}", op);
    }
}
