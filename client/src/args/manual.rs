//! `client completions` and `client man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `client completions`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  client completions bash > ~/.local/share/bash-completion/completions/client
  client completions zsh > ~/.zfunc/_client
  client completions fish > ~/.config/fish/completions/client.fish")]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `client man`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  client man | man --local-file -                      read it
  client man --out ~/.local/share/man/man1             a page for each command")]
pub struct Man {
    /// Write the pages of all commands into this folder, created if missing.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
