use ort::operator::KernelContext;

use crate::graph::fused::{attribute, shape_attribute};
use crate::kernels::Window;

/// The attributes of a node.
pub(super) struct Attributes<'c, 'attr>(pub(super) &'c KernelContext<'attr>);

impl Attributes<'_, '_> {
    /// A float attribute.
    pub(super) fn float(&self, name: &str) -> ort::Result<f32> {
        self.0.get(name).ok_or_else(|| lacking(name))
    }

    /// A string attribute.
    pub(super) fn string(&self, name: &str) -> ort::Result<String> {
        self.0.get(name).ok_or_else(|| lacking(name))
    }

    /// An integer attribute as a flag.
    pub(super) fn flag(&self, name: &str) -> ort::Result<bool> {
        let number: i64 = self.0.get(name).ok_or_else(|| lacking(name))?;
        Ok(number != 0)
    }

    /// The shape of an output.
    pub(super) fn shape(&self, result: usize) -> Option<Vec<i64>> {
        self.0.get(shape_attribute(result))
    }

    /// The first two of two or more extents.
    fn extents(&self, name: &str) -> ort::Result<[usize; 2]> {
        let numbers: Vec<i64> = self.0.get(name).ok_or_else(|| lacking(name))?;
        match *numbers {
            [rows, columns, ..] => Ok([extent(rows)?, extent(columns)?]),
            _ => Err(lacking(name)),
        }
    }

    /// The window of a kernel of this size.
    pub(super) fn window(&self, kernel: [usize; 2]) -> ort::Result<Window> {
        Ok(Window {
            kernel,
            stride: self.extents(attribute::STRIDES)?,
            pad: self.extents(attribute::PADS)?,
        })
    }

    /// The window of a pooling.
    pub(super) fn pool(&self) -> ort::Result<Window> {
        self.window(self.extents(attribute::KERNEL)?)
    }
}

fn lacking(name: &str) -> ort::Error {
    ort::Error::new(format!("the attribute `{name}` is missing or has another type"))
}

/// Converts an extent.
pub(super) fn extent(number: i64) -> ort::Result<usize> {
    usize::try_from(number).map_err(|_| ort::Error::new("an extent is negative"))
}

/// Error of an unknown value of a string attribute.
pub(super) fn unknown(name: &str, value: &str) -> ort::Error {
    ort::Error::new(format!("the attribute `{name}` has the unknown value `{value}`"))
}
