//! One component, from its coefficients to rows of the image's width.

use std::rc::Rc;

use super::super::SIDE;
use super::super::bits::Bits;
use super::super::coefficients::{First, Others};
use super::super::header::{Component, Header};
use super::super::scan::Grid;
use super::enlarge::Enlarger;
use super::ring::Ring;
use super::transform::{Block, PLACES, Transform};

/// A component while it is decoded.
pub(super) struct Plane<'a> {
    component: &'a Component,
    first: First<'a>,
    others: Rc<Others<'a>>,
    ring: Ring,
    enlarger: Enlarger,
    /// Where coefficients stand in a block, and what they are multiplied by, in the order in which they are coded.
    places: [(u16, u16); SIDE * SIDE],
    /// The first coefficient of the block before.
    before: i32,
    /// The blocks of a unit, and whether their coefficients are zero but for the first.
    blocks: Vec<Block>,
    flat: Vec<bool>,
}

impl<'a> Plane<'a> {
    /// A plane that takes over what is of use of the component before it and of an image before this one. `None` where samples are not
    /// spread evenly.
    pub(super) fn new(
        header: &Header<'_>,
        component: &'a Component,
        grid: Grid,
        before: Option<&Plane<'a>>,
        used: Option<Ring>,
    ) -> Option<Self> {
        let factor = |most: usize, own: usize| most.is_multiple_of(own).then_some(most / own);
        let across = factor(grid.unit.0, component.across)?;
        let down = factor(grid.unit.1, component.down)?;
        let others = match before {
            Some(other) if Rc::ptr_eq(&other.component.ac, &component.ac) => Rc::clone(&other.others),
            _ => Rc::new(Others::new(&component.ac)),
        };
        let blocks = component.across * component.down;
        Some(Self {
            component,
            first: First::new(&component.dc),
            others,
            ring: Ring::new(grid.columns * component.across, component.down, used),
            enlarger: Enlarger::new((header.width, header.height), (across, down)),
            places: std::array::from_fn(|number| (PLACES[number], component.quantization[number])),
            before: 0,
            blocks: (0..blocks).map(|_| Block::default()).collect(),
            flat: vec![true; blocks],
        })
    }

    pub(super) fn into_ring(self) -> Ring {
        self.ring
    }

    /// Begins anew: no block is before the next one.
    pub(super) fn restart(&mut self) {
        self.before = 0;
    }

    /// Goes on to the next row of units.
    pub(super) fn end_of_row(&mut self) {
        self.ring.turn();
    }

    /// Reads the component's blocks of a unit.
    #[inline(always)]
    pub(super) fn read(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let (first, others, places) = (&self.first, &self.others, &self.places);
        let put = |block: &mut Block, number: usize, value: i32| {
            let (place, factor) = places[number];
            // Of a broken file, values may leave the range of their type.
            block.0[usize::from(place) % block.0.len()] = value.wrapping_mul(factor.into()) as i16;
        };
        for (block, is_flat) in self.blocks.iter_mut().zip(&mut self.flat) {
            *block = Block::default();
            self.before = self.before.wrapping_add(first.read(bits)?);
            put(block, 0, self.before);
            *is_flat = !others.read(bits, |number, value| put(block, number, value))?;
        }
        Some(())
    }

    /// Makes the samples of the unit in `column`, which was read.
    ///
    /// Not while it is read: the numbers are written one by one, and read by vectors, for which a processor waits until they have left
    /// its pipeline.
    #[inline(always)]
    pub(super) fn transform(&mut self, transform: impl Transform, column: usize) {
        let Component { across, down, .. } = *self.component;
        let (samples, stride) = self.ring.rows_of_unit();
        for y in 0..down {
            for x in 0..across {
                let block = y * across + x;
                let target = &mut samples[y * SIDE * stride + (column * across + x) * SIDE..];
                if self.flat[block] {
                    let sample = transform.flat(self.blocks[block].0[0]);
                    for row in 0..SIDE {
                        target[row * stride..][..SIDE].fill(sample);
                    }
                } else {
                    transform.samples(&self.blocks[block], target, stride);
                }
            }
        }
    }

    /// Makes row `y` of the image's rows.
    #[inline(always)]
    pub(super) fn enlarge(&mut self, y: usize) {
        self.enlarger.enlarge(&self.ring, y);
    }

    /// Row `y` of the image's rows, which was the last one made. May be longer than the image is wide.
    #[inline(always)]
    pub(super) fn line(&self, y: usize) -> &[u8] {
        self.enlarger.line(&self.ring, y)
    }
}
