//! Reads the attributes of a node.

use ort::operator::KernelContext;

use crate::graph::fused::{AttributeVisitor, Fused, shape_attribute};

/// A node's operator with its attributes, and the shapes of its outputs.
pub(in crate::runtime) fn read(
    name: &str,
    context: &KernelContext<'_>,
) -> ort::Result<(Fused, Vec<Vec<i64>>)> {
    let named = Fused::all().into_iter().find(|fused| fused.name() == name);
    let mut fused = named.ok_or_else(|| ort::Error::new(format!("unknown operator `{name}`")))?;
    let shapes = (0..).map_while(|result| context.get(shape_attribute(result)));
    let mut reader = Reader {
        context,
        shapes: shapes.collect(),
    };
    fused.visit(&mut reader)?;
    Ok((fused, reader.shapes))
}

struct Reader<'c, 'attr> {
    context: &'c KernelContext<'attr>,
    shapes: Vec<Vec<i64>>,
}

impl AttributeVisitor for Reader<'_, '_> {
    type Error = ort::Error;

    fn visit_float(&mut self, name: &'static str, number: &mut f32) -> ort::Result<()> {
        *number = self.context.get(name).ok_or_else(|| invalid(name))?;
        Ok(())
    }

    fn visit_flag(&mut self, name: &'static str, flag: &mut bool) -> ort::Result<()> {
        let number: i64 = self.context.get(name).ok_or_else(|| invalid(name))?;
        *flag = number != 0;
        Ok(())
    }

    fn visit_extents(&mut self, name: &'static str, extents: &mut [usize]) -> ort::Result<()> {
        let found: Vec<i64> = self.context.get(name).ok_or_else(|| invalid(name))?;
        if found.len() != extents.len() {
            return Err(invalid(name));
        }
        for (extent, &found) in extents.iter_mut().zip(&found) {
            *extent = usize::try_from(found).map_err(|_| invalid(name))?;
        }
        Ok(())
    }

    fn visit_choice<T: Copy + PartialEq>(
        &mut self,
        name: &'static str,
        choice: &mut T,
        named: &[(&'static str, T)],
    ) -> ort::Result<()> {
        let text: String = self.context.get(name).ok_or_else(|| invalid(name))?;
        let found = named.iter().find(|(name, _)| *name == text);
        *choice = found.ok_or_else(|| invalid(name))?.1;
        Ok(())
    }

    fn visit_output_extent(&mut self, extent: &mut [usize; 2]) -> ort::Result<()> {
        let found = self.shapes.iter().find_map(|shape| match **shape {
            [_, _, rows, columns] => Some([usize::try_from(rows).ok()?, usize::try_from(columns).ok()?]),
            _ => None,
        });
        *extent = found.ok_or_else(|| ort::Error::new("no output has four axes"))?;
        Ok(())
    }
}

fn invalid(name: &str) -> ort::Error {
    ort::Error::new(format!(
        "the attribute `{name}` is missing or has an unsupported value"
    ))
}
