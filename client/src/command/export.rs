use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::Result;

use super::{Exit, adjust};
use crate::{
    args::{Export, PixelOrder, Preprocess},
    config::{self, UsageError, session_options},
    learn::{
        adjustments::Adjustments,
        export::{ExportSpec, Layout, export},
        predict::Predictor,
        run::RunFolder,
    },
};
use equibatch_training::runtime::Runtime;

/// Images per batch when a temperature or threshold is fitted; affects speed only.
const BATCH_SIZE: u32 = 32;

/// Exports a trained model, and prints its deviation from the original.
pub(super) fn run(args: &Export) -> Result<Exit> {
    let pixels = match (args.preprocess, args.layout) {
        (Preprocess::None, None) => None,
        (Preprocess::None, Some(_)) => {
            return Err(UsageError("--layout needs --preprocess u8".to_owned()).into());
        }
        (Preprocess::U8, Some(PixelOrder::Nhwc)) => Some(Layout::Interleaved),
        (Preprocess::U8, None | Some(PixelOrder::Nchw)) => Some(Layout::Planes),
    };
    let (from, dataset) = match (&args.run, &args.model) {
        (Some(run), _) => {
            let (run, config) = RunFolder::open(run)?;
            (run.model_path(), config.dataset)
        }
        (None, Some(model)) => (model.clone(), String::new()),
        (None, None) => unreachable!("clap requires RUN or --model"),
    };
    let runtime = Runtime::load_for(args.execution.device, args.execution.threads)?;
    let dataset = args.dataset.as_ref().unwrap_or(&dataset);
    let fitted = fitted(args, &runtime, &from, dataset)?;
    let spec = ExportSpec {
        fuse_bn: args.fold,
        pixels,
        opset: args.opset,
        prior: args
            .adjust
            .prior
            .prior
            .clone()
            .map(|prior| (prior, args.adjust.prior.tau)),
        temperature: fitted.temperature,
        threshold: fitted.threshold,
    };
    let exported = export(
        (&runtime, &session_options(&args.execution)),
        &from,
        &spec,
        &args.out,
    )?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "written: {} ({} bytes); its logits on random inputs differ from those of {} by at most {:.0e}, relative to the largest",
        args.out.display(),
        exported.bytes,
        from.display(),
        exported.deviation
    )?;
    writeln!(out, "input: {}", exported.input)?;
    if !exported.adjustments.is_empty() {
        writeln!(out, "adjusted: {}", exported.adjustments.described().join("; "))?;
        let shares = exported
            .class_shares
            .filter(|_| exported.adjustments.prior.is_some());
        shares.iter().try_for_each(|shares| writeln!(out, "{shares}"))?;
    }
    Ok(Exit::Done)
}

/// The temperature and threshold of the exported model.
fn fitted(args: &Export, runtime: &Runtime, from: &Path, dataset: &str) -> Result<Adjustments> {
    if args.adjust.temperature.is_none() && args.adjust.threshold.is_none() {
        return Ok(Adjustments::default());
    }
    let mut predictor = Predictor::open(runtime, from, &session_options(&args.execution))?;
    let servers = adjust::needs_images(&args.adjust)
        .then(|| config::servers(&args.server))
        .transpose()?;
    let images = servers.as_ref().map(|servers| (servers, dataset));
    let name = from.display().to_string();
    adjust::adjust(&args.adjust, (&name, &mut predictor), images, BATCH_SIZE)
}
