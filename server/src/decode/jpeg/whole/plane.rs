//! One component, from its coefficients to rows of the image's width.

use std::rc::Rc;

use super::super::SIDE;
use super::super::bits::Bits;
use super::super::coefficients::{First, Others};
use super::super::header::{Component, Header};
use super::super::scan::Grid;
use super::Tables;
use super::enlarge::Enlarger;
use super::ring::Ring;
use super::transform::{Block, PLACES, Transform};

/// A component while it is decoded.
pub(super) struct Plane<'a> {
    component: &'a Component,
    tables: Tables<'a>,
    ring: Ring,
    enlarger: Enlarger,
    /// The first coefficient of the block before.
    before: i32,
    /// The row of blocks that a unit's first ones belong to.
    row: usize,
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
        let tables = match before {
            Some(Plane {
                component: other,
                tables: (_, others),
                ..
            }) if Rc::ptr_eq(&other.ac, &component.ac) => {
                (Rc::new(First::new(&component.dc)), Rc::clone(others))
            }
            _ => (
                Rc::new(First::new(&component.dc)),
                Rc::new(Others::new(&component.ac)),
            ),
        };
        Some(Self {
            component,
            tables,
            ring: Ring::new(grid.columns * component.across, component.down, used),
            enlarger: Enlarger::new((header.width, header.height), (across, down)),
            before: 0,
            row: 0,
        })
    }

    pub(super) fn into_ring(self) -> Ring {
        self.ring
    }

    /// Begins anew: no block is before the next one.
    pub(super) fn restart(&mut self) {
        self.before = 0;
    }

    /// Takes note of the end of row `row` of units.
    pub(super) fn end_of_row(&mut self, row: usize) {
        self.row = (row + 1) * self.component.down;
    }

    /// Decodes the component's blocks of the unit in `column`.
    #[inline(always)]
    pub(super) fn unit(
        &mut self,
        transform: impl Transform,
        bits: &mut Bits<'_>,
        column: usize,
    ) -> Option<()> {
        let Component { across, down, .. } = *self.component;
        for y in self.row..self.row + down {
            for x in column * across..(column + 1) * across {
                self.block(transform, bits, x, y)?;
            }
        }
        Some(())
    }

    #[inline(always)]
    fn block(&mut self, transform: impl Transform, bits: &mut Bits<'_>, x: usize, y: usize) -> Option<()> {
        let (first, others) = &self.tables;
        let factors = &self.component.quantization;
        // Of a broken file, values may leave the range of their type.
        let scaled = |place: usize, value: i32| value.wrapping_mul(factors[place].into()) as i16;
        self.before = self.before.wrapping_add(first.read(bits)?);
        let level = scaled(0, self.before);
        let mut block = Block::default();
        let mut is_flat = true;
        others.read(bits, |place, value| {
            is_flat = false;
            block.0[PLACES[place]] = scaled(place, value);
        })?;
        let (target, stride) = self.ring.block(x, y);
        if is_flat {
            let sample = transform.flat(level);
            for row in target.chunks_mut(stride).take(SIDE) {
                row[..SIDE].fill(sample);
            }
        } else {
            block.0[PLACES[0]] = level;
            transform.samples(&block, target, stride);
        }
        Some(())
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
