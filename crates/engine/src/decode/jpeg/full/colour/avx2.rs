//! Colour conversion with AVX2, sixteen pixels at a time.

use std::arch::x86_64::*;

use super::super::portable::Portable;
use super::{BLUE_OF_BLUE, Convert, GREEN_OF_BLUE, GREEN_OF_RED, HALF, RED_OF_RED, Samples};
use crate::{cpu::Avx2, image::Image};

/// Pixels converted at once.
const LANES: usize = 16;
/// Their bytes.
const BYTES: usize = LANES * Image::CHANNELS;

impl Convert for Avx2 {
    #[inline(always)]
    fn rgb(self, samples: Samples<'_>, target: &mut [u8]) {
        // SAFETY: the token proves that the CPU has the feature that the function is compiled for.
        unsafe { rgb(samples, target) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn rgb(samples: Samples<'_>, target: &mut [u8]) {
    let (pieces, rest) = target.as_chunks_mut::<BYTES>();
    let rest_samples = samples.after(pieces.len() * LANES);
    let [luma, blue, red] = [samples.luma, samples.blue, samples.red].map(|row| row.as_chunks::<LANES>().0);
    for (((piece, luma), blue), red) in pieces.iter_mut().zip(luma).zip(blue).zip(red) {
        let [luma, blue, red] = [luma, blue, red].map(|samples| {
            // SAFETY: sixteen bytes are read from sixteen bytes.
            _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(samples.as_ptr().cast()) })
        });
        interleave(channels(luma, blue, red), piece);
    }
    Portable.rgb(rest_samples, rest);
}

/// Red, green and blue, sixteen bytes each.
///
/// Factors are reduced modulo 65536 to fit signed 16 bits; the difference is a multiple of the sample, which is added separately.
#[inline]
#[target_feature(enable = "avx2")]
fn channels(luma: __m256i, blue: __m256i, red: __m256i) -> [__m128i; 3] {
    let grey = _mm256_set1_epi16(128);
    let (blue, red) = (_mm256_sub_epi16(blue, grey), _mm256_sub_epi16(red, grey));
    // The rounded product of a sample and a factor of magnitude below one half: the upper half of twice the product, halved with rounding.
    let product = |sample, factor: i32| {
        let doubled = _mm256_mulhi_epi16(_mm256_add_epi16(sample, sample), _mm256_set1_epi16(factor as i16));
        _mm256_srai_epi16::<1>(_mm256_add_epi16(doubled, _mm256_set1_epi16(1)))
    };
    let of_red = _mm256_add_epi16(red, product(red, RED_OF_RED - (1 << 16)));
    let of_blue = _mm256_add_epi16(
        _mm256_add_epi16(blue, blue),
        product(blue, BLUE_OF_BLUE - (2 << 16)),
    );
    let factors = _mm256_set1_epi32(((1 << 16) - GREEN_OF_RED) << 16 | (-GREEN_OF_BLUE & 0xFFFF));
    let products = |pairs| {
        let sum = _mm256_add_epi32(_mm256_madd_epi16(pairs, factors), _mm256_set1_epi32(HALF));
        _mm256_srai_epi32::<16>(sum)
    };
    let green = _mm256_packs_epi32(
        products(_mm256_unpacklo_epi16(blue, red)),
        products(_mm256_unpackhi_epi16(blue, red)),
    );
    let of_green = _mm256_sub_epi16(green, red);
    [of_red, of_green, of_blue].map(|part| {
        let value = _mm256_add_epi16(luma, part);
        _mm_packus_epi16(
            _mm256_castsi256_si128(value),
            _mm256_extracti128_si256::<1>(value),
        )
    })
}

/// Shuffle masks for each third of sixteen pixels and each channel: the index of the byte of the channel, or -1, which gives 0.
const ORDERS: [[[i8; LANES]; Image::CHANNELS]; Image::CHANNELS] = {
    let mut orders = [[[-1; LANES]; Image::CHANNELS]; Image::CHANNELS];
    let mut at = 0;
    while at < BYTES {
        orders[at / LANES][at % Image::CHANNELS][at % LANES] = (at / Image::CHANNELS) as i8;
        at += 1;
    }
    orders
};

#[inline]
#[target_feature(enable = "avx2")]
fn interleave(channels: [__m128i; Image::CHANNELS], target: &mut [u8; BYTES]) {
    for (third, orders) in target.as_chunks_mut::<LANES>().0.iter_mut().zip(&ORDERS) {
        let [red, green, blue] = std::array::from_fn(|channel| {
            // SAFETY: sixteen bytes are read from sixteen bytes.
            let order = unsafe { _mm_loadu_si128(orders[channel].as_ptr().cast()) };
            _mm_shuffle_epi8(channels[channel], order)
        });
        let mixed = _mm_or_si128(_mm_or_si128(red, green), blue);
        // SAFETY: sixteen bytes are written to sixteen bytes.
        unsafe { _mm_storeu_si128(third.as_mut_ptr().cast(), mixed) };
    }
}
