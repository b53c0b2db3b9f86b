//! Every supported operator through import, a training step, export and import.

mod networks;

use equibatch_client_tests::onnx_runtime;
use equibatch_training::{
    nn::import::supported,
    program::{grad_cam, import, inference, initial_state},
};

use self::networks::networks;
use super::{CLASSES, SIZE, after_a_step, images, network, spec};
use crate::golden::error;

/// Import, a training step, export, and import again: the exported model can be imported, computes the same, and
/// can be trained further.
#[test]
fn every_supported_operator_survives_import_and_export() {
    let networks = networks();
    assert_eq!(networks.keys().copied().collect::<Vec<_>>(), supported());
    for (operator, file) in networks {
        let own = spec(&file.bytes());
        let trained = after_a_step(&own, operator);
        let exported = inference(&own, &trained, &[]).unwrap_or_else(|error| panic!("{operator}: {error:?}"));
        let again = spec(&exported.model);
        let kept = initial_state(&again, 0).unwrap_or_else(|error| panic!("{operator}: {error:?}"));
        assert!(
            kept == trained,
            "{operator}: {:?} instead of {:?}",
            kept.keys(),
            trained.keys()
        );
        let twice = inference(&again, &kept, &[]).unwrap();
        let [once, twice] = [&exported, &twice].map(|program| {
            let shown = onnx_runtime::run_model(&program.model, "images", &images(), "logits");
            shown.unwrap_or_else(|error| panic!("{operator}: {error:?}"))
        });
        let off = error(&twice, &once);
        assert!(off < 1e-6, "{operator} is off by {off:e}");
        after_a_step(&again, operator);
    }
}

/// `Clip` is exported as one node.
#[test]
fn a_bounded_relu_stays_one_node() {
    let bytes = networks()["Clip"].bytes();
    let own = spec(&bytes);
    let exported = inference(&own, &initial_state(&own, 0).unwrap(), &[]).unwrap();
    let model = import::read(&exported.model, &|_| unreachable!("it is one file")).unwrap();
    let operators: Vec<&str> = model.nodes.iter().map(|node| &*node.operator).collect();
    assert_eq!(
        operators,
        ["Conv", "Clip", "GlobalAveragePool", "Flatten", "Gemm", "Softmax"]
    );
}

/// Grad-CAM of the exported model.
#[test]
fn grad_cam_works_for_networks_with_bounded_relus() {
    let own = spec(&networks()["Clip"].bytes());
    let exported = inference(&own, &initial_state(&own, 0).unwrap(), &[]).unwrap();
    let program = grad_cam(&network(&exported.model), CLASSES, SIZE).unwrap();
    assert_eq!(program.signature.outputs[0].shape.to_vec(), [1, 8, 8]);
}
