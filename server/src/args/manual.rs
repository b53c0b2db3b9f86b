//! Arguments of `completions` and `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server completions bash > ~/.local/share/bash-completion/completions/server
  server completions zsh > ~/.zfunc/_server
  server completions fish > ~/.config/fish/completions/server.fish")]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server man | man --local-file -                      read it
  server man --out ~/.local/share/man/man1             a page for each command")]
pub struct Man {
    /// Write the pages of all commands into this folder, created if missing.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
