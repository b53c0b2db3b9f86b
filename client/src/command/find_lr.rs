//! `client find-lr`, and the same range test before a training.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use anyhow::{Context as _, Result};
use equibatch_cli::files;
use serde_json::json;

use super::{
    Exit,
    plan::initial_config,
    prepare::{Prepared, TrainContext, prepare},
    signals,
};
use crate::{
    args::FindLr,
    config::{self, new_folder, training_options},
    learn::{
        finder::{self, NoSuggestion, Suggestions, Sweep, SweepEnd, SweepRange},
        learner::Learner,
        progress::SweepProgress,
        report::{canvas, sweep as report},
    },
};
use equibatch_stream::Servers;
use equibatch_training::runtime::Runtime;

/// Runs a learning rate range test, and prints and plots the result. The model is not modified.
pub(super) fn run(args: &FindLr) -> Result<Exit> {
    let (origin, config) = initial_config(&args.setup)?;
    config::check_precision(config.precision, args.execution.device)?;
    config::check_head(&config)?;
    let context = TrainContext {
        runtime: Runtime::load_for(args.execution.device, args.execution.threads)?,
        options: training_options(&args.execution, args.operators),
        servers: config::servers(&args.server)?,
        hub: args.setup.network.hub(),
    };
    let stop = signals::stop()?;
    let Prepared { mut learner, .. } = prepare(&context, &origin, config)?;
    let found = sweep(
        &context.servers,
        &mut learner,
        args.prefetch.get(),
        (args.range(), &stop),
    )?;
    let default_folder = || new_folder(&format!("{}-find-lr", learner.progress().config.dataset));
    let folder = args.out.clone().unwrap_or_else(default_folder);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let written = found.write(&folder)?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", found.json())?;
        return Ok(Exit::Done);
    }
    writeln!(out, "{}", report::table(&found.sweep))?;
    found.print(&mut out)?;
    let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    writeln!(out, "written: {}", written.join(", "))?;
    Ok(Exit::Done)
}

/// Runs the default range test from the state of `learner`, which is restored afterwards.
pub(super) fn run_default_search(
    context: &TrainContext,
    learner: &mut Learner,
    prefetch: usize,
    stop: &AtomicBool,
) -> Result<LrSearch> {
    let found = sweep(&context.servers, learner, prefetch, (SweepRange::default(), stop))?;
    found.print(&mut io::stdout().lock())?;
    Ok(found)
}

fn sweep(
    servers: &Servers,
    learner: &mut Learner,
    prefetch: usize,
    (range, stop): (SweepRange, &AtomicBool),
) -> Result<LrSearch> {
    let mut bar = SweepProgress::new(range.steps);
    let sweep = finder::find((learner, servers), prefetch, (range, stop), |point| {
        bar.step(point);
    })?;
    Ok(LrSearch { sweep })
}

/// The result of a range test.
pub(super) struct LrSearch {
    sweep: Sweep,
}

impl LrSearch {
    pub(super) fn suggestions(&self) -> Result<Suggestions, NoSuggestion> {
        Suggestions::of(self.sweep.points())
    }

    /// Writes the plot (PNG and SVG) and the data (JSON).
    pub(super) fn write(&self, folder: &Path) -> Result<[PathBuf; 3]> {
        let chart = report::chart(self.sweep.points());
        let json = format!("{}\n", self.json());
        let files = [
            ("find-lr.png", canvas::png(&chart)?),
            ("find-lr.svg", canvas::svg(&chart)?.into_bytes()),
            ("find-lr.json", json.into_bytes()),
        ];
        let paths = files.each_ref().map(|(name, _)| folder.join(name));
        for (path, (_, bytes)) in paths.iter().zip(&files) {
            files::write(path, bytes)?;
        }
        Ok(paths)
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "end": self.sweep.end(),
            "suggestions": self.suggestions().ok(),
            "refused": self.suggestions().err().map(|no_suggestion| no_suggestion.to_string()),
            "steps": self.sweep.points(),
        })
    }

    fn print(&self, out: &mut impl io::Write) -> io::Result<()> {
        let steps = self.sweep.points().len();
        let end = match self.sweep.end() {
            Some(SweepEnd::Diverged) => "stopped: loss diverged",
            Some(SweepEnd::NotANumber) => "stopped: loss is NaN",
            Some(SweepEnd::Complete) | None => "all completed",
        };
        writeln!(out, "{steps} learning rates: {end}")?;
        match self.suggestions() {
            Ok(Suggestions {
                valley,
                steepest,
                lowest_tenth,
            }) => writeln!(
                out,
                "found: {valley:.2e} (valley); steepest descent: {steepest:.2e}; a tenth of the rate at the minimum loss: \
                 {lowest_tenth:.2e}"
            ),
            Err(no_suggestion) => writeln!(out, "{no_suggestion}"),
        }
    }
}
