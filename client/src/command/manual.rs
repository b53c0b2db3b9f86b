use std::{
    fs,
    io::{self, Write as _},
};

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;

use super::Exit;
use crate::args::{Arguments, Completions, Man};

/// Prints a shell completion script.
pub(super) fn completions(args: &Completions) -> Result<Exit> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Arguments::command(), "client", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Done)
}

/// Prints the manual page, or writes the pages of all commands.
pub(super) fn man(args: &Man) -> Result<Exit> {
    let Some(folder) = &args.out else {
        let mut page = vec![];
        clap_mangen::Man::new(Arguments::command().disable_help_subcommand(true)).render(&mut page)?;
        io::stdout().write_all(&page)?;
        return Ok(Exit::Done);
    };
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Arguments::command(), folder));
    written.with_context(|| format!("cannot write to {}; choose another --out", folder.display()))?;
    Ok(Exit::Done)
}
