//! Convolutions with 3 × 3 kernels, stride one and padding one, in 16 products instead of 36.
//!
//! The result is cut into tiles of 2 × 2. With `d` the 4 × 4 pixels that a tile sees and `g` the kernel,
//!
//! ```text
//! y  = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A            forward; backward, with the kernel turned and its channel axes swapped
//! dg = Gᵀ [ Σ (Bᵀ d B) ⊙ (A dy Aᵀ) ] G         the weight's gradient, summed over tiles
//!
//!      1  0 −1  0         1   0   0          1  0
//! Bᵀ = 0  1  1  0    G =  ½   ½   ½     A =  1  1
//!      0 −1  1  0         ½  −½   ½          1 −1
//!      0  1  0 −1         0   0   1          0 −1
//! ```
//!
//! where ⊙ multiplies element by element and is summed over channels: sixteen matrix products, one for each of the 4 × 4 places. All
//! transforms add and halve only, so that the error is about that of the plain sum: see `tests`.
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
pub(super) use weight_gradient::{WeightGradient, weight_gradient};
pub(super) use weights::WeightOrder;

/// Places of a transformed tile.
const PLACES: usize = 16;
