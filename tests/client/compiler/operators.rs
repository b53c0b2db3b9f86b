use equibatch_client_tests::interpreter::evaluate;
use equibatch_client_tests::onnx_runtime;
use equibatch_training::graph::lower::{self, Kernels};

use super::cases::cases;

/// The interpreter, the export and ONNX Runtime agree on every operator.
#[test]
fn onnx_runtime_computes_what_the_interpreter_says() {
    for (number, case) in cases().iter().enumerate() {
        let (mut graph, _, results) = case.graph();
        for (position, &result) in results.iter().enumerate() {
            graph.output(&format!("y{position}"), result).expect("a new name");
        }
        let leaves = case.leaves(number as u64);
        let expected = evaluate(&graph, &leaves);
        let found = onnx_runtime::run(&graph, &leaves).unwrap_or_else(|error| panic!("{case:?}: {error:?}"));
        for (position, &result) in results.iter().enumerate() {
            let (expected, found) = (expected.of(result), &found[&format!("y{position}")]);
            // Sums of fewer than 2048 products of numbers near one in single precision.
            let tolerance = 2e-5 * expected.largest().max(1.0);
            assert!(
                found.distance(expected) <= tolerance,
                "{case:?}: {found:?} instead of {expected:?}"
            );
        }
    }
}

/// Lowering preserves outputs, checked in double precision, where only constants are rounded.
#[test]
fn lowering_preserves_outputs() {
    for (number, case) in cases().iter().enumerate() {
        let (mut graph, _, results) = case.graph();
        for (position, &result) in results.iter().enumerate() {
            graph.output(&format!("y{position}"), result).expect("a new name");
        }
        let leaves = case.leaves(number as u64);
        let before = evaluate(&graph, &leaves);
        for kernels in [Kernels::Cpu, Kernels::Cuda, Kernels::CudaFused] {
            let lowered = lower::lower(&graph, kernels).expect("every composite can be lowered");
            let after = evaluate(&lowered, &leaves);
            for ((_, composite), (_, decomposed)) in graph.outputs().iter().zip(lowered.outputs()) {
                let (expected, found) = (before.of(*composite), after.of(*decomposed));
                assert_eq!(graph.tensor_type(*composite), lowered.tensor_type(*decomposed));
                assert!(
                    found.distance(expected) <= 1e-6 * expected.largest().max(1.0),
                    "{kernels:?}: {case:?}"
                );
            }
        }
    }
}
