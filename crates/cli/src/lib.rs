//! Command-line parsing, terminal output and atomic file writes shared by server and client.
//!
//! | module | holds |
//! |---|---|
//! | [`value`] | value parsers for clap, whose errors say what is accepted |
//! | [`manual`] | the subcommands `completions` and `man` |
//! | [`toml_flags`] | TOML keys translated to command-line arguments |
//! | [`terminal`] | tables, progress bars and inline images |
//! | [`files`] | atomic, durable file writes |

pub mod files;
pub mod manual;
pub mod terminal;
pub mod toml_flags;
pub mod value;
