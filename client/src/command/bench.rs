use std::{
    fs,
    io::{self, Write},
    time::Instant,
};

use anyhow::{Context as _, Result};

use super::Exit;
use crate::{
    args::Bench,
    config::{check_precision, training_options},
    learn::{
        architecture::AUTO_HEAD,
        evaluate::ImageModel,
        learner::Learner,
        run::{Frozen, RunConfig},
    },
};
use equibatch_stream::{Batch, Position};
use equibatch_training::runtime::{OperatorTime, Runtime, SessionOptions};

/// Measures training steps, or inference, on a batch of noise, after one step to warm up.
pub(super) fn run(args: &Bench) -> Result<Exit> {
    check_precision(args.precision, args.execution.device)?;
    let runtime = Runtime::load_for(args.execution.device, args.execution.threads)?;
    let config = config(args);
    let batch = noise(&config);
    let options = SessionOptions {
        profile: args.profile.clone(),
        staging: args.staging,
        ..training_options(&args.execution, args.operators)
    };
    let mut learner = Learner::new(&runtime, &config, &options)?;
    let (times, cpu) = if let Some(file) = &args.inference {
        let snapshot = learner.snapshot()?;
        fs::write(file, snapshot.model()?).with_context(|| format!("cannot write {}", file.display()))?;
        let mut validator = learner.validator(&snapshot)?;
        let (count, size) = (config.batch_size as usize, config.image_size as usize);
        measure(args.steps, || {
            validator.logits(&batch.tensor, count, size)?;
            Ok(())
        })?
    } else {
        // The batch is copied to the device for every step, as in training.
        measure(args.steps, || {
            learner.step_ahead(&batch, Some(&batch))?;
            Ok(())
        })?
    };
    let mut sorted = times.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let images_per_second = f64::from(config.batch_size) * 1e3 / median;
    let peak = peak_rss_mb().context("cannot read the peak memory usage from /proc/self/status")?;
    let mut out = io::stdout().lock();
    if args.json {
        let record = serde_json::json!({
            "step_ms": times, "cpu_ms_per_step": cpu, "images_per_second": images_per_second, "peak_rss_mb": peak,
        });
        writeln!(out, "{record}")?;
    } else {
        writeln!(
            out,
            "{} at {}, batch {}, {}: {median:.0} ms per step (median of {}), {images_per_second:.1} images/s, peak memory {peak:.0} MB",
            config.arch, config.image_size, config.batch_size, config.precision, args.steps
        )?;
    }
    if args.profile.is_some() && !args.json {
        for OperatorTime {
            operator,
            nodes,
            milliseconds,
        } in learner.profile()?
        {
            writeln!(out, "{milliseconds:10.1} ms  {nodes:6.0} × {operator}")?;
        }
    }
    Ok(Exit::Done)
}

/// Milliseconds of each step after the first, and CPU-milliseconds per step.
fn measure(steps: u32, mut step: impl FnMut() -> Result<()>) -> Result<(Vec<f64>, f64)> {
    step()?;
    let cpu = cpu_ms();
    let mut times = vec![];
    for _ in 0..steps {
        let start = Instant::now();
        step()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok((times, (cpu_ms() - cpu) / f64::from(steps)))
}

fn config(args: &Bench) -> RunConfig {
    let default = RunConfig::default();
    RunConfig {
        dataset: "noise".to_owned(),
        classes: vec!["0".to_owned(), "1".to_owned()],
        arch: args.model.as_ref().map_or(&args.arch, |file| &file.path).clone(),
        network_hash: args
            .model
            .as_ref()
            .map_or_else(String::new, |file| file.hash.clone()),
        head: args.model.as_ref().map_or(default.head, |_| AUTO_HEAD.to_owned()),
        epochs: 1,
        steps_per_epoch: u64::from(args.steps) + 1,
        batch_size: args.batch_size,
        image_size: args.size,
        frozen: Frozen::Body(args.frozen),
        precision: args.precision,
        ..default
    }
}

/// A batch of pseudo-random images with values in [-1, 1), of two alternating classes.
fn noise(config: &RunConfig) -> Batch {
    let elements = config.batch_size * 3 * config.image_size * config.image_size;
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1_u32 << 23) as f32 - 1.0;
    Batch {
        epoch: 0,
        step: 0,
        next: Position::default(),
        labels: (0..config.batch_size).map(|image| image % 2).collect(),
        samples: (0..config.batch_size).collect(),
        mixed: None,
        replacements: vec![],
        tensor: (0..elements)
            .flat_map(|i| value(i).to_le_bytes())
            .collect::<Vec<u8>>()
            .into(),
    }
}

/// CPU time of this process so far, in milliseconds.
fn cpu_ms() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// Peak resident set size of this process, in MB (10^6 bytes), from `VmHWM`.
fn peak_rss_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}
