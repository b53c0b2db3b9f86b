//! Colour conversion with AVX-512, 64 pixels at a time. The arithmetic is that of [`avx2`](super::avx2).

use std::arch::x86_64::*;

use super::super::instructions::Wide;
use super::{BLUE_OF_BLUE, Convert, GREEN_OF_BLUE, GREEN_OF_RED, HALF, RED_OF_RED, Samples};
use crate::image::Image;

/// Pixels converted at once.
const LANES: usize = 64;
/// Their bytes.
const BYTES: usize = LANES * Image::CHANNELS;

impl Convert for Wide {
    #[inline(always)]
    fn rgb(self, samples: Samples<'_>, target: &mut [u8]) {
        let (pieces, rest) = target.as_chunks_mut::<BYTES>();
        let rest_samples = samples.after(pieces.len() * LANES);
        // SAFETY: the token proves that the CPU has the features that the function is compiled for.
        unsafe { rgb(samples, pieces) };
        self.avx2.rgb(rest_samples, rest);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn rgb(samples: Samples<'_>, pieces: &mut [[u8; BYTES]]) {
    let [luma, blue, red] = [samples.luma, samples.blue, samples.red].map(|row| row.as_chunks::<LANES>().0);
    for (((piece, luma), blue), red) in pieces.iter_mut().zip(luma).zip(blue).zip(red) {
        let ([luma, luma_right], [blue, blue_right], [red, red_right]) = (load(luma), load(blue), load(red));
        let left = channels(luma, blue, red);
        let right = channels(luma_right, blue_right, red_right);
        let [red, green, blue] = [
            join(left[0], right[0]),
            join(left[1], right[1]),
            join(left[2], right[2]),
        ];
        interleave([red, green, blue], piece);
    }
}

/// The samples as 16-bit numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load(samples: &[u8; LANES]) -> [__m512i; 2] {
    // SAFETY: 64 bytes are read from 64 bytes.
    let samples = unsafe { _mm512_loadu_si512(samples.as_ptr().cast()) };
    [
        _mm512_cvtepu8_epi16(_mm512_castsi512_si256(samples)),
        _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(samples)),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn join(left: __m256i, right: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(left), right)
}

/// Red, green and blue, 32 bytes each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn channels(luma: __m512i, blue: __m512i, red: __m512i) -> [__m256i; Image::CHANNELS] {
    let grey = _mm512_set1_epi16(128);
    let (blue, red) = (_mm512_sub_epi16(blue, grey), _mm512_sub_epi16(red, grey));
    let product = |sample, factor: i32| {
        let doubled = _mm512_mulhi_epi16(_mm512_add_epi16(sample, sample), _mm512_set1_epi16(factor as i16));
        _mm512_srai_epi16::<1>(_mm512_add_epi16(doubled, _mm512_set1_epi16(1)))
    };
    let of_red = _mm512_add_epi16(red, product(red, RED_OF_RED - (1 << 16)));
    let of_blue = _mm512_add_epi16(
        _mm512_add_epi16(blue, blue),
        product(blue, BLUE_OF_BLUE - (2 << 16)),
    );
    let factors = _mm512_set1_epi32(((1 << 16) - GREEN_OF_RED) << 16 | (-GREEN_OF_BLUE & 0xFFFF));
    let products = |pairs| {
        let sum = _mm512_add_epi32(_mm512_madd_epi16(pairs, factors), _mm512_set1_epi32(HALF));
        _mm512_srai_epi32::<16>(sum)
    };
    let green = _mm512_packs_epi32(
        products(_mm512_unpacklo_epi16(blue, red)),
        products(_mm512_unpackhi_epi16(blue, red)),
    );
    let of_green = _mm512_sub_epi16(green, red);
    [
        bytes(_mm512_add_epi16(luma, of_red)),
        bytes(_mm512_add_epi16(luma, of_green)),
        bytes(_mm512_add_epi16(luma, of_blue)),
    ]
}

/// Clamped to bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn bytes(values: __m512i) -> __m256i {
    _mm512_cvtusepi16_epi8(_mm512_max_epi16(values, _mm512_setzero_si512()))
}

/// For each third of 64 pixels: of each byte, its index into red followed by green; its index into blue; and a bit if it is blue.
const ORDERS: [([u8; LANES], [u8; LANES], u64); Image::CHANNELS] = {
    let mut orders = [([0; LANES], [0; LANES], 0); Image::CHANNELS];
    let mut at = 0;
    while at < BYTES {
        let (third, byte) = (at / LANES, at % LANES);
        let (pixel, channel) = (at / Image::CHANNELS, at % Image::CHANNELS);
        if channel == 2 {
            orders[third].1[byte] = pixel as u8;
            orders[third].2 |= 1 << byte;
        } else {
            orders[third].0[byte] = (channel * LANES + pixel) as u8;
        }
        at += 1;
    }
    orders
};

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn interleave([red, green, blue]: [__m512i; Image::CHANNELS], target: &mut [u8; BYTES]) {
    let thirds = target.as_chunks_mut::<LANES>().0.iter_mut();
    for (third, (two, one, is_blue)) in thirds.zip(&ORDERS) {
        // SAFETY: 64 bytes are read from 64 bytes, twice.
        let (two, one) = unsafe {
            (
                _mm512_loadu_si512(two.as_ptr().cast()),
                _mm512_loadu_si512(one.as_ptr().cast()),
            )
        };
        let mixed = _mm512_permutex2var_epi8(red, two, green);
        let mixed = _mm512_mask_permutexvar_epi8(mixed, *is_blue, one, blue);
        // SAFETY: 64 bytes are written to 64 bytes.
        unsafe { _mm512_storeu_si512(third.as_mut_ptr().cast(), mixed) };
    }
}
