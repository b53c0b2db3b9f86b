//! Trains a small network that PyTorch exported, on arrays: whether an image is bright. Needs the ONNX Runtime library.

use std::error::Error;

use equibatch_training::{
    optim::AdamW,
    program::Loss,
    runtime::{Device, Runtime},
    schedule::Schedule,
    trainer::{Model, Trainer},
};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/networks/mlp.onnx"
);

fn main() -> Result<(), Box<dyn Error>> {
    let mut trainer = Trainer::builder(Model::from_onnx(FILE)?.replace_linear("head", 2)?)
        .loss(Loss::cross_entropy("scores", "labels"))
        .optimizer(AdamW::default().weight_decay(0.05))
        .group("norm|bias", |group| group.weight_decay(0.0))
        .clip_grad_norm(1.0)
        .batch_size(16)
        .build(&Runtime::load()?, Device::Cpu)?;
    let schedule = Schedule::cosine(100).warmup(10).max_lr(1e-2);
    let labels: Vec<i64> = (0..16).map(|image| image % 2).collect();
    let mut losses = vec![];
    for step in 0..100 {
        let pixel = |at: i64| labels[at as usize / 3072] as f32 - 0.5 + (at as f32 * 0.7).sin();
        let pixels: Vec<f32> = (0..16 * 3072).map(pixel).collect();
        let output = trainer.step(&[("pixels", &pixels), ("labels", &labels)], schedule.at(step))?;
        losses.push(output.loss);
    }
    trainer.export_inference(std::env::temp_dir().join("trained.onnx"))?;
    assert!(losses[99] < losses[0] / 4.0, "{losses:?}");
    Ok(())
}

#[test]
fn the_loss_falls() {
    main().expect("ONNX Runtime is installed: `make runtime`");
}
