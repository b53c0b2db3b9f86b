//! TOML files whose keys are flags. They are translated to command-line arguments and parsed by clap, so that a file and the command line have
//! one list of options, with the same values, defaults and errors.

use std::{
    borrow::Cow,
    fs, io,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ContextValue},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

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

/// The text of the file at `path`.
///
/// # Errors
///
/// [`Error::Read`].
pub fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// A TOML file whose keys are flags of a command.
#[derive(Debug)]
pub struct File<'a> {
    path: &'a Path,
    text: &'a str,
    command: Command,
    is_key: fn(&str) -> bool,
}

impl<'a> File<'a> {
    /// A file with this text, whose keys are those flags of the subcommand `name` of `program` that `is_key` accepts by their long names.
    ///
    /// # Panics
    ///
    /// If there is no such subcommand.
    #[must_use]
    pub fn new(
        path: &'a Path,
        text: &'a str,
        mut program: Command,
        name: &str,
        is_key: fn(&str) -> bool,
    ) -> Self {
        // Arg actions are resolved by `build`.
        program.build();
        let command = program
            .find_subcommand(name)
            .expect("the subcommand exists")
            .clone();
        Self {
            path,
            text,
            command,
            is_key,
        }
    }

    /// The keys and values of the file.
    ///
    /// # Errors
    ///
    /// If it is not TOML.
    pub fn table(&self) -> Result<DeTable<'a>, Error> {
        let table = DeTable::parse(self.text);
        table.map(Spanned::into_inner).map_err(|error| {
            self.error(
                error.span().map_or(0, |span| span.start),
                error.message().to_owned(),
            )
        })
    }

    /// An error in the line of the byte at offset `byte`.
    #[must_use]
    pub fn error(&self, byte: usize, reason: String) -> Error {
        let (path, line) = (self.path.to_owned(), self.line_of(byte));
        Error::Line { path, line, reason }
    }

    /// The flag that `key` names, and the command-line arguments that set it to `value`.
    ///
    /// # Errors
    ///
    /// If the key is unknown, or the value has the wrong type.
    pub fn flag(
        &self,
        key: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(&Arg, Words), Error> {
        let name: &str = key.get_ref();
        let has_name = |arg: &&Arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long() == Some(name) || aliases.contains(&name)
        };
        let arg = self.keys().find(has_name).ok_or_else(|| {
            let known: Vec<&str> = self.keys().filter_map(Arg::get_long).collect();
            let reason = format!("unknown key `{name}`: expected one of {}", known.join(", "));
            self.error(key.span().start, reason)
        })?;
        // The name that clap uses in errors.
        let argv = to_argv(arg, arg.get_long().unwrap_or(name), value.get_ref())
            .map_err(|reason| self.error(value.span().start, format!("{name}: {reason}")))?;
        let line = self.line_of(key.span().start);
        Ok((arg, argv.into_iter().map(|word| (word, line)).collect()))
    }

    /// The flags that `words` set.
    #[must_use]
    pub fn flags(&self, words: Words) -> Flags {
        let path = self.path.to_owned();
        Flags { path, words }
    }

    fn keys(&self) -> impl Iterator<Item = &Arg> {
        use ArgAction::{Help, HelpLong, HelpShort, Version};
        self.command.get_arguments().filter(|arg| {
            !matches!(arg.get_action(), Help | HelpLong | HelpShort | Version)
                && arg.get_long().is_some_and(self.is_key)
        })
    }

    /// Line number, from 1, of the byte at offset `byte`.
    fn line_of(&self, byte: usize) -> usize {
        let before = self.text.as_bytes().iter().take(byte);
        before.filter(|&&byte| byte == b'\n').count() + 1
    }
}

/// Command-line arguments, each with the number of its line.
pub type Words = Vec<(String, usize)>;

/// The flags that a file sets.
#[derive(Clone, Debug)]
pub struct Flags {
    path: PathBuf,
    words: Words,
}

impl Flags {
    /// The command-line arguments.
    pub fn argv(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|(word, _)| &**word)
    }

    /// Path and line that set `flag`, such as `--listen`, for messages; `None` if the file does not set it.
    #[must_use]
    pub fn place(&self, flag: &str) -> Option<String> {
        let line = self.line(flag)?;
        Some(format!("{}, line {line}", self.path.display()))
    }

    /// The line that set `flag` last.
    fn line(&self, flag: &str) -> Option<usize> {
        let mut words = self.words.iter().rev();
        let (_, line) = words.find(|(word, _)| word.split('=').next() == Some(flag))?;
        Some(*line)
    }

    /// An error of clap with the line at fault; `None` if the file does not set the flag that it names.
    #[must_use]
    pub fn located(&self, error: &clap::Error) -> Option<Error> {
        let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
            return None;
        };
        let line = self.line(option.split([' ', '=', '[']).next()?)?;
        let (path, reason) = (self.path.clone(), sentence(error));
        Some(Error::Line { path, line, reason })
    }
}

/// The first line of an error of clap.
#[must_use]
pub fn sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The command-line arguments that set the flag `arg`, named `name`, to `value`.
///
/// # Errors
///
/// If `value` has the wrong type; the text says what is expected.
fn to_argv(arg: &Arg, name: &str, value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
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
