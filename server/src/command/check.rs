use std::io::{self, Write as _};

use anyhow::{Context as _, anyhow};

use super::exit::{self, Failure, INPUT, SYSTEM};
use crate::{
    args::{Check, Command, file},
    config::{Config, DatasetConfig},
    service::Access,
};

/// Validates a configuration file and the files and folders that it names, without scanning images.
pub(crate) fn check(args: &Check) -> Result<(), Failure> {
    let typed = ["server", "serve", "--config"].map(Into::into);
    let parsed = file::parse_from(
        typed
            .into_iter()
            .chain([args.config.clone().into_os_string()])
            .collect(),
    )?;
    let Command::Serve(serve) = &parsed.arguments.command else {
        unreachable!("the parsed command line is that of `serve`");
    };
    let config =
        Config::try_from(&**serve).map_err(|error| exit::usage_error(error, parsed.file.as_ref()))?;
    Access::load(&config.access).map_err(|error| INPUT.failure(error))?;
    for DatasetConfig { name, root } in &config.datasets {
        let is_folder = root.metadata().map(|metadata| metadata.is_dir());
        is_folder
            .map_err(anyhow::Error::from)
            .and_then(|is_folder| is_folder.then_some(()).ok_or_else(|| anyhow!("not a folder")))
            .with_context(|| format!("cannot serve dataset {name:?}: {}", root.display()))
            .map_err(|error| INPUT.failure(error))?;
    }
    let names: Vec<&str> = config
        .datasets
        .iter()
        .map(|dataset| dataset.name.as_str())
        .collect();
    writeln!(
        io::stdout(),
        "{}: serves {}",
        args.config.display(),
        names.join(", ")
    )
    .map_err(|error| SYSTEM.failure(error))
}
