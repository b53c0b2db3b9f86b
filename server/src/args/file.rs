//! The TOML configuration file of `serve`.
//!
//! Each key is the name of a flag without the dashes. The file is translated to command-line arguments and parsed by clap, so that there is
//! only one list of options. The command line and environment variables override the file.

use std::{ffi::OsString, fs, ops::Range, path::Path, path::PathBuf};

use clap::{
    Arg, ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _,
    error::{ContextKind, ContextValue},
    parser::ValueSource,
};
use equibatch_cli::toml_flags::{self, line_of, to_argv};
use toml::de::DeTable;

use super::Arguments;

/// Options that are accepted on the command line only.
const TYPED_ONLY: [&str; 3] = ["config", "print-config", "help"];

/// A parsed command line, merged with its configuration file.
#[derive(Debug)]
pub struct Parsed {
    /// The merged arguments.
    pub arguments: Arguments,
    /// The configuration file, if one was named.
    pub file: Option<File>,
    matches: ArgMatches,
}

/// A configuration file and the lines of its keys.
#[derive(Clone, Debug)]
pub struct File {
    path: PathBuf,
    /// Keys that are not overridden, with their line numbers.
    lines: Vec<(String, usize)>,
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
    let serve = loose
        .ok()
        .and_then(|matches| matches.subcommand_matches("serve").cloned());
    let path = serve
        .as_ref()
        .and_then(|serve| serve.get_one::<PathBuf>("config").cloned());
    let file = match (serve, path) {
        (Some(serve), Some(path)) => {
            let text = fs::read_to_string(&path).map_err(|source| toml_flags::Error::Read {
                path: path.clone(),
                source,
            })?;
            let (file, words) = File::read(&path, &text, &serve)?;
            typed.extend(words);
            Some(file)
        }
        _ => None,
    };
    let mut command = Arguments::command();
    let matches = command
        .try_get_matches_from_mut(typed)
        .map_err(|error| located(error, file.as_ref()))?;
    let arguments = Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok(Parsed {
        arguments,
        file,
        matches,
    })
}

impl Parsed {
    /// All options of `serve` with their values, as a configuration file. Options without a value are commented out.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Some(matches) = self.matches.subcommand_matches("serve") else {
            return String::new();
        };
        let serve = serve();
        let options = serve.get_arguments().filter(|arg| is_key(arg));
        options.map(|arg| line(arg, matches)).collect()
    }
}

impl File {
    /// Reads a file, and returns the arguments to append for the keys that are not in `typed`.
    fn read(path: &Path, text: &str, typed: &ArgMatches) -> Result<(Self, Vec<OsString>), toml_flags::Error> {
        let fail = |span: Option<Range<usize>>, reason: String| toml_flags::Error::Line {
            path: path.to_owned(),
            line: line_of(text, span.map_or(0, |span| span.start)),
            reason,
        };
        let table = DeTable::parse(text).map_err(|error| fail(error.span(), error.message().to_owned()))?;
        let serve = serve();
        let (mut lines, mut words) = (vec![], vec![]);
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            let arg = serve
                .get_arguments()
                .find(|arg| is_key(arg) && toml_flags::has_name(arg, name));
            let arg = arg.ok_or_else(|| fail(Some(key.span()), unknown(name, &serve)))?;
            // The name that clap uses in errors.
            let long = arg.get_long().unwrap_or(name);
            let argv = to_argv(arg, long, value.get_ref())
                .map_err(|reason| fail(Some(value.span()), format!("{name}: {reason}")))?;
            let is_typed = matches!(
                typed.value_source(arg.get_id().as_str()),
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            );
            if !is_typed {
                lines.push((long.to_owned(), line_of(text, key.span().start)));
                words.extend(argv.into_iter().map(OsString::from));
            }
        }
        let path = path.to_owned();
        Ok((Self { path, lines }, words))
    }

    /// Path and line that set `flag`, for messages; `None` if the file does not set it.
    #[must_use]
    pub fn place(&self, flag: &str) -> Option<String> {
        let line = self.line(flag)?;
        Some(format!("{}, line {line}", self.path.display()))
    }

    fn line(&self, flag: &str) -> Option<usize> {
        let name = flag.trim_start_matches('-');
        self.lines
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, line)| *line)
    }
}

fn serve() -> Command {
    let command = Arguments::command();
    let mut serve = command
        .find_subcommand("serve")
        .expect("there is `serve`")
        .clone();
    // Arg actions are resolved by `build`.
    serve.build();
    serve
}

fn is_key(arg: &Arg) -> bool {
    arg.get_long().is_some_and(|name| !TYPED_ONLY.contains(&name))
}

fn unknown(name: &str, serve: &Command) -> String {
    let known = serve
        .get_arguments()
        .filter(|arg| is_key(arg))
        .filter_map(Arg::get_long);
    let known: Vec<&str> = known.collect();
    format!("unknown key `{name}`: expected one of {}", known.join(", "))
}

/// Adds path and line to an error that the file caused.
fn located(error: clap::Error, file: Option<&File>) -> Error {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return error.into();
    };
    let flag = option.split([' ', '=']).next().unwrap_or_default();
    let Some((file, line)) = file.and_then(|file| Some((file, file.line(flag)?))) else {
        return error.into();
    };
    let text = error.to_string();
    let sentence = text.lines().next().unwrap_or_default();
    let reason = sentence.strip_prefix("error: ").unwrap_or(sentence).to_owned();
    let path = file.path.clone();
    toml_flags::Error::Line { path, line, reason }.into()
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
        assert_eq!((serve.max_broken, serve.ignore_orientation), (0.5, true));
        assert_eq!(serve.cache_bytes.as_deref(), Some("1GiB"));
        assert!(matches!(serve.split, args::Split::Random));
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
        assert_eq!(again.file.as_ref().and_then(|file| file.line("--data")), Some(1));
        let serve = serve_of(again);
        assert_eq!(serve.data, ["a=/a", "b=/b \"q\""]);
        assert_eq!((serve.max_broken, serve.ignore_orientation), (0.25, true));
    }
}
