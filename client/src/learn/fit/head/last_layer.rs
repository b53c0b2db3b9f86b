//! Factors of classes, multiplied into the last layer.

use super::State;
use crate::weights::is_moment;
use equibatch_training::{program::LastLayer, runtime::Tensor, trainer::stepper::model_of};

/// The head whose logits are multiplied by the trained `class.scales`.
pub(super) fn scaled(mut state: State, layer: &LastLayer, scales: State) -> State {
    let scales = model_of(scales).remove("class.scales");
    let scales = scales.map_or_else(Vec::new, |scales| scales.data);
    let own = |weight: &Tensor| vec![1.0; weight.shape[layer.axis]];
    for (weight, bias) in parameters(layer) {
        let Some(weight) = state.get_mut(&weight) else {
            continue;
        };
        let factors = if scales.is_empty() {
            own(weight)
        } else {
            scales.clone()
        };
        multiply(weight, layer.axis, &factors);
        if let Some(bias) = bias.and_then(|bias| state.get_mut(&bias)) {
            multiply(bias, 0, &factors);
        }
    }
    state
}

/// The logits of a head that is this layer alone, for features of some images; `None` if the layer has another number of inputs or no bias, or the
/// state has other parameters.
///
/// # Shapes
///
/// `features: f32[N, D]`, flat → `f32[N, K]`, flat.
pub(super) fn applied(state: &State, layer: &LastLayer, features: &[f32]) -> Option<Vec<f32>> {
    let (weight, bias) = (state.get(&layer.weight)?, state.get(layer.bias.as_ref()?)?);
    let classes = bias.data.len();
    let width = weight.data.len() / classes;
    let is_other =
        |name: &&String| **name != layer.weight && Some(*name) != layer.bias.as_ref() && !is_moment(name);
    if state.keys().any(|name| is_other(&name)) || !features.len().is_multiple_of(width) {
        return None;
    }
    let mut logits = vec![];
    for row in features.chunks_exact(width) {
        let mut sums: Vec<f64> = bias.data.iter().copied().map(f64::from).collect();
        for (index, element) in weight.data.iter().enumerate() {
            let class = class_of(weight, layer.axis, index);
            let input = if layer.axis == 0 {
                index % width
            } else {
                index / classes
            };
            sums[class] += f64::from(*element) * f64::from(row[input]);
        }
        logits.extend(sums.iter().map(|sum| *sum as f32));
    }
    Some(logits)
}

/// The head with other weights, by class and input, and another bias.
pub(super) fn replaced(
    mut state: State,
    layer: &LastLayer,
    weights: impl Fn(usize, usize) -> f32,
    biases: &[f32],
) -> State {
    for (weight, bias) in parameters(layer) {
        if let Some(weight) = state.get_mut(&weight) {
            let [rows, columns] = [0, 1].map(|axis| weight.shape.get(axis).copied().unwrap_or(1));
            let is_transposed = layer.axis == 1;
            let cell = |index: usize| (index / columns, index % columns);
            weight.data = (0..rows * columns)
                .map(cell)
                .map(|(row, column)| {
                    if is_transposed {
                        weights(column, row)
                    } else {
                        weights(row, column)
                    }
                })
                .collect();
        }
        if let Some(bias) = bias.and_then(|bias| state.get_mut(&bias)) {
            bias.data = biases.to_vec();
        }
    }
    state
}

/// The head whose weights of each class are divided by their Euclidean norm to the power of `tau`, without bias.
pub(super) fn normalised(mut state: State, layer: &LastLayer, tau: f64) -> State {
    for (weight, bias) in parameters(layer) {
        if let Some(weight) = state.get_mut(&weight) {
            let mut squares = vec![0.0; weight.shape[layer.axis]];
            for (index, element) in weight.data.iter().enumerate() {
                squares[class_of(weight, layer.axis, index)] += f64::from(*element).powi(2);
            }
            let factor = |square: &f64| {
                if *square > 0.0 {
                    square.powf(-tau / 2.0) as f32
                } else {
                    1.0
                }
            };
            let factors: Vec<f32> = squares.iter().map(factor).collect();
            multiply(weight, layer.axis, &factors);
        }
        if let Some(bias) = bias.and_then(|bias| state.get_mut(&bias)) {
            bias.data.fill(0.0);
        }
    }
    state
}

/// Names of weight and bias, and of their averages.
fn parameters(layer: &LastLayer) -> [(String, Option<String>); 2] {
    ["", "average."].map(|prefix| {
        let named = |name: &String| format!("{prefix}{name}");
        (named(&layer.weight), layer.bias.as_ref().map(named))
    })
}

fn multiply(tensor: &mut Tensor, axis: usize, factors: &[f32]) {
    let classes: Vec<usize> = (0..tensor.data.len())
        .map(|index| class_of(tensor, axis, index))
        .collect();
    let elements = tensor.data.iter_mut().zip(classes);
    elements.for_each(|(element, class)| *element *= factors[class]);
}

/// The coordinate along `axis` of the element with a row-major index.
fn class_of(tensor: &Tensor, axis: usize, index: usize) -> usize {
    index / tensor.shape[axis + 1..].iter().product::<usize>() % tensor.shape[axis]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(weight: Tensor, bias: [f32; 2]) -> (State, LastLayer) {
        let layer = LastLayer {
            weight: "fc.weight".to_owned(),
            axis: usize::from(weight.shape[0] != 2),
            bias: Some("fc.bias".to_owned()),
        };
        let bias = Tensor {
            shape: [2].into(),
            data: bias.to_vec(),
        };
        let names = ["fc.weight", "fc.bias", "average.fc.weight", "average.fc.bias"];
        let tensors = [weight.clone(), bias.clone(), weight, bias];
        (names.map(str::to_owned).into_iter().zip(tensors).collect(), layer)
    }

    /// Two classes of three features, with the classes along either axis.
    fn weights() -> [Tensor; 2] {
        let of = |shape: [usize; 2], data: [f32; 6]| Tensor {
            shape: shape.into(),
            data: data.to_vec(),
        };
        [
            of([2, 3], [3.0, 0.0, 4.0, 0.0, 2.0, 0.0]),
            of([3, 2], [3.0, 0.0, 0.0, 2.0, 4.0, 0.0]),
        ]
    }

    #[test]
    fn scales_multiply_the_weights_and_the_bias_of_their_class() {
        for weight in weights() {
            let (state, layer) = state(weight, [1.0, -1.0]);
            let scales = Tensor {
                shape: [2].into(),
                data: vec![2.0, 10.0],
            };
            let found = scaled(state, &layer, [("class.scales".to_owned(), scales)].into());
            for prefix in ["", "average."] {
                let weight = &found[&format!("{prefix}fc.weight")];
                let sums = [0, 1].map(|class| {
                    let own = weight.data.iter().enumerate();
                    own.filter(|(index, _)| class_of(weight, layer.axis, *index) == class)
                        .map(|(_, element)| element)
                        .sum::<f32>()
                });
                assert_eq!(sums, [14.0, 20.0]);
                assert_eq!(found[&format!("{prefix}fc.bias")].data, [2.0, -10.0]);
            }
        }
    }

    #[test]
    fn a_tau_of_one_makes_all_norms_equal_and_one_of_zero_keeps_them() {
        for weight in weights() {
            let (state, layer) = state(weight, [1.0, -1.0]);
            for (tau, expected) in [
                (0.0, [25.0, 4.0]),
                (1.0, [1.0, 1.0]),
                (2.0, [1.0 / 25.0, 1.0 / 4.0]),
            ] {
                let found = normalised(state.clone(), &layer, tau);
                let weight = &found["average.fc.weight"];
                let mut squares = [0.0_f32; 2];
                for (index, element) in weight.data.iter().enumerate() {
                    squares[class_of(weight, layer.axis, index)] += element * element;
                }
                for (found, expected) in squares.iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-5, "{tau}: {squares:?}");
                }
                assert_eq!(found["fc.bias"].data, [0.0, 0.0]);
            }
        }
    }
}
