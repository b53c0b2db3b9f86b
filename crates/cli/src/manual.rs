//! The subcommands `completions` and `man`.

use std::{fs, io, path::PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use crate::terminal::print;

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

impl Completions {
    /// Prints the completion script of `program`.
    ///
    /// # Errors
    ///
    /// If standard output fails.
    pub fn run(&self, mut program: Command) -> io::Result<()> {
        let name = program.get_name().to_owned();
        let mut script = vec![];
        clap_complete::generate(self.shell, &mut program, name, &mut script);
        print(&script)
    }
}

/// Arguments of `man`.
#[derive(Args, Debug)]
pub struct Man {
    /// Write the pages of all commands into this folder, created if missing.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl Man {
    /// Prints the manual page of `program`, or writes the pages of all commands.
    ///
    /// # Errors
    ///
    /// If standard output fails, or the folder cannot be written to.
    pub fn run(&self, program: Command) -> io::Result<()> {
        let Some(folder) = &self.out else {
            let mut page = vec![];
            clap_mangen::Man::new(program.disable_help_subcommand(true)).render(&mut page)?;
            return print(&page);
        };
        let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(program, folder));
        written.map_err(|error| {
            let text = format!(
                "cannot write to {}; choose another --out: {error}",
                folder.display()
            );
            io::Error::new(error.kind(), text)
        })
    }
}
