//! Translation of TOML keys to command-line arguments.

use std::{io, path::PathBuf};

use clap::{Arg, ArgAction};
use toml::de::DeValue;

/// Why a TOML file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// A line is invalid.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The key, and what is wrong with it.
        reason: String,
    },
}

/// Whether `name` is the long name of `arg` or one of its aliases.
#[must_use]
pub fn has_name(arg: &Arg, name: &str) -> bool {
    let aliases = arg.get_all_aliases().unwrap_or_default();
    arg.get_long() == Some(name) || aliases.contains(&name)
}

/// The command-line arguments that set the flag `arg`, named `name`, to `value`.
///
/// # Errors
///
/// If `value` has the wrong type; the text says what is expected.
pub fn to_argv(arg: &Arg, name: &str, value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    let one = |value: &DeValue<'_>| Ok::<_, &'static str>(format!("--{name}={}", scalar(value)?));
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(true)) => Ok(vec![format!("--{name}")]),
        (ArgAction::SetTrue, DeValue::Boolean(false)) => Ok(vec![]),
        (ArgAction::SetTrue, _) => Err("expected true or false"),
        (ArgAction::Append, DeValue::Array(values)) => {
            values.iter().map(|value| one(value.get_ref())).collect()
        }
        (ArgAction::Append, DeValue::Table(named)) => {
            let entries = named.iter();
            entries
                .map(|(key, value)| Ok(format!("--{name}={}={}", key.get_ref(), scalar(value.get_ref())?)))
                .collect()
        }
        _ => Ok(vec![one(value)?]),
    }
}

fn scalar(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Ok(truth.to_string()),
        _ => Err("expected a string or a decimal number"),
    }
}

/// Line number, from 1, of the byte at offset `byte`.
#[must_use]
pub fn line_of(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().iter().take(byte);
    before.filter(|&&byte| byte == b'\n').count() + 1
}
