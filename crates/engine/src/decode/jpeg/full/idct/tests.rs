use std::f64::consts::PI;

use proptest::prelude::*;

use super::super::portable::Portable;
use super::*;

/// Coefficients by row and column.
type Coefficients = [[i16; SIDE]; SIDE];

fn block(coefficients: &Coefficients) -> Block {
    let mut block = Block::default();
    for (row, values) in coefficients.iter().enumerate() {
        for (column, &value) in values.iter().enumerate() {
            block.0[storage_index(row, column)] = value;
        }
    }
    block
}

fn samples(idct: impl Idct, coefficients: &Coefficients) -> [u8; 64] {
    let mut samples = [0; 64];
    idct.samples(&block(coefficients), &mut samples, SIDE);
    samples
}

/// The inverse DCT from its definition, centred on 0.
///
/// # Source
///
/// ITU-T T.81, annex A.3.3.
fn exact(coefficients: &Coefficients) -> [[f64; SIDE]; SIDE] {
    let basis = |basis: usize, pixel: usize| {
        let scale = if basis == 0 { 0.5f64.sqrt() } else { 1.0 };
        scale * (((2 * pixel + 1) * basis) as f64 * PI / 16.0).cos()
    };
    std::array::from_fn(|y| {
        std::array::from_fn(|x| {
            let value = |(row, column): (usize, usize)| {
                f64::from(coefficients[row][column]) * basis(row, y) * basis(column, x)
            };
            let places = (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (row, column)));
            places.map(value).sum::<f64>() / 4.0
        })
    })
}

fn coefficients(range: std::ops::RangeInclusive<i16>) -> impl Strategy<Value = Coefficients> {
    // Mostly zero, as in photographs.
    let one = prop_oneof![3 => Just(0), 1 => range];
    prop::collection::vec(one, SIDE * SIDE).prop_map(|values| {
        std::array::from_fn(|row| std::array::from_fn(|column| values[row * SIDE + column]))
    })
}

proptest! {
    #[test]
    fn samples_match_the_definition_within_one_level(coefficients in coefficients(-500..=500)) {
        let found = samples(Portable, &coefficients);
        for (found, exact) in found.iter().zip(exact(&coefficients).as_flattened()) {
            let exact = (exact + 128.0).clamp(0.0, 255.0);
            prop_assert!((f64::from(*found) - exact).abs() <= 1.0, "{found}, {exact}");
        }
    }

    #[test]
    fn a_dc_only_block_is_uniform(level in any::<i16>()) {
        let mut coefficients = [[0; SIDE]; SIDE];
        coefficients[0][0] = level;
        prop_assert_eq!(samples(Portable, &coefficients), [Portable.flat(level); 64]);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn vector_instructions_give_the_same_samples_of_any_coefficients(
        photograph in coefficients(-500..=500),
        broken in coefficients(i16::MIN..=i16::MAX),
    ) {
        if let Some(avx2) = crate::cpu::Avx2::detect() {
            for coefficients in [photograph, broken] {
                prop_assert_eq!(samples(avx2, &coefficients), samples(Portable, &coefficients));
            }
        }
    }
}

#[test]
fn the_storage_order_is_a_permutation_with_paired_rows() {
    let mut sorted = STORAGE_ORDER;
    sorted.sort_unstable();
    assert!(sorted.iter().copied().eq(0..64));
    assert_eq!(
        [
            storage_index(0, 0),
            storage_index(4, 0),
            storage_index(0, 1),
            storage_index(2, 0),
            storage_index(7, 7)
        ],
        [0, 1, 2, 16, 63]
    );
}
