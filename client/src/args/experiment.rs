//! Experiment files: several stages of training, in which each key is a flag of `client train`.
//!
//! Keys above the stages apply to all stages, keys of a stage to that stage only. Keys are translated to command-line arguments and parsed
//! by clap, so that there is only one list of options.

use std::{ffi::OsString, fs, ops::Range, path::Path};

use clap::{
    Arg, Command as Clap, CommandFactory as _, Parser as _,
    error::{ContextKind, ContextValue},
};
pub use equibatch_cli::toml_flags::Error;
use equibatch_cli::toml_flags::{has_name, line_of, to_argv};
use toml::de::{DeTable, DeValue};

use super::{Arguments, Command, Train};

/// Name of the built-in experiment.
pub const REFERENCE: &str = "reference";
const REFERENCE_TEXT: &str = include_str!("reference.toml");
/// Key of the array of stages.
const STAGES: &str = "stage";
/// Key of a stage's name.
const NAME: &str = "name";
/// Flags that are accepted on the command line only, since they concern the whole experiment.
const CLI_ONLY: [&str; 6] = ["experiment", "stage", "resume", "out", "help", "verbose"];
/// Flags that are accepted on the command line only, since they concern the machine: a file is portable.
const MACHINE_FLAGS: [&str; 16] = [
    "server",
    "retry-for",
    "stall-timeout",
    "weight",
    "tls-ca",
    "tls-cert",
    "tls-key",
    "token-file",
    "no-shared-memory",
    "device",
    "threads",
    "operators",
    "prefetch",
    "offline",
    "hf-home",
    "hf-endpoint",
];

/// A stage of an experiment file.
#[derive(Debug)]
pub struct Stage {
    /// Name of the stage and of its folder.
    pub name: String,
    /// Arguments of the stage.
    pub train: Box<Train>,
}

/// Reads the stages of the file at `path`, or of the built-in experiment.
///
/// # Errors
///
/// If the file cannot be read, or a key or value is invalid; the error names line and key.
pub fn read(path: &Path) -> Result<Vec<Stage>, Error> {
    if path == Path::new(REFERENCE) && !path.exists() {
        return stages(path, REFERENCE_TEXT);
    }
    let text = fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_path_buf(),
        source,
    })?;
    stages(path, &text)
}

/// A command-line argument, and its line in the file.
type Word = (String, usize);

fn stages(path: &Path, text: &str) -> Result<Vec<Stage>, Error> {
    let file = File { path, text };
    let table = DeTable::parse(text).map_err(|error| file.fail(error.span(), error.message().to_owned()))?;
    let train = train_command();
    let mut of_all = vec![];
    let mut tables = vec![];
    for (key, value) in table.get_ref() {
        match value.get_ref() {
            DeValue::Array(entries) if key.get_ref() == STAGES => tables.extend(entries.iter()),
            _ => of_all.extend(file.words(
                &train,
                (key.get_ref(), key.span()),
                (value.get_ref(), value.span()),
            )?),
        }
    }
    if tables.is_empty() {
        return Err(file.fail(None, "no [[stage]] in the file".to_owned()));
    }
    let mut stages: Vec<Stage> = vec![];
    for (number, table) in (1..).zip(tables) {
        let stage = file.stage(&train, (number, &of_all), (table.get_ref(), table.span()))?;
        if stages.iter().any(|other| other.name == stage.name) {
            return Err(file.fail(
                Some(table.span()),
                format!("name: duplicate stage name {:?}", stage.name),
            ));
        }
        stages.push(stage);
    }
    Ok(stages)
}

fn train_command() -> Clap {
    let mut all = Arguments::command();
    // Arg actions are resolved by `build`.
    all.build();
    all.find_subcommand("train").expect("there is `train`").clone()
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn fail(&self, span: Option<Range<usize>>, reason: String) -> Error {
        self.fail_at(line_of(self.text, span.map_or(0, |span| span.start)), reason)
    }

    fn fail_at(&self, line: usize, reason: String) -> Error {
        Error::Line {
            path: self.path.to_path_buf(),
            line,
            reason,
        }
    }

    /// The command-line arguments of a key and its value.
    fn words(
        &self,
        train: &Clap,
        (name, key): (&str, Range<usize>),
        (value, place): (&DeValue<'_>, Range<usize>),
    ) -> Result<Vec<Word>, Error> {
        if MACHINE_FLAGS.contains(&name) {
            let reason = format!("`{name}` is accepted on the command line only: --{name}");
            return Err(self.fail(Some(key), reason));
        }
        let is_key = |arg: &&Arg| {
            arg.get_long()
                .is_some_and(|long| !CLI_ONLY.contains(&long) && !MACHINE_FLAGS.contains(&long))
        };
        let arg = train
            .get_arguments()
            .find(|arg| is_key(arg) && has_name(arg, name));
        let Some(arg) = arg else {
            let known: Vec<&str> = train
                .get_arguments()
                .filter(is_key)
                .filter_map(Arg::get_long)
                .collect();
            return Err(self.fail(
                Some(key),
                format!("unknown key `{name}`: expected one of {}", known.join(", ")),
            ));
        };
        // The name that clap uses in errors.
        let long = arg.get_long().unwrap_or(name);
        let argv = to_argv(arg, long, value)
            .map_err(|reason| self.fail(Some(place), format!("{name}: {reason}")))?;
        // A stage may override --freeze of the keys above it: of equal flags the last one wins, but different flags conflict.
        let argv = argv.into_iter().map(|word| match word.as_str() {
            "--unfreeze" => "--freeze=false".to_owned(),
            _ => word,
        });
        let line = line_of(self.text, key.start);
        Ok(argv.map(|word| (word, line)).collect())
    }

    fn stage(
        &self,
        train: &Clap,
        (number, of_all): (usize, &[Word]),
        (table, place): (&DeValue<'_>, Range<usize>),
    ) -> Result<Stage, Error> {
        let DeValue::Table(table) = table else {
            return Err(self.fail(Some(place), "a stage must be a table: write [[stage]]".to_owned()));
        };
        let (mut name, mut words) = (format!("stage-{number}"), of_all.to_vec());
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                (NAME, DeValue::String(text)) if is_folder_name(text) => name = text.to_string(),
                (NAME, _) => {
                    return Err(self.fail(
                        Some(value.span()),
                        "name: expected a folder name without path separators".to_owned(),
                    ));
                }
                (key_name, value_of_key) => {
                    words.extend(self.words(train, (key_name, key.span()), (value_of_key, value.span()))?);
                }
            }
        }
        let typed = ["client", "train"].map(str::to_owned).into_iter();
        let typed = typed
            .chain(words.iter().map(|(word, _)| word.clone()))
            .map(OsString::from);
        let parsed = Arguments::try_parse_from(typed)
            .map_err(|error| self.refused(&error, &words, line_of(self.text, place.start)))?;
        match parsed.command {
            Command::Train(train) => Ok(Stage { name, train }),
            other => unreachable!("the parsed command line is that of `train`, not {other:?}"),
        }
    }

    /// Converts an error of clap to one with the line at fault.
    fn refused(&self, error: &clap::Error, words: &[Word], line_of_stage: usize) -> Error {
        let flag = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(option)) => option.split([' ', '=', '[']).next().unwrap_or_default(),
            _ => "",
        };
        let is_meant = |(word, _): &&Word| word.split('=').next() == Some(flag);
        // Arguments of the stage follow those of all stages.
        let line = words
            .iter()
            .rev()
            .find(is_meant)
            .map_or(line_of_stage, |(_, line)| *line);
        let text = error.to_string();
        let sentence = text.lines().next().unwrap_or_default();
        self.fail_at(
            line,
            sentence.strip_prefix("error: ").unwrap_or(sentence).to_owned(),
        )
    }
}

/// Whether `name` is a single path component.
fn is_folder_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\']) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::run::Frozen;

    fn read(text: &str) -> Result<Vec<Stage>, String> {
        stages(Path::new("e.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_above_the_stages_are_defaults_of_each_stage() {
        let text = "size = 64\nfreeze = true\nbalance = \"natural\"\nweights = \"hf:a/b\"\n[[stage]]\nepochs = 4\n\
                    [[stage]]\nname = \"fine\"\nbalance = \"oversample\"\nunfreeze = true\nlr = \"1e-5..1e-2\"\n";
        let stages = read(text).expect("two stages");
        assert_eq!(
            stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>(),
            ["stage-1", "fine"]
        );
        let [first, second] = [&stages[0].train, &stages[1].train];
        assert_eq!((first.epochs, second.epochs), (Some(4), None));
        assert_eq!(
            (first.setup.images.size, second.setup.images.size),
            (Some(64), Some(64))
        );
        let balances = [first, second].map(|train| {
            train
                .setup
                .images
                .balance
                .as_ref()
                .expect("a balance")
                .to_string()
        });
        assert_eq!(balances, ["natural", "oversample"]);
        assert_eq!(
            [first, second].map(|train| train.setup.network.frozen()),
            [true, false].map(|is_frozen| Some(Frozen::Body(is_frozen)))
        );
        assert_eq!(second.max_lr.as_deref(), Some("1e-5..1e-2"));
    }

    #[test]
    fn errors_name_line_and_key() {
        for (text, words) in [
            ("size = 64\n", &["line 1", "no [[stage]]"][..]),
            (
                "[[stage]]\n\ncolour = 1",
                &["line 3", "unknown key `colour`", "max-lr"],
            ),
            ("out = \"x\"\n[[stage]]", &["line 1", "unknown key `out`"]),
            ("[[stage]]\ndevice = \"cuda\"", &["line 2", "device", "--device"]),
            ("[[stage]]\nepochs = 0", &["line 2", "--epochs", "'0'"]),
            ("epochs = 3\n[[stage]]\nepochs = 0", &["line 3", "--epochs"]),
            ("max-lr = \"fast\"\n[[stage]]", &["line 1", "--max-lr", "fast"]),
            ("[[stage]]\nname = \"a/b\"", &["line 2", "name"]),
            (
                "[[stage]]\nname = \"a\"\n[[stage]]\nname = \"a\"",
                &["line 3", "name \"a\""],
            ),
            ("[[stage]]\nfreeze = 3", &["line 2", "freeze"]),
            ("[[stage]]\nlr = -1", &["line 2", "above 0"]),
            (
                "[[stage]]\nweights = \"x\"\nload = \"y\"",
                &["line", "--weights", "--load"],
            ),
            ("stage = 3", &["line 1", "unknown key `stage`"]),
            ("[[stage", &["line 1"]),
        ] {
            let error = read(text).expect_err(text);
            for word in words {
                assert!(error.contains(word), "{text:?}: {word:?} is not in: {error}");
            }
        }
        let error = super::read(Path::new("nowhere.toml"))
            .expect_err("no file")
            .to_string();
        assert!(error.contains("nowhere.toml"), "{error}");
    }

    #[test]
    fn machine_flags_exist() {
        let train = train_command();
        let flags: Vec<&str> = train.get_arguments().filter_map(Arg::get_long).collect();
        for flag in MACHINE_FLAGS {
            assert!(flags.contains(&flag), "{flag}");
        }
    }

    #[test]
    fn the_reference_is_built_in() {
        let stages = super::read(Path::new(REFERENCE)).expect("the reference");
        let of = |stage: &Stage| {
            (
                stage.train.epochs,
                stage.train.max_lr.clone(),
                stage.train.setup.network.frozen(),
            )
        };
        let frozen = |is_frozen| Some(Frozen::Body(is_frozen));
        assert_eq!(of(&stages[0]), (Some(4), Some("3e-3".to_owned()), frozen(true)));
        assert_eq!(
            of(&stages[1]),
            (Some(2), Some("1e-5..1e-2".to_owned()), frozen(false))
        );
        assert!(stages[1].train.find_lr);
    }
}
