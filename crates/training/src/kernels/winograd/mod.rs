//! Winograd convolution F(2×2, 3×3), for 3 × 3 kernels with stride one and padding one: 16 multiplications per tile instead of 36.
//!
//! The output is split into tiles of 2 × 2. With `d` the 4 × 4 input pixels of a tile and `g` the kernel,
//!
//! ```text
//! y  = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A            forward; input gradient, with the kernel rotated by 180° and its channel axes swapped
//! dg = Gᵀ [ Σ (Bᵀ d B) ⊙ (A dy Aᵀ) ] G         the weight's gradient, summed over tiles
//!
//!      1  0 −1  0         1   0   0          1  0
//! Bᵀ = 0  1  1  0    G =  ½   ½   ½     A =  1  1
//!      0 −1  1  0         ½  −½   ½          1 −1
//!      0  1  0 −1         0   0   1          0 −1
//! ```
//!
//! where ⊙ is the elementwise product, summed over channels: sixteen matrix multiplications, one for each of the 4 × 4 tile elements (*places*).
//! All transforms only add and halve, so that the rounding error is about that of direct convolution: see `tests`.
//!
//! # Source
//!
//! Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, 2015, F(2×2, 3×3), and its transpose F(3×3, 2×2).

mod convolve;
mod input;
mod output;
mod product;
mod tiles;
mod weight_gradient;
mod weights;

pub(super) use convolve::{Convolution, convolve};
pub(super) use weight_gradient::weight_gradient;
pub(super) use weights::WeightOrder;

/// Elements (places) of a transformed tile.
const PLACES: usize = 16;
