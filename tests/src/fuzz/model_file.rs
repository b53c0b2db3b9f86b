use std::{io, sync::Arc};

use equibatch_training::program::{
    Classifier, ModelSpec, OnnxModel, TrainSpec, import, inference, initial_state, train_step,
};

/// Pixels that a network is built for, whatever the file says beyond that.
const SIZE: usize = 64;

/// An ONNX file that `--model` names: read, built, differentiated, and written as it would be after training. Where one of that is refused, no
/// more is asked.
///
/// # Panics
///
/// Where what was built cannot be written.
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
