//! Keys of a file as the flags that they stand for.

use std::{io, path::PathBuf};

use clap::{Arg, ArgAction};
use toml::de::DeValue;

/// Why a file of flags cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in the file has no meaning.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong, with the key.
        reason: String,
    },
}

/// What would be typed for the value of the key `name`, which is the flag `arg`.
///
/// # Errors
///
/// What the value must be.
pub fn to_argv(arg: &Arg, name: &str, value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    let one = |value: &DeValue<'_>| Ok::<_, &'static str>(format!("--{name}={}", scalar(value)?));
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(true)) => Ok(vec![format!("--{name}")]),
        (ArgAction::SetTrue, DeValue::Boolean(false)) => Ok(vec![]),
        (ArgAction::SetTrue, _) => Err("it must be true or false"),
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
        _ => Err("it must be a text or a decimal number"),
    }
}

/// The number of the line with this byte, from 1.
#[must_use]
pub fn line_of(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().iter().take(byte);
    before.filter(|&&byte| byte == b'\n').count() + 1
}
