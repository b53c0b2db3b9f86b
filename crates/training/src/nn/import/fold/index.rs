use super::FoldBudget;
use crate::graph::Shape;
use crate::graph::import::{Elements, HostTensor};
use crate::nn::import::Error;

/// Broadcasts `x` to `shape`.
pub(super) fn broadcast(budget: &FoldBudget<'_>, x: &HostTensor, shape: &Shape) -> Result<HostTensor, Error> {
    gather_elements(budget, x, shape.clone(), |index| {
        let own = &index[index.len() - x.shape.len()..];
        let places = own.iter().zip(&*x.shape);
        places
            .map(|(&at, &extent)| if extent == 1 { 0 } else { at })
            .collect()
    })
}

/// Gathers elements of `x` into a tensor of shape `shape`; `source` maps an output index to an index of `x`.
pub(super) fn gather_elements(
    budget: &FoldBudget<'_>,
    x: &HostTensor,
    shape: Shape,
    source: impl Fn(&[usize]) -> Vec<usize>,
) -> Result<HostTensor, Error> {
    budget.check(shape.elements())?;
    let mut index = vec![0; shape.len()];
    let mut places = Vec::with_capacity(shape.elements());
    for _ in 0..shape.elements() {
        let from = source(&index);
        places.push(
            from.iter()
                .zip(&*x.shape)
                .fold(0, |flat, (at, extent)| flat * extent + at),
        );
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    let elements = match &x.elements {
        Elements::F32(data) => Elements::F32(places.iter().map(|&place| data[place]).collect()),
        Elements::I64(data) => Elements::I64(places.iter().map(|&place| data[place]).collect()),
        Elements::Bool(data) => Elements::Bool(places.iter().map(|&place| data[place]).collect()),
    };
    Ok(HostTensor { shape, elements })
}
