use std::io::{self, Write as _};

use anyhow::Result;

use super::Exit;
use crate::{
    args::{Export, PixelOrder, Preprocess},
    config::{UsageError, session_options},
    learn::{
        export::{ExportSpec, Layout, export},
        run::RunFolder,
    },
};
use equibatch_training::runtime::Runtime;

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
    let from = match (&args.run, &args.model) {
        (Some(run), _) => RunFolder::open(run)?.0.model_path(),
        (None, Some(model)) => model.clone(),
        (None, None) => unreachable!("clap requires RUN or --model"),
    };
    let spec = ExportSpec {
        fuse_bn: args.fold,
        pixels,
        opset: args.opset,
        prior: args.prior.prior.clone().map(|prior| (prior, args.prior.tau)),
    };
    let runtime = Runtime::load_for(args.execution.device)?;
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
    Ok(Exit::Done)
}
