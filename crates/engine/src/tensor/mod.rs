//! Single-pass rendering of a decoded image to the tensor that is sent.
//!
//! For each output pixel: its source position by one projective map, bilinear interpolation in integers, one function per channel that
//! includes brightness, contrast, the division by 255, mean and standard deviation, and a store into the batch's buffer.
//!
//! # Numbers
//!
//! 1. *Coordinates.* The map is shifted to the source pixel nearest to the centre of the result, scaled to 1/16384 pixel, and rounded
//!    to single precision once per row (`u`, `v`, `w` at column 0) and once per image (their increments per column). At column `c`:
//!    `u = du * c + u0`, likewise `v`, `w`, then `r = 1 / w`, `x = u * r`, `y = v * r`, without fused multiply-add. An affine map has `w = 1` and
//!    no division. `x` and `y` are truncated to integers and shifted back.
//! 2. *Reflection* about the centres of the border pixels, in integers.
//! 3. *Interpolation.* Four 14-bit weights with a sum of exactly 16384, and one sum of four products per channel, without rounding: a uniform
//!    region stays uniform, and an integer coordinate gives the pixel itself.
//! 4. *Curve.* Without brightness and contrast `sum * scale + offset` per channel in single precision; otherwise the quadratic segments of
//!    [`curve`].
//! 5. *Elements.* `f32` unchanged, `f16` rounded to nearest even, `u8` rounded to nearest and clamped.
//!
//! # Determinism
//!
//! The bytes are a function of image, map, lighting and specification alone. [`scalar`] is the reference; every other instruction set
//! performs the same IEEE and integer operations in the same order and is tested to give the same bytes.
//!
//! # Accuracy
//!
//! Against double precision throughout: within 1/255 everywhere and 0.1/255 in the mean, in `[0, 1]` units before normalisation, for
//! brightness and contrast of a `max_lighting` up to 0.4.

#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "vector instructions and their loads; `scalar` is the safe reference"
)]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "vector instructions and their loads; `scalar` is the safe reference"
)]
mod avx512;
mod curve;
mod grid;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod implement;
mod instructions;
mod job;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[allow(
    unsafe_code,
    reason = "reads by address, through `simd`; `scalar` is the safe reference"
)]
mod kernel;
mod mix;
#[cfg(target_arch = "aarch64")]
#[allow(
    unsafe_code,
    reason = "vector instructions and their loads; `scalar` is the safe reference"
)]
mod neon;
mod normalize;
mod pad;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the prefetch intrinsic is an unsafe function")]
mod prefetch;
mod render;
mod scalar;
mod shrink;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[allow(unsafe_code, reason = "one operation reads by address")]
mod simd;
mod spec;
mod store;

pub use instructions::InstructionSet;
pub use mix::mix;
pub use normalize::write_pixels;
pub use pad::pad_to_square;
pub use render::{Rendering, write_image};
pub use shrink::area_shrink;
pub use spec::{ElementType, Error, Layout, Normalization, TensorSpec};

#[cfg(test)]
mod tests;
