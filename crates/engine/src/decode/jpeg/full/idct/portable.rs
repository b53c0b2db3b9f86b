//! The inverse DCT in portable integer code, eight columns or rows at a time.

use super::super::super::SIDE;
use super::super::portable::Portable;
use super::{Block, COLUMN_SHIFT, FACTOR_BITS, Idct, ROW_SHIFT, between, sample, storage_index};

/// One value per column or per row.
type Lanes = [i32; SIDE];

/// Factors in 8192ths, named by their exact values.
const C0_298631336: i32 = 2446;
const C0_390180644: i32 = 3196;
const C0_541196100: i32 = 4433;
const C0_765366865: i32 = 6270;
const C0_899976223: i32 = 7373;
const C1_175875602: i32 = 9633;
const C1_501321110: i32 = 12_299;
const C1_847759065: i32 = 15_137;
const C1_961570560: i32 = 16_069;
const C2_053119869: i32 = 16_819;
const C2_562915447: i32 = 20_995;
const C3_072711026: i32 = 25_172;

impl Idct for Portable {
    #[inline]
    fn samples(self, block: &Block, target: &mut [u8], stride: usize) {
        let rows = std::array::from_fn(|row| {
            std::array::from_fn(|column| block.0[storage_index(row, column)].into())
        });
        let rows: [Lanes; SIDE] = rows;
        let between = if rows[1..].as_flattened().iter().all(|&value| value == 0) {
            let first = std::array::from_fn(|column| between(block.0[storage_index(0, column)]).into());
            [first; SIDE]
        } else {
            idct_1d(rows).map(|row| {
                row.map(|value| descaled(value, COLUMN_SHIFT).clamp(i16::MIN.into(), i16::MAX.into()))
            })
        };
        let columns = idct_1d(transposed(between));
        for (row, values) in transposed(columns).iter().enumerate() {
            let samples = &mut target[row * stride..][..SIDE];
            for (target, &value) in samples.iter_mut().zip(values) {
                *target = sample(descaled(value, ROW_SHIFT));
            }
        }
    }
}

/// The 1-D transform of eight lanes, in 8192ths. Wraps on overflow, which occurs only for corrupt data.
#[inline(always)]
fn idct_1d(input: [Lanes; SIDE]) -> [Lanes; SIDE] {
    let [even, odd] = [[0, 2, 4, 6], [1, 3, 5, 7]].map(|rows| rows.map(|row: usize| input[row]));
    let even = idct_even(even);
    let odd = idct_odd(odd);
    std::array::from_fn(|row| {
        let other = SIDE - 1 - row;
        if row < other {
            zip(even[row], odd[row], i32::wrapping_add)
        } else {
            zip(even[other], odd[other], i32::wrapping_sub)
        }
    })
}

#[inline(always)]
fn idct_even([w0, w2, w4, w6]: [Lanes; 4]) -> [Lanes; 4] {
    let rotated = scaled(zip(w2, w6, i32::wrapping_add), C0_541196100);
    let near = zip(rotated, scaled(w2, C0_765366865), i32::wrapping_add);
    let far = zip(rotated, scaled(w6, C1_847759065), i32::wrapping_sub);
    let sum = zip(w0, w4, in_16_bits(i32::wrapping_add)).map(|value| value << FACTOR_BITS);
    let difference = zip(w0, w4, in_16_bits(i32::wrapping_sub)).map(|value| value << FACTOR_BITS);
    [
        zip(sum, near, i32::wrapping_add),
        zip(difference, far, i32::wrapping_add),
        zip(difference, far, i32::wrapping_sub),
        zip(sum, near, i32::wrapping_sub),
    ]
}

#[inline(always)]
fn idct_odd([w1, w3, w5, w7]: [Lanes; 4]) -> [Lanes; 4] {
    let add = |a, b| zip(a, b, i32::wrapping_add);
    let subtract = |a, b| zip(a, b, i32::wrapping_sub);
    let (w73, w51) = (
        zip(w7, w3, in_16_bits(i32::wrapping_add)),
        zip(w5, w1, in_16_bits(i32::wrapping_add)),
    );
    let all = scaled(add(w73, w51), C1_175875602);
    let outer = scaled(add(w7, w1), C0_899976223);
    let inner = scaled(add(w5, w3), C2_562915447);
    let one = subtract(all, scaled(w73, C1_961570560));
    let other = subtract(all, scaled(w51, C0_390180644));
    [
        add(subtract(scaled(w1, C1_501321110), outer), other),
        add(subtract(scaled(w3, C3_072711026), inner), one),
        add(subtract(scaled(w5, C2_053119869), inner), other),
        add(subtract(scaled(w7, C0_298631336), outer), one),
    ]
}

#[inline(always)]
fn scaled(lanes: Lanes, factor: i32) -> Lanes {
    lanes.map(|value| value.wrapping_mul(factor))
}

#[inline(always)]
fn zip(a: Lanes, b: Lanes, of: impl Fn(i32, i32) -> i32) -> Lanes {
    std::array::from_fn(|lane| of(a[lane], b[lane]))
}

/// The operation `of` with a result that wraps at 16 bits.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "wraps at 16 bits")]
fn in_16_bits(of: impl Fn(i32, i32) -> i32) -> impl Fn(i32, i32) -> i32 {
    move |a, b| i32::from(of(a, b) as i16)
}

#[inline(always)]
fn transposed(rows: [Lanes; SIDE]) -> [Lanes; SIDE] {
    std::array::from_fn(|column| std::array::from_fn(|row| rows[row][column]))
}

/// Divides by `1 << shift` and rounds, halves up.
#[inline(always)]
fn descaled(value: i32, shift: u32) -> i32 {
    value.wrapping_add(1 << (shift - 1)) >> shift
}
