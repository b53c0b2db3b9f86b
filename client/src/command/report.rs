use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Result;

use super::{Exit, prepare::check_images};
use crate::{
    args::Report,
    config::{self, session_options},
    learn::{
        interpret::{EvaluatedSplit, RunInterpreter, TOP_LOSSES, TopLoss},
        learner::Learner,
        progress::Output,
        report::{self, run::RunRecord},
        run::RunFolder,
    },
};
use equibatch_stream::{Position, Servers, Split};
use equibatch_training::runtime::{Runtime, SessionOptions};

/// Regenerates the reports of runs.
pub(super) fn run(args: &Report) -> Result<Exit> {
    let evaluation = if args.evaluate {
        Some((
            Runtime::load_for(args.execution.device, args.execution.threads)?,
            config::servers(&args.server)?,
            session_options(&args.execution),
        ))
    } else {
        None
    };
    for path in &args.runs {
        if let Some((runtime, servers, options)) = &evaluation {
            let (run, config) = RunFolder::open(path)?;
            check_images(servers, path, &run.progress(&config), &config.dataset)?;
            let interpreter = RunInterpreter {
                servers,
                runtime,
                options,
                split: args.split,
                most: args.top_losses.into(),
            };
            interpreter.interpret(&run, &config)?;
        }
        let page = report::run::write(path)?;
        writeln!(io::stdout().lock(), "written: {}", page.display())?;
    }
    Ok(Exit::Done)
}

/// Draws the top losses of a run that has just ended for its report, of the last epoch's evaluation if it is `evaluated`. Failures are reported, and do
/// not fail the run.
pub(super) fn draw_top_losses(
    (run, learner): (&RunFolder, &mut Learner),
    (runtime, options): (&Runtime, &SessionOptions),
    (servers, evaluated): (&Servers, Option<EvaluatedSplit>),
) {
    let config = learner.progress().config.clone();
    let interpreter = RunInterpreter {
        servers,
        runtime,
        options,
        split: Split::Valid,
        most: TOP_LOSSES,
    };
    let interpreted = match evaluated {
        Some(evaluated) => {
            let heatmaps = |kept: &[TopLoss]| {
                let images: Vec<_> = kept.iter().map(|kept| (&*kept.tensor, kept.label)).collect();
                match learner.heatmaps(&images)? {
                    Some(heatmaps) => Ok(heatmaps),
                    None => interpreter.heatmaps(run, &config, kept),
                }
            };
            // A model in training has no threshold.
            interpreter.interpret_evaluated((run, &config), (evaluated, None), heatmaps)
        }
        None => interpreter.interpret(run, &config),
    };
    if let Err(error) = interpreted {
        let error = anyhow::Error::from(error);
        Output::Stderr.print_line(&format!("the report has no top losses: {error:#}"));
    }
}

/// Writes the report of a run that has just ended at `position`, which its checkpoint need not have yet.
pub(super) fn write(run: &RunFolder, position: Option<Position>) -> Result<PathBuf, report::run::Error> {
    let mut record = RunRecord::read(run.path())?;
    record.position = position;
    report::run::write_record(&record)
}

/// Prints where the report is, or why there is none; that does not fail the run.
pub(super) fn print(written: Result<PathBuf, report::run::Error>, output: Output) {
    match written {
        Ok(page) => output.print_line(&format!("report: {}", page.display())),
        Err(error) => Output::Stderr.print_line(&format!(
            "cannot write the report: {:#}",
            anyhow::Error::from(error)
        )),
    }
}
