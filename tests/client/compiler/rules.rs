use std::collections::BTreeMap;

use equibatch_client_tests::interpreter::{Array, evaluate};
use equibatch_training::autodiff::{Error, gradients};
use equibatch_training::graph::op::Reduce;
use equibatch_training::graph::{Composite, ElementType, Graph, Op, TensorType, Value, lower};

use super::cases::{Case, Fill, cases, filled};

/// A case with a loss: the sum of all float outputs times random weights.
struct Losses {
    graph: Graph,
    operands: Vec<Value>,
    loss: Value,
    leaves: BTreeMap<String, Array>,
}

impl Losses {
    fn new(case: &Case, seed: u64) -> Self {
        let (mut graph, operands, results) = case.graph();
        let mut leaves = case.leaves(seed);
        let mut total = graph.scalar(0.0);
        for (position, result) in results.into_iter().enumerate() {
            // The statistics of a batch norm feed running averages, never a loss.
            let is_statistic = matches!(case.op, Op::Composite(Composite::BatchNorm(_))) && position > 0;
            let tensor_type = graph.tensor_type(result).clone();
            if tensor_type.element_type != ElementType::F32 || is_statistic {
                continue;
            }
            let name = format!("weights{position}");
            leaves.insert(name.clone(), filled(&tensor_type.shape, Fill::Any, seed + 77));
            let weights = graph.input(&name, tensor_type.clone()).expect("a new name");
            let mut sum = graph.mul(result, weights).expect("one shape");
            if !tensor_type.shape.is_empty() {
                let axes = (0..tensor_type.shape.len()).collect();
                sum = graph
                    .reduce_sum(
                        sum,
                        Reduce {
                            axes,
                            keep_axes: false,
                        },
                    )
                    .expect("all axes");
            }
            total = graph.add(total, sum).expect("scalars");
        }
        Self {
            graph,
            operands,
            loss: total,
            leaves,
        }
    }

    fn loss_at(&self, leaves: &BTreeMap<String, Array>) -> f64 {
        evaluate(&self.graph, leaves).of(self.loss).data[0]
    }

    /// The float operands, with their names.
    fn floats(&self) -> Vec<(String, Value)> {
        let named = self
            .operands
            .iter()
            .enumerate()
            .map(|(position, &value)| (format!("x{position}"), value));
        named
            .filter(|(_, value)| self.graph.tensor_type(*value).element_type == ElementType::F32)
            .collect()
    }
}

fn moved(array: &Array, direction: &Array, step: f64) -> Array {
    let moved = array
        .data
        .iter()
        .zip(&direction.data)
        .map(|(element, along)| element + step * along);
    Array::new(&array.shape, moved.collect())
}

/// Each rule against finite differences, per operand, along a random direction.
///
/// For an operator that is linear in the operand, the difference is exact for any step, and a step of one makes this the adjoint identity
/// ⟨J·u, weights⟩ = ⟨u, Jᵀ·weights⟩. For the others, a central difference with step 1e-5 has an error of 1e-10 from its cubic term and 1e-11
/// from rounding. Constants such as 1/M are rounded to single precision, an error of 6e-8.
#[test]
fn every_rule_matches_finite_differences() {
    let mut checked = 0;
    for (number, case) in cases().iter().enumerate() {
        let mut losses = Losses::new(case, 100 + number as u64);
        let floats = losses.floats();
        let wrt: Vec<Value> = floats.iter().map(|(_, value)| *value).collect();
        let gradients = match gradients(&mut losses.graph, losses.loss, &wrt) {
            Ok(gradients) => gradients,
            Err(Error::Unsupported { .. } | Error::Unreachable { .. }) => continue,
            Err(error) => panic!("{case:?}: {error:?}"),
        };
        let evaluation = evaluate(&losses.graph, &losses.leaves);
        for ((name, _), gradient) in floats.iter().zip(gradients) {
            let gradient = evaluation.of(gradient);
            let direction = filled(&gradient.shape, Fill::Any, 200 + number as u64);
            let step = if case.is_linear { 1.0 } else { 1e-5 };
            let at = |step: f64| {
                let mut leaves = losses.leaves.clone();
                leaves.insert(name.clone(), moved(&losses.leaves[name], &direction, step));
                losses.loss_at(&leaves)
            };
            let difference = (at(step) - at(-step)) / (2.0 * step);
            let derivative = gradient.dot(&direction);
            let scale = gradient
                .data
                .iter()
                .zip(&direction.data)
                .map(|(left, right)| (left * right).abs())
                .sum::<f64>();
            assert!(
                (difference - derivative).abs() <= 5e-7 * scale.max(1e-3),
                "{case:?}: {name} changes the loss by {difference}, its gradient says {derivative}"
            );
            checked += 1;
        }
    }
    assert!(checked > 200, "only {checked} gradients were checked");
}

/// A composite's rule equals the derivative of its decomposition.
#[test]
fn rules_of_composites_equal_the_derivative_of_their_decomposition() {
    let composites = cases().into_iter().filter(|case| {
        matches!(
            case.op,
            Op::Composite(
                Composite::BatchNorm(_) | Composite::LayerNorm(_) | Composite::Gelu | Composite::CrossEntropy
            )
        )
    });
    let mut checked = 0;
    for (number, case) in composites.enumerate() {
        let mut whole = Losses::new(&case, 300 + number as u64);
        whole.graph.output("loss", whole.loss).expect("a new name");
        let mut decomposed =
            lower::lower(&whole.graph, lower::Kernels::Cpu).expect("the composite can be lowered");
        let names: Vec<String> = whole.floats().into_iter().map(|(name, _)| name).collect();

        let wrt: Vec<Value> = whole.floats().iter().map(|(_, value)| *value).collect();
        let ruled = gradients(&mut whole.graph, whole.loss, &wrt).expect("a rule");
        let wrt: Vec<Value> = names
            .iter()
            .map(|name| decomposed.named(name).expect("an input"))
            .collect();
        let loss = decomposed.outputs()[0].1;
        let derived = gradients(&mut decomposed, loss, &wrt).expect("rules");

        let (expected, found) = (
            evaluate(&decomposed, &whole.leaves),
            evaluate(&whole.graph, &whole.leaves),
        );
        for ((ruled, derived), name) in ruled.into_iter().zip(derived).zip(names) {
            let (found, expected) = (found.of(ruled), expected.of(derived));
            // Over a single element, the gradient is zero up to the rounding of 1/M.
            assert!(
                found.distance(expected) <= 1e-6 * expected.largest().max(1.0),
                "{case:?}: {name}"
            );
            checked += 1;
        }
    }
    assert!(checked >= 10);
}

/// Subgradients of ReLU and max pooling where the derivative does not exist: PyTorch's choice.
#[test]
fn ties_are_broken_as_in_pytorch() {
    let mut g = Graph::new();
    let x = g.input("x", TensorType::f32([1, 1, 1, 4])).expect("a new name");
    let active = g.relu(x).expect("floats");
    let pool = equibatch_training::graph::op::MaxPool2d {
        kernel: [1, 2],
        stride: [1, 1],
        pad: [0, 0],
    };
    let [maxima, _] = g.max_pool(active, pool).expect("windows fit");
    let axes = vec![0, 1, 2, 3];
    let loss = g
        .reduce_sum(
            maxima,
            Reduce {
                axes,
                keep_axes: false,
            },
        )
        .expect("all axes");
    let gradient = gradients(&mut g, loss, &[x]).expect("rules")[0];
    // Windows (0, 2), (2, 2), (2, −1): the first of equal maxima gets the gradient. ReLU's gradient at zero is zero.
    let leaves = BTreeMap::from([(
        "x".to_owned(),
        Array::new(&[1, 1, 1, 4], vec![0.0, 2.0, 2.0, -1.0]),
    )]);
    assert_eq!(evaluate(&g, &leaves).of(gradient).data, [0.0, 2.0, 1.0, 0.0]);
    g.output("gradient", gradient).expect("a new name");
    let found = equibatch_client_tests::onnx_runtime::run(&g, &leaves).expect("it runs");
    assert_eq!(found["gradient"].data, [0.0, 2.0, 1.0, 0.0]);
    let zeros = BTreeMap::from([("x".to_owned(), Array::zeros(&[1, 1, 1, 4]))]);
    assert_eq!(evaluate(&g, &zeros).of(gradient).data, [0.0; 4]);
}
