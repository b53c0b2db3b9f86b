//! Our half of `make parity`: a whole training run, and everything that another program needs to repeat it on the same batches.
//!
//! `parity ADDRESS FOLDER ARCH SIZE BATCH EPOCHS SEED MAX_LR` writes `initial.safetensors` (parameters and statistics before the first step),
//! `masks.safetensors` (dropout masks, `LAYER.STEP`) and `report.json` (the run's configuration, the loss of every step, the last
//! validation). `tests/generate/parity.py` starts it.

use std::{collections::BTreeMap, env, fs, path::Path, sync::atomic::AtomicBool};

use anyhow::{Context as _, Result, ensure};
use equibatch_client::{
    learn::{
        architecture, dropout,
        fit::{EpochRecord, Fit, Observer, StepEvent},
        learner::Learner,
        metrics::Figures,
        run::{RunConfig, RunFolder},
    },
    program::{TrainSpec, train_graph},
    runtime::{Runtime, SessionOptions},
    stream::{BatchRequest, Patience, Servers, Split},
};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, folder, arch, size, batch, epochs, seed, max_lr] = &*arguments else {
        anyhow::bail!("usage: parity ADDRESS FOLDER ARCH SIZE BATCH EPOCHS SEED MAX_LR");
    };
    let folder = Path::new(folder);
    let servers = Servers::open(address, Patience::default())?;
    let config = configuration(
        &servers,
        RunConfig {
            arch: arch.clone(),
            image_size: size.parse()?,
            batch_size: batch.parse()?,
            epochs: epochs.parse()?,
            seed: seed.parse()?,
            max_lr: max_lr.clone(),
            ..RunConfig::default()
        },
    )?;
    let run = RunFolder::create(&folder.join("run"), &config)?;
    let runtime = Runtime::load()?;
    let mut learner = Learner::new(&runtime, &config, &SessionOptions::default())?;
    fs::write(
        folder.join("initial.safetensors"),
        learner.checkpoint()?.to_bytes(),
    )?;
    fs::write(folder.join("masks.safetensors"), masks(&config)?)?;
    let mut diary = Diary::default();
    let fit = Fit {
        servers: &servers,
        learner: &mut learner,
        run: &run,
        prefetch: 3,
        has_valid: true,
        stop: &AtomicBool::new(false),
    };
    fit.run(&mut diary)?;
    let valid = diary.valid.context("there are no validation images")?;
    let report = json!({ "config": config, "losses": diary.losses, "valid": valid });
    fs::write(folder.join("report.json"), serde_json::to_string_pretty(&report)?)?;
    Ok(())
}

/// What only the stream itself tells.
fn configuration(servers: &Servers, config: RunConfig) -> Result<RunConfig> {
    let request = BatchRequest {
        seed: config.seed,
        epochs: config.epochs,
        balance: Some(config.balance.clone()),
        ..BatchRequest::evaluation("", Split::Train, config.batch_size, config.image_size)
    };
    let stream = servers.stream(&request, 1)?.description().clone();
    ensure!(stream.steps_per_epoch > 0, "an epoch has no full batch");
    Ok(RunConfig {
        dataset: stream.dataset,
        fingerprint: stream.fingerprint,
        classes: stream.classes,
        steps_per_epoch: stream.steps_per_epoch,
        recipe: stream.recipe,
        mean: stream.mean,
        std: stream.std,
        canonical_short_side: stream.canonical_short_side,
        ..config
    })
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
    valid: Option<Figures>,
}

impl Observer for Diary {
    fn step(&mut self, step: &StepEvent) {
        self.losses.push(step.report.loss);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.valid.clone_from(&record.valid);
    }
}
