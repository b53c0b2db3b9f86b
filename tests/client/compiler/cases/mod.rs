//! Test cases: one or more small nodes of every operator, on which all tests of operators run.

mod list;
mod variants;

use std::collections::BTreeMap;

use equibatch_client_tests::interpreter::Array;
use equibatch_engine::random::{Purpose, generator};
use equibatch_training::graph::{Graph, Op, TensorType, Value};
use rand::Rng as _;

pub(super) use list::cases;

/// Distribution of an operand's elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fill {
    /// Numbers in −1.05..1.05, none within 0.05 of zero, to stay away from kinks there.
    Any,
    /// Numbers in 0.5..1.5.
    Positive,
    /// Numbers that differ by 0.05 or more from one another, to avoid ties of maxima.
    Apart,
    /// Non-negative integers below a bound.
    Below(usize),
    /// Booleans.
    Truth,
}

/// An operator and its operands.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) op: Op,
    pub(super) operands: Vec<(TensorType, Fill)>,
    /// Whether it is linear in each operand separately, so that finite differences are exact for any step.
    pub(super) is_linear: bool,
}

impl Case {
    fn new(op: Op, operands: Vec<(TensorType, Fill)>) -> Self {
        Self {
            op,
            operands,
            is_linear: false,
        }
    }

    fn linear(op: Op, shapes: &[&[usize]]) -> Self {
        let operands = shapes
            .iter()
            .map(|&shape| (TensorType::f32(shape), Fill::Any))
            .collect();
        Self {
            op,
            operands,
            is_linear: true,
        }
    }

    /// A graph whose only node is the operator, with its operands (inputs `x0`, `x1`, …) and outputs.
    pub(super) fn graph(&self) -> (Graph, Vec<Value>, Vec<Value>) {
        let mut graph = Graph::new();
        let operands: Vec<Value> = self
            .operands
            .iter()
            .enumerate()
            .map(|(position, (tensor_type, _))| {
                graph
                    .input(&format!("x{position}"), tensor_type.clone())
                    .expect("a new name")
            })
            .collect();
        let results = graph
            .push(self.op.clone(), &operands)
            .unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
        (graph, operands, results)
    }

    /// Values for all operands.
    pub(super) fn leaves(&self, seed: u64) -> BTreeMap<String, Array> {
        let fill = |(position, (tensor_type, fill)): (usize, &(TensorType, Fill))| {
            (
                format!("x{position}"),
                filled(&tensor_type.shape, *fill, seed + 1000 * position as u64),
            )
        };
        self.operands.iter().enumerate().map(fill).collect()
    }
}

/// A random array, rounded to single precision so that ONNX Runtime gets the same numbers.
pub(super) fn filled(shape: &[usize], fill: Fill, seed: u64) -> Array {
    let mut random = generator(seed, Purpose::new(11), &[]);
    let mut uniform = || f64::from(random.next_u32()) / 4_294_967_296.0;
    let count: usize = shape.iter().product();
    let mut order: Vec<(f64, usize)> = (0..count).map(|rank| (uniform(), rank)).collect();
    order.sort_by(|left, right| left.0.total_cmp(&right.0));
    let data = order.into_iter().map(|(_, rank)| match fill {
        Fill::Any => {
            let number = 2.0 * uniform() - 1.0;
            number + 0.05f64.copysign(number)
        }
        Fill::Positive => 0.5 + uniform(),
        Fill::Apart => 0.05 * rank as f64 - 0.5,
        Fill::Below(bound) => (uniform() * bound as f64).floor(),
        Fill::Truth => f64::from(u8::from(uniform() < 0.5)),
    });
    Array::new(shape, data.map(|number| f64::from(number as f32)).collect())
}
