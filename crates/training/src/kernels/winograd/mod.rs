//! Winograd convolution, for 3 × 3 kernels with stride one and padding one: 36 multiplications per tile of 4 × 4 pixels instead of 144
//! (F(4×4, 3×3)), and for planes that such tiles would exceed by much, 16 per tile of 2 × 2 instead of 36 (F(2×2, 3×3)).
//!
//! With `d` the input pixels of a tile and `g` the kernel,
//!
//! ```text
//! y  = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A            forward; input gradient, with the kernel rotated by 180° and its channel axes swapped
//! dg = Gᵀ [ Σ (Bᵀ d B) ⊙ (A dy Aᵀ) ] G         the weight's gradient, summed over tiles
//! ```
//!
//! where ⊙ is the elementwise product, summed over channels: one matrix multiplication for each element (*place*) of a transformed tile. For 2 × 2,
//!
//! ```text
//!      1  0 −1  0         1   0   0          1  0
//! Bᵀ = 0  1  1  0    G =  ½   ½   ½     A =  1  1
//!      0 −1  1  0         ½  −½   ½          1 −1
//!      0  1  0 −1         0   0   1          0 −1
//! ```
//!
//! For 4 × 4, with p = 5/8, q = 3/2, s = p² + q², t = p²q² and n(a, b) = 1 / 2a²(a² − b²),
//!
//! ```text
//!      t   0   −s   0  1  0              1/t                                 1  0  0   0
//!      0 −pq²  −q²  p  1  0              n(p, q) · (1  p  p²)                1  p  p²  p³
//! Bᵀ = 0  pq²  −q² −p  1  0         G =  n(p, q) · (1 −p  p²)           A =  1 −p  p² −p³
//!      0 −p²q  −p²  q  1  0              n(q, p) · (1  q  q²)                1  q  q²  q³
//!      0  p²q  −p² −q  1  0              n(q, p) · (1 −q  q²)                1 −q  q² −q³
//!      0   t    0  −s  0  1              0  0  1                             0  0  0   1
//! ```
//!
//! # Accuracy
//!
//! The points 0, ±1, ±2 and ∞, with which 4 × 4 is usually written, lose a digit. With ±5/8 and ±3/2 the error is about twice that of plain sums of
//! products in single precision; that of 2 × 2 is smaller than theirs: see `tests`.
//!
//! # Source
//!
//! Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, 2015, and its transposes F(3×3, 2×2) and F(3×3, 4×4). The points are those of
//! oneDNN.

mod convolve;
mod correlation;
mod input;
mod output;
mod output_gradient;
mod product;
mod slab;
mod tile_size;
mod tiles;
mod weight_gradient;
mod weights;

pub(super) use convolve::{Convolution, convolve};
pub(super) use weight_gradient::weight_gradient;
pub(super) use weights::WeightOrder;

use self::tile_size::{Four, TileSize, Two};
use super::Extent;

/// Whether tiles of 4 × 4 take fewer multiplications than tiles of 2 × 2.
fn prefers_four(extent: Extent) -> bool {
    fn multiplications<T: TileSize>(extent: Extent) -> usize {
        T::PLACES * extent.rows.div_ceil(T::OUTPUTS) * extent.columns.div_ceil(T::OUTPUTS)
    }
    multiplications::<Four>(extent) < multiplications::<Two>(extent)
}
