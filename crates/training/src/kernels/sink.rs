//! What a kernel writes activations through: what else is to be done with a result while it is in registers.

use super::Extent;
use super::shared::Shared;
use super::source::Affine;
use super::totals::Total;
use super::vector::{LANES, Vector};

/// Takes results vector by vector, and adds up two numbers per channel.
pub(super) trait Sink: Copy + Sync {
    /// What is kept in registers for one block of channels: its operands and its totals.
    type Block<V: Vector>;

    /// Prepares for a block.
    ///
    /// # Safety
    /// The machine has the instructions of `V`, and the result has a block of this number.
    unsafe fn block<V: Vector>(&self, block: usize) -> Self::Block<V>;

    /// Takes the vector that belongs at `offset` of the result, and adds to the block's totals.
    ///
    /// # Safety
    /// A vector of the result stands at `offset`, and no other task uses it at the same time.
    unsafe fn put<V: Vector>(&self, block: &mut Self::Block<V>, offset: usize, value: V);

    /// The totals of all that was put.
    fn totals<V: Vector>(block: Self::Block<V>) -> Total<V>;
}

/// Stores; the totals are the sum and the sum of squares.
///
/// Both are taken of what a channel's values differ from the first of them by. Sums of squares of values whose mean is far larger than their
/// deviation would keep nothing of the deviation in single precision.
#[derive(Clone, Copy)]
pub(super) struct Moments<'a> {
    pub(super) y: Shared<'a>,
}

/// A block's sums, and what its values are shifted by.
#[derive(Clone, Copy)]
pub(super) struct Shifted<V> {
    shift: V,
    sums: [V; 2],
    count: usize,
}

impl Sink for Moments<'_> {
    type Block<V: Vector> = Shifted<V>;

    #[inline(always)]
    unsafe fn block<V: Vector>(&self, _: usize) -> Shifted<V> {
        // SAFETY: the machine has the instructions, as the caller vouches.
        let zero = unsafe { V::splat(0.0) };
        Shifted {
            shift: zero,
            sums: [zero; 2],
            count: 0,
        }
    }

    #[inline(always)]
    unsafe fn put<V: Vector>(&self, block: &mut Shifted<V>, offset: usize, value: V) {
        // SAFETY: the caller guarantees that a vector of the result stands at `offset`, and that no other task uses it.
        unsafe { value.store(self.y.at(offset)) };
        if block.count == 0 {
            block.shift = value;
        }
        block.count += 1;
        let differs = value.sub(block.shift);
        block.sums[0] = block.sums[0].add(differs);
        block.sums[1] = differs.mul_add(differs, block.sums[1]);
    }

    #[inline(always)]
    fn totals<V: Vector>(block: Shifted<V>) -> Total<V> {
        Total {
            sums: block.sums,
            shift: Some((block.shift, block.count)),
        }
    }
}

/// What a rectifier lets through.
#[derive(Clone, Copy, Debug)]
pub enum Gate<'a> {
    /// Everything: there is none.
    Open,
    /// Where its result was positive.
    Result(&'a [f32]),
    /// Where `scale · x + shift` is positive: `[2, C]`, and x is that of [`Centre`].
    Affine(&'a [f32]),
}

/// The operand of a batch norm and the mean of each channel.
#[derive(Clone, Copy, Debug)]
pub struct Centre<'a> {
    /// The operand.
    pub x: &'a [f32],
    /// `[C]`.
    pub mean: &'a [f32],
}

/// What arrives at a value on the way back: `g = (value + addend) · [gate]`; the totals are `Σ g` and `Σ g·(x − mean)`.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// What arrived on other ways.
    pub addend: Option<&'a [f32]>,
    /// The rectifier that stands in the way.
    pub gate: Gate<'a>,
    /// What a batch norm before that needs.
    pub centre: Option<Centre<'a>>,
}

impl Arrival<'_> {
    /// Checks that all operands are of the extent.
    pub(super) fn check(&self, extent: Extent) {
        let (elements, channels) = (extent.elements(), extent.channels());
        assert!(self.addend.is_none_or(|addend| addend.len() == elements));
        match self.gate {
            Gate::Open => {}
            Gate::Result(y) => assert_eq!(y.len(), elements),
            Gate::Affine(affine) => {
                assert!(affine.len() == 2 * channels && self.centre.is_some());
            }
        }
        if let Some(Centre { x, mean }) = self.centre {
            assert!(x.len() == elements && mean.len() == channels);
        }
    }
}

/// An [`Arrival`] with the place it goes to.
#[derive(Clone, Copy)]
pub(super) struct Arriving<'a> {
    pub(super) arrival: Arrival<'a>,
    /// Absent where only the sums are wanted.
    pub(super) g: Option<Shared<'a>>,
}

/// An affine map and a mean, where they are used, and the sums.
#[derive(Clone, Copy)]
pub(super) struct Channels<V> {
    affine: Affine<V>,
    mean: V,
    sums: [V; 2],
}

impl Sink for Arriving<'_> {
    type Block<V: Vector> = Channels<V>;

    #[inline(always)]
    unsafe fn block<V: Vector>(&self, block: usize) -> Channels<V> {
        // SAFETY: the caller guarantees the instructions and that the block exists; `Arrival::check` found scale, shift and mean to have all
        // channels of the result, and `zero` has one block of them.
        unsafe {
            let zero = [0.0; 2 * LANES];
            let affine = match self.arrival.gate {
                Gate::Affine(affine) => Affine::of(affine, block),
                Gate::Open | Gate::Result(_) => Affine::of(&zero, 0),
            };
            let mean = match self.arrival.centre {
                Some(centre) => V::load(centre.mean.as_ptr().add(block * LANES)),
                None => V::splat(0.0),
            };
            let sums = [V::splat(0.0); 2];
            Channels { affine, mean, sums }
        }
    }

    #[inline(always)]
    unsafe fn put<V: Vector>(&self, channels: &mut Channels<V>, offset: usize, value: V) {
        // SAFETY: the caller guarantees that a vector of the result stands at `offset`, and that no other task uses it; `Arrival::check`
        // found the operands to be as long as the result, so that each has a vector there, too.
        unsafe {
            let at = |operand: &[f32]| V::load(operand.as_ptr().add(offset));
            let mut g = value;
            if let Some(addend) = self.arrival.addend {
                g = g.add(at(addend));
            }
            let x = self.arrival.centre.map(|centre| at(centre.x));
            match (self.arrival.gate, x) {
                (Gate::Result(y), _) => g = g.where_positive(at(y)),
                (Gate::Affine(_), Some(x)) => g = g.where_positive(channels.affine.apply(x)),
                (Gate::Affine(_), None) | (Gate::Open, _) => {}
            }
            if let Some(to) = self.g {
                g.store(to.at(offset));
            }
            if let Some(x) = x {
                let [sum, product] = &mut channels.sums;
                *sum = sum.add(g);
                *product = g.mul_add(x.sub(channels.mean), *product);
            }
        }
    }

    #[inline(always)]
    fn totals<V: Vector>(channels: Channels<V>) -> Total<V> {
        Total {
            sums: channels.sums,
            shift: None,
        }
    }
}
