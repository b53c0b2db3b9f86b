use std::{io, sync::Arc};

use equibatch_training::program::{
    Classifier, ModelSpec, OnnxModel, TrainSpec, import, inference, initial_state, train_step,
};

/// The largest image size that a network is built for, whatever the file says.
const SIZE: usize = 64;

/// An ONNX file for `--model`: read, built, differentiated, and exported as after training. If one of these steps refuses it, the
/// rest is skipped.
///
/// # Panics
///
/// If the built network cannot be exported.
pub fn model_file(data: &[u8]) {
    let Ok(model) = import::read(data, &|_| Err(io::ErrorKind::NotFound.into())) else {
        return;
    };
    let Ok(network) = OnnxModel::new(model) else {
        return;
    };
    let image_size = network.image_size().unwrap_or(SIZE).min(SIZE);
    let model = ModelSpec::Classifier(Classifier {
        network: Arc::new(network),
        classes: 3,
        image_size,
    });
    let _ = train_step(&TrainSpec::new(model.clone(), 2));
    if let Ok(state) = initial_state(&model, 0) {
        inference(&model, &state, &[]).expect("what was built is written");
    }
}
