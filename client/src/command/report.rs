use std::io::{self, Write as _};

use anyhow::Result;

use super::{Exit, prepare::check_images};
use crate::{
    args::Report,
    config::{self, session_options},
    learn::{
        interpret::{EvaluatedSplit, RunInterpreter, TOP_LOSSES},
        progress::Output,
        report,
        run::{RunConfig, RunFolder},
    },
};
use equibatch_stream::{Servers, Split};
use equibatch_training::runtime::{Runtime, SessionOptions};

/// Regenerates the reports of runs.
pub(super) fn run(args: &Report) -> Result<Exit> {
    let evaluation = if args.evaluate {
        Some((
            Runtime::load_for(args.execution.device)?,
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

/// Writes the report of a run that has just ended, with the top losses if `servers` is given, of the last epoch's
/// evaluation if it is `evaluated`. Failures are reported, and do not fail the run.
pub(super) fn after_training(
    (run, config): (&RunFolder, &RunConfig),
    (runtime, options): (&Runtime, &SessionOptions),
    (servers, evaluated): (Option<&Servers>, Option<EvaluatedSplit>),
    output: Output,
) {
    if let Some(servers) = servers {
        let interpreter = RunInterpreter {
            servers,
            runtime,
            options,
            split: Split::Valid,
            most: TOP_LOSSES,
        };
        let interpreted = match evaluated {
            // A model in training has no threshold.
            Some(evaluated) => interpreter.interpret_evaluated(run, config, evaluated, None),
            None => interpreter.interpret(run, config),
        };
        if let Err(error) = interpreted {
            let error = anyhow::Error::from(error);
            Output::Stderr.print_line(&format!("the report has no top losses: {error:#}"));
        }
    }
    match report::run::write(run.path()) {
        Ok(page) => output.print_line(&format!("report: {}", page.display())),
        Err(error) => Output::Stderr.print_line(&format!(
            "cannot write the report: {:#}",
            anyhow::Error::from(error)
        )),
    }
}
