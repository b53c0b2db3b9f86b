use std::{
    fs,
    io::{self, Write as _},
};

use anyhow::Context as _;
use clap::CommandFactory as _;
use equibatch_server::args::{Arguments, Completions, Man};

use crate::exit::{Failure, SYSTEM};

/// Prints a shell completion script.
pub(crate) fn completions(args: &Completions) -> Result<(), Failure> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Arguments::command(), "server", &mut script);
    write(&script)
}

/// Prints the manual page, or writes the pages of all commands.
pub(crate) fn man(args: &Man) -> Result<(), Failure> {
    let Some(folder) = &args.out else {
        let mut page = vec![];
        let rendered =
            clap_mangen::Man::new(Arguments::command().disable_help_subcommand(true)).render(&mut page);
        rendered.map_err(|error| SYSTEM.failure(error))?;
        return write(&page);
    };
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Arguments::command(), folder));
    written
        .with_context(|| format!("cannot write to {}; choose another --out", folder.display()))
        .map_err(|error| SYSTEM.failure(error))
}

fn write(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().write_all(text) {
        // The reader closed the pipe, such as `head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| SYSTEM.failure(error)),
    }
}
