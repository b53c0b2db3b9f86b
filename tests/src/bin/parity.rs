//! Our half of `make parity`: a training run, and the data for another program to repeat it on the same batches.
//!
//! `parity ADDRESS FOLDER ARCH SIZE BATCH EPOCHS SEED MAX_LR RUNS` writes `initial.safetensors` (parameters and statistics before the first
//! step), `masks.safetensors` (dropout masks, `LAYER.STEP`) and `report.json` (the run's configuration; for each of `RUNS` runs the loss of
//! every step and the last validation). All runs but the first start from weights that are each moved by one rounding.
//! `tests/generate/parity.py` starts it.

use std::{collections::BTreeMap, env, fs, path::Path, sync::atomic::AtomicBool};

use anyhow::{Context as _, Result, ensure};
use equibatch_client::learn::{
    architecture,
    checkpoint::Checkpoint,
    fit::{EpochRecord, EpochWriter, Fit, Observer, StepEvent},
    learner::Learner,
    metrics::Metrics,
    run::{RunConfig, RunFolder},
};
use equibatch_engine::random::{Purpose, generator, uniform};
use equibatch_stream::{RetryPolicy, Servers};
use equibatch_training::{
    program::{TrainSpec, dropout, train_graph},
    runtime::{Runtime, SessionOptions},
};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, folder, arch, size, batch, epochs, seed, max_lr, runs] = &*arguments else {
        anyhow::bail!("usage: parity ADDRESS FOLDER ARCH SIZE BATCH EPOCHS SEED MAX_LR RUNS");
    };
    let folder = Path::new(folder);
    let servers = Servers::open(address, RetryPolicy::default())?;
    let asked = RunConfig {
        arch: arch.clone(),
        image_size: size.parse()?,
        batch_size: batch.parse()?,
        epochs: epochs.parse()?,
        seed: seed.parse()?,
        max_lr: max_lr.clone(),
        ..RunConfig::default()
    };
    let stream = servers
        .stream(&asked.images(asked.epochs), 1)?
        .description()
        .clone();
    ensure!(stream.steps_per_epoch > 0, "an epoch has no full batch");
    let config = asked.described(&stream);
    let runtime = Runtime::load()?;
    let start = Learner::new(&runtime, &config, &SessionOptions::default())?.checkpoint()?;
    fs::write(folder.join("initial.safetensors"), start.to_bytes())?;
    fs::write(folder.join("masks.safetensors"), masks(&config)?)?;
    let mut runs_done = vec![];
    for number in 0..runs.parse()? {
        let mut from = start.clone();
        if number > 0 {
            nudge(&mut from, number);
        }
        let run = RunFolder::create(&folder.join(format!("run-{number}")), &config)?;
        let mut learner = Learner::new(&runtime, &config, &SessionOptions::default())?;
        learner.restore(from)?;
        let mut diary = Diary::default();
        let mut writer = EpochWriter::default();
        let fit = Fit {
            servers: &servers,
            learner: &mut learner,
            run: &run,
            prefetch: 3,
            has_valid: true,
            checkpoint_every: None,
            stop: &AtomicBool::new(false),
            writer: &mut writer,
            last_evaluation: &mut None,
        };
        fit.run(&mut diary)?;
        writer.wait()?;
        let valid = diary.valid.context("there are no validation images")?;
        runs_done.push(json!({ "losses": diary.losses, "valid": valid }));
    }
    let report = json!({ "config": config, "runs": runs_done });
    fs::write(folder.join("report.json"), serde_json::to_string_pretty(&report)?)?;
    Ok(())
}

/// Moves every weight and statistic by one rounding, up or down.
fn nudge(start: &mut Checkpoint, seed: u64) {
    let mut generator = generator(seed, Purpose::DRAWING, &[]);
    let tensors = start.tensors.iter_mut();
    for (_, tensor) in tensors.filter(|(name, _)| !name.contains("moment")) {
        for value in &mut tensor.data {
            let is_up = uniform(&mut generator, 0.0, 1.0) < 0.5;
            *value = if is_up { value.next_up() } else { value.next_down() };
        }
    }
}

/// The masks of all steps, as the learner draws them.
fn masks(config: &RunConfig) -> Result<Vec<u8>> {
    let spec = TrainSpec::new(architecture::spec(config)?, config.batch_size as usize);
    let (_, signature) = train_graph(&spec)?;
    let mut drawn: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for step in 0..config.steps_per_epoch * u64::from(config.epochs) {
        for (layer, mask) in (0..).zip(&signature.dropout) {
            let mut values = vec![0.0; mask.shape.elements()];
            dropout::draw(mask, (config.seed, step, layer), &mut values);
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            drawn.insert(format!("{}.{step}", mask.name), (mask.shape.to_vec(), bytes));
        }
    }
    let views = drawn
        .iter()
        .map(|(name, (shape, bytes))| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    Ok(safetensors::serialize(views, None)?)
}

#[derive(Default)]
struct Diary {
    losses: Vec<f64>,
    valid: Option<Metrics>,
}

impl Observer for Diary {
    fn step(&mut self, step: &StepEvent) {
        self.losses.push(step.report.loss);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.valid.clone_from(&record.valid);
    }
}
