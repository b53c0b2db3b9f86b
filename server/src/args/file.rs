//! The TOML configuration file of `serve`.
//!
//! Each key is the name of a flag without the dashes ([`toml_flags`]). The command line and environment variables override the file.

use std::{ffi::OsString, path::Path, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _, parser::ValueSource};
use equibatch_cli::toml_flags::{self, Flags};

use super::command::Arguments;

/// A parsed command line, merged with its configuration file.
#[derive(Debug)]
pub struct Parsed {
    /// The merged arguments.
    pub arguments: Arguments,
    /// The flags that the configuration file sets and nothing overrides, if a file was named.
    pub file: Option<Flags>,
    matches: ArgMatches,
}

/// Why the arguments cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An error of the command line; help and version are reported so, too.
    #[error(transparent)]
    Typed(#[from] clap::Error),
    /// An error of the configuration file.
    #[error(transparent)]
    File(#[from] toml_flags::Error),
}

/// Parses the command line of this process and the configuration file that it names.
///
/// # Errors
///
/// If either is invalid. Help and version are returned as errors, too.
pub fn parse() -> Result<Parsed, Error> {
    parse_from(std::env::args_os().collect())
}

/// Parses the arguments `typed`, the program's name first, and the configuration file that they name.
///
/// # Errors
///
/// If either is invalid. Help and version are returned as errors, too.
pub fn parse_from(mut typed: Vec<OsString>) -> Result<Parsed, Error> {
    // Required arguments may be in the file, so errors are ignored until it is read.
    let loose = Arguments::command()
        .ignore_errors(true)
        .try_get_matches_from(&typed);
    let loose = loose.ok();
    let serve = loose
        .as_ref()
        .and_then(|matches| matches.subcommand_matches("serve"));
    let path = serve.and_then(|serve| Some((serve, serve.get_one::<PathBuf>("config")?)));
    let file = path.map(|(serve, path)| read(path, serve)).transpose()?;
    typed.extend(file.iter().flat_map(Flags::argv).map(OsString::from));
    let mut command = Arguments::command();
    let matches = command.try_get_matches_from_mut(typed).map_err(|error| {
        let located = file.as_ref().and_then(|file| file.located(&error));
        located.map_or_else(|| error.into(), Error::File)
    })?;
    let arguments = Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok(Parsed {
        arguments,
        file,
        matches,
    })
}

/// The flags in the file at `path` that are not in `typed`.
fn read(path: &Path, typed: &ArgMatches) -> Result<Flags, toml_flags::Error> {
    let text = toml_flags::read(path)?;
    let file = toml_flags::File::new(path, &text, Arguments::command(), "serve", is_key);
    let mut flags = vec![];
    for (key, value) in &file.table()? {
        let (arg, words) = file.flag(key, value)?;
        let is_typed = matches!(
            typed.value_source(arg.get_id().as_str()),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        );
        if !is_typed {
            flags.extend(words);
        }
    }
    Ok(file.flags(flags))
}

/// Whether the flag may be in the file.
fn is_key(name: &str) -> bool {
    !["config", "print-config", "help"].contains(&name)
}

impl Parsed {
    /// All options of `serve` with their values, as a configuration file. Options without a value are commented out.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Some(matches) = self.matches.subcommand_matches("serve") else {
            return String::new();
        };
        let mut program = Arguments::command();
        // Arg actions are resolved by `build`.
        program.build();
        let serve = program.find_subcommand("serve").expect("there is `serve`");
        let options = serve
            .get_arguments()
            .filter(|arg| arg.get_long().is_some_and(is_key));
        options.map(|arg| line(arg, matches)).collect()
    }
}

/// An option and its value as a TOML line.
fn line(arg: &Arg, matches: &ArgMatches) -> String {
    let name = arg.get_long().expect("an option with a name");
    let id = arg.get_id().as_str();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return format!("{name} = {}\n", matches.get_flag(id));
    }
    let values = matches.get_raw(id).into_iter().flatten();
    let values: Vec<String> = values.map(|value| literal(&value.to_string_lossy())).collect();
    match (arg.get_action(), values.as_slice()) {
        (_, []) => format!("# {name} =\n"),
        (ArgAction::Append, values) => format!("{name} = [{}]\n", values.join(", ")),
        (_, values) => format!("{name} = {}\n", values.join(" ")),
    }
}

/// A TOML literal: numbers unquoted, all else quoted.
fn literal(text: &str) -> String {
    let is_number = text.parse::<u64>().is_ok_and(|number| number.to_string() == text)
        || text
            .parse::<f64>()
            .is_ok_and(|number| number.to_string() == text && text.contains('.'));
    if is_number {
        text.to_owned()
    } else {
        toml::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::args::{self, Serve};

    fn typed(words: &[&str]) -> Vec<OsString> {
        ["server", "serve"]
            .iter()
            .chain(words)
            .map(OsString::from)
            .collect()
    }

    /// Parses `words` together with a configuration file of this text.
    fn with_file(text: &str, words: &[&str]) -> Result<Parsed, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.toml");
        fs::write(&path, text).expect("written");
        let config = ["--config", path.to_str().expect("UTF-8")];
        parse_from(typed(&[&config, words].concat()))
    }

    fn serve_of(parsed: Parsed) -> Box<Serve> {
        match parsed.arguments.command {
            args::Command::Serve(serve) => serve,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_override_the_configuration_file() {
        let text = "threads = 3\nmax-broken = 0.5\nignore-orientation = true\ncache-bytes = \"1GiB\"\nsplit = \"random\"\n[data]\npets = \"/srv/pets\"\nbirds = \"/srv/birds\"\n";
        let serve = serve_of(with_file(text, &[]).expect("a file"));
        assert_eq!(serve.threads, Some(3));
        assert_eq!((serve.max_broken, serve.scan.ignore_orientation), (0.5, true));
        assert_eq!(serve.cache_bytes.as_deref(), Some("1GiB"));
        assert!(matches!(serve.scan.method, args::Split::Random));
        assert_eq!(serve.data, ["birds=/srv/birds", "pets=/srv/pets"]);

        let serve = serve_of(with_file(text, &["--threads", "5", "--data", "x=/x"]).expect("a file"));
        assert_eq!((serve.threads, serve.data), (Some(5), vec!["x=/x".to_owned()]));
    }

    #[test]
    fn former_names_are_accepted_on_the_command_line_and_in_the_file() {
        let serve = serve_of(with_file("greeting-timeout = 3", &["--data", "x"]).expect("a file"));
        assert_eq!(serve.preface_timeout, 3);
        let serve = serve_of(
            with_file(
                "greeting-timeout = 3",
                &["--data", "x", "--greeting-timeout", "4"],
            )
            .expect("a file"),
        );
        assert_eq!(serve.preface_timeout, 4);
    }

    #[test]
    fn a_required_flag_may_be_in_the_file() {
        let serve =
            serve_of(with_file("tls-key = \"k\"", &["--data", "x", "--tls-cert", "c"]).expect("a pair"));
        assert!(serve.tls_cert.is_some() && serve.tls_key.is_some());
    }

    #[test]
    fn errors_name_line_and_key() {
        for (text, words) in [
            (
                "\n\ncolour = 1",
                &["line 3", "unknown key `colour`", "threads"][..],
            ),
            ("config = \"x\"", &["line 1", "unknown key `config`"]),
            ("threads = 1\nthreads = 2", &["line 2", "duplicate key"]),
            (
                "threads = [1]",
                &["line 1", "threads: expected a string or a decimal number"],
            ),
            ("threads = true", &["line 1", "threads"]),
            ("\nthreads = \"many\"", &["line 2", "--threads", "'many'"]),
            ("log-format = \"xml\"", &["line 1", "--log-format", "'xml'"]),
            (
                "ignore-orientation = 1",
                &["line 1", "ignore-orientation: expected true or false"],
            ),
            ("threads", &["line 1"]),
        ] {
            let error = with_file(text, &["--data", "x"]).expect_err(text).to_string();
            for word in words {
                assert!(error.contains(word), "{text:?}: {word:?} is not in: {error}");
            }
        }
        let error = with_file("threads = 1", &[]).expect_err("no data").to_string();
        assert!(error.contains("--data"), "{error}");
        let missing = parse_from(typed(&["--config", "/nowhere/server.toml"])).expect_err("no file");
        assert!(missing.to_string().contains("/nowhere/server.toml"));
    }

    #[test]
    fn the_printed_configuration_round_trips() {
        let words = [
            "--data",
            "a=/a",
            "--data",
            "b=/b \"q\"",
            "--max-broken",
            "0.25",
            "--ignore-orientation",
        ];
        let printed = parse_from(typed(&words)).expect("arguments").to_toml();
        let again = with_file(&printed, &[]).expect(&printed);
        assert_eq!(again.to_toml(), printed);
        let place = again.file.as_ref().and_then(|file| file.place("--data"));
        assert!(place.expect("the file sets it").ends_with("server.toml, line 1"));
        let serve = serve_of(again);
        assert_eq!(serve.data, ["a=/a", "b=/b \"q\""]);
        assert_eq!((serve.max_broken, serve.scan.ignore_orientation), (0.25, true));
    }
}
