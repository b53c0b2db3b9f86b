use proptest::prelude::*;

use super::*;

fn touches() -> impl Strategy<Value = Touch> {
    let hole = || {
        (0.01f64..0.9, 0.01f64..0.9, 0.0f64..1.0, 0.0f64..1.0).prop_map(|(height, width, row, column)| Hole {
            height,
            width,
            row,
            column,
        })
    };
    prop_oneof![
        (0.0f32..2.0).prop_map(Touch::Brightness),
        (0.0f32..2.0).prop_map(Touch::Contrast),
        (0.0f32..2.0).prop_map(Touch::Saturation),
        (0.0f32..2.0).prop_map(Touch::Sharpness),
        (-1.0f32..1.0).prop_map(Touch::Hue),
        (0u8..9).prop_map(Touch::Posterize),
        (0.0f32..256.0).prop_map(Touch::Solarize),
        Just(Touch::AutoContrast),
        Just(Touch::Equalize),
        (0.1f32..5.0).prop_map(Touch::Blur),
        hole().prop_map(Touch::Erase),
    ]
}

#[test]
fn touches_of_no_strength_change_nothing() {
    let pixels: Vec<u8> = (0..12 * 12 * 3).map(|at| (at * 37 % 256) as u8).collect();
    for touch in [
        Touch::Brightness(1.0),
        Touch::Contrast(1.0),
        Touch::Saturation(1.0),
        Touch::Sharpness(1.0),
        Touch::Hue(0.0),
        Touch::Posterize(8),
        Touch::Solarize(256.0),
    ] {
        let mut touched = pixels.clone();
        apply(&[touch], &mut touched, 12);
        assert_eq!(touched, pixels, "{touch:?}");
    }
}

#[test]
fn an_erased_rectangle_is_filled_and_nothing_else() {
    let hole = Hole {
        height: 0.5,
        width: 0.25,
        row: 1.0,
        column: 0.0,
    };
    let mut pixels = vec![7; 8 * 8 * 3];
    apply(&[Touch::Erase(hole)], &mut pixels, 8);
    for (at, pixel) in pixels.chunks(3).enumerate() {
        let is_inside = at / 8 >= 4 && at % 8 < 2;
        assert_eq!(pixel, if is_inside { erase::FILL } else { [7; 3] }, "{at}");
    }
}

#[test]
fn a_whole_turn_of_the_hue_by_thirds_exchanges_the_channels() {
    let mut pixels = vec![200, 100, 30];
    apply(&[Touch::Hue(1.0 / 3.0)], &mut pixels, 1);
    assert_eq!(pixels, [30, 200, 100]);
    apply(&[Touch::Hue(2.0 / 3.0)], &mut pixels, 1);
    assert_eq!(pixels, [200, 100, 30]);
}

proptest! {
    #[test]
    fn any_touch_of_any_size_keeps_flat_grey_flat(touch in touches(), size in 1usize..20, grey in any::<u8>()) {
        let mut pixels = vec![grey; size * size * 3];
        apply(&[touch], &mut pixels, size);
        let is_hole = matches!(touch, Touch::Erase(_));
        prop_assert!(is_hole || pixels.iter().all(|value| *value == pixels[0]), "{:?}", touch);
    }
}
