use proptest::prelude::*;

use super::*;
use crate::geometry::canvas;
use crate::random::{Purpose, generator};

fn assert_near(got: (f64, f64), want: (f64, f64), tolerance: f64) {
    assert!(
        (got.0 - want.0).abs() <= tolerance && (got.1 - want.1).abs() <= tolerance,
        "{got:?}, not {want:?}"
    );
}

/// The steps of the reference, one at a time, for one output pixel.
fn step_by_step(draw: &Draw, source: (u32, u32), target: u32, pixel: (u32, u32)) -> (f64, f64) {
    let canvas = canvas(source, target);
    let (width, height) = (f64::from(canvas.0), f64::from(canvas.1));
    let start = draw.crop.start(canvas, target);
    let (mut column, row) = (f64::from(pixel.0 + start.0), f64::from(pixel.1 + start.1));
    if draw.flip {
        column = width - 1.0 - column;
    }
    let unit = |position: f64, length: f64| {
        if length == 1.0 {
            -1.0
        } else {
            2.0 * position / (length - 1.0) - 1.0
        }
    };
    let (mut x, mut y) = (unit(column, width), unit(row, height));
    if let Some(warp) = draw.warp {
        let [[a, b, c], [d, e, f], [g, h, _]] = warp.matrix().0;
        let denominator = g * x + h * y + 1.0;
        (x, y) = (
            (a * x + b * y + c) / denominator,
            (d * x + e * y + f) / denominator,
        );
    }
    let (sin, cos) = draw
        .rotate
        .map_or(0.0, |rotate| rotate.degrees.to_radians())
        .sin_cos();
    let zoom = draw.zoom.unwrap_or(Zoom {
        scale: 1.0,
        row: 0.5,
        column: 0.5,
    });
    // Zoom first, then rotation; the cross terms carry the aspect ratio of the canvas.
    let (zx, zy) = (x / zoom.scale, y / zoom.scale);
    let room = 1.0 - 1.0 / zoom.scale;
    let (tx, ty) = (room * (2.0 * zoom.column - 1.0), room * (2.0 * zoom.row - 1.0));
    let aspect = height / width;
    let x = cos * zx - sin * aspect * zy + (cos * tx - sin * ty);
    let y = sin / aspect * zx + cos * zy + (sin * tx + cos * ty);
    (
        (x + 1.0) / 2.0 * f64::from(source.0 - 1),
        (y + 1.0) / 2.0 * f64::from(source.1 - 1),
    )
}

#[test]
fn rotation_and_zoom_give_the_matrix_of_the_reference() {
    let zoom = Zoom {
        scale: 1.1,
        row: 0.25,
        column: 0.8,
    };
    let affine = Rotate { degrees: 25.0 }.matrix().compose(&zoom.matrix());
    let corrected = chain::correct_aspect(&affine, (299, 224));
    let expected = [[0.823916, -0.287828, 0.068645], [0.512836, 0.823916, -0.018144]];
    for (entry, want) in corrected.0.iter().flatten().zip(expected.iter().flatten()) {
        assert!((entry - want).abs() < 6e-7, "{corrected:?}");
    }
    assert_near(corrected.apply(-1.0, -1.0), (-0.467444, -1.354896), 1e-6);
    assert_near(corrected.apply(1.0, -1.0), (1.180389, -0.329224), 1e-6);
    assert_near(corrected.apply(1.0, 1.0), (0.604733, 1.318609), 1e-6);
}

#[test]
fn the_identity_draw_maps_an_image_of_the_target_size_to_itself() {
    let map = Draw::identity().map((224, 224), 224);
    assert_near(map.apply(0.0, 0.0), (0.0, 0.0), 1e-12);
    assert_near(map.apply(223.0, 17.0), (223.0, 17.0), 1e-12);
}

#[test]
fn the_centre_crop_of_a_wide_image_shows_its_middle() {
    let map = Draw::identity().map((500, 375), 224);
    // Canvas 299x224, crop from column 38.
    assert_near(map.apply(0.0, 0.0), (38.0 * 499.0 / 298.0, 0.0), 1e-9);
    assert_near(map.apply(223.0, 223.0), (261.0 * 499.0 / 298.0, 374.0), 1e-9);
}

#[test]
fn flipping_mirrors_the_canvas_before_the_crop() {
    let crop = Crop {
        row: 0.0,
        column: 0.0,
    };
    let map = Draw {
        flip: true,
        crop,
        ..Draw::identity()
    }
    .map((299, 224), 224);
    assert_near(map.apply(0.0, 0.0), (298.0, 0.0), 1e-9);
    assert_near(map.apply(223.0, 0.0), (75.0, 0.0), 1e-9);
}

#[test]
fn sources_of_one_row_or_column_have_maps() {
    for source in [(1, 1), (1, 7), (7, 1), (2, 2)] {
        let map = Draw::identity().map(source, 8);
        let (x, y) = map.apply(3.0, 4.0);
        assert!(x >= 0.0 && x <= f64::from(source.0 - 1), "{source:?}: {x}");
        assert!(y >= 0.0 && y <= f64::from(source.1 - 1), "{source:?}: {y}");
    }
    let (x, y) = Draw::identity().map((5, 5), 1).apply(0.0, 0.0);
    assert_near((x, y), (0.0, 0.0), 1e-12);
}

#[test]
fn a_draw_can_be_serialized_and_printed() {
    let draw = Recipe::reference().draw(&mut generator(1, Purpose::AUGMENT, &[0, 0]));
    assert!(serde_json::to_string(&draw).unwrap().contains("\"crop\""));
    assert!(format!("{draw:?}").contains("crop"));
}

proptest! {
    #[test]
    fn the_composed_map_equals_the_chain_of_its_steps(
        seed in any::<u64>(), width in 1u32..700, height in 1u32..700, target in 2u32..300, at in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let draw = Recipe::reference().draw(&mut generator(seed, Purpose::AUGMENT, &[]));
        let pixel = ((f64::from(target) * at.0) as u32, (f64::from(target) * at.1) as u32);
        let got = draw.map((width, height), target).apply(f64::from(pixel.0), f64::from(pixel.1));
        let want = step_by_step(&draw, (width, height), target, pixel);
        // Elongated canvases reach far outside the source, so the tolerance grows with the coordinate.
        let tolerance = 1e-9 * (1.0 + want.0.abs() + want.1.abs());
        prop_assert!((got.0 - want.0).abs() < tolerance && (got.1 - want.1).abs() < tolerance, "{got:?} {want:?} {draw:?}");
    }

    #[test]
    fn flipping_twice_is_the_identity(width in 1u32..2000, x in 0.0f64..2000.0, y in 0.0f64..2000.0) {
        let flip = chain::flip((width, 10));
        let (u, v) = flip.compose(&flip).apply(x, y);
        prop_assert!((u - x).abs() < 1e-9 && (v - y).abs() < 1e-12);
    }
}
