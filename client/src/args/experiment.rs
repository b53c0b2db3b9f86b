//! Experiment files: several stages of training, in which each key is a flag of `client train` ([`toml_flags`]).
//!
//! Keys above the stages apply to all stages, keys of a stage to that stage only. Flags of the command line override the former and fill what the
//! latter leave open.

use std::{borrow::Cow, path::Path};

use clap::{CommandFactory as _, Parser as _};
pub use equibatch_cli::toml_flags::Error;
use equibatch_cli::toml_flags::{self, File, Words, sentence};
use toml::{Spanned, de::DeValue};

use super::{Arguments, Command, Train};

/// Name of the built-in experiment whose stages `--stage` names without `--experiment`.
pub const REFERENCE: &str = "reference";
/// The built-in experiments by name.
const BUILT_IN: [(&str, &str); 5] = [
    (REFERENCE, include_str!("reference.toml")),
    ("crt", include_str!("crt.toml")),
    ("deferred", include_str!("deferred.toml")),
    ("lws", include_str!("lws.toml")),
    ("tau-norm", include_str!("tau-norm.toml")),
];
/// Key of the array of stages.
const STAGES: &str = "stage";
/// Key of a stage's name.
const NAME: &str = "name";
/// Flags that are accepted on the command line only, since they concern the whole experiment.
const CLI_ONLY: [&str; 5] = ["experiment", "stage", "resume", "out", "verbose"];
/// Flags that are accepted on the command line only, since they concern the machine: a file is portable.
const MACHINE_FLAGS: [&str; 17] = [
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
    "cuda-option",
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
    /// Its arguments: the keys above the stages and its own.
    pub train: Box<Train>,
    /// Its own keys, each as arguments. They define the stage: flags of the command line do not override them.
    pub own: Vec<(String, Box<Train>)>,
}

impl Stage {
    /// Its arguments with those of the command line, each overridden by those after it.
    pub fn overridden<'a>(&'a self, typed: &'a Train) -> impl Iterator<Item = &'a Train> + Clone {
        let own = self.own.iter().map(|(_, own)| &**own);
        [&*self.train, typed].into_iter().chain(own)
    }
}

/// Reads the stages of the file at `path`, or of the built-in experiment of that name.
///
/// # Errors
///
/// If the file cannot be read, or a key or value is invalid; the error names line and key.
pub fn read(path: &Path) -> Result<Vec<Stage>, Error> {
    let built_in = BUILT_IN.iter().find(|(name, _)| path == Path::new(name));
    match built_in.filter(|_| !path.exists()) {
        Some((_, text)) => stages(path, text),
        None => stages(path, &toml_flags::read(path)?),
    }
}

fn stages(path: &Path, text: &str) -> Result<Vec<Stage>, Error> {
    let file = File::new(path, text, Arguments::command(), "train", is_key);
    let mut of_all = vec![];
    let mut tables = vec![];
    for (key, value) in &file.table()? {
        match value.get_ref() {
            DeValue::Array(entries) if key.get_ref() == STAGES => tables.extend(entries.clone()),
            _ => of_all.extend(words(&file, key, value)?),
        }
    }
    if tables.is_empty() {
        return Err(file.error(0, "no [[stage]] in the file".to_owned()));
    }
    let mut stages: Vec<Stage> = vec![];
    for (number, table) in (1..).zip(&tables) {
        let stage = stage(&file, number, of_all.clone(), table)?;
        if stages.iter().any(|other| other.name == stage.name) {
            let reason = format!("name: duplicate stage name {:?}", stage.name);
            return Err(file.error(table.span().start, reason));
        }
        stages.push(stage);
    }
    Ok(stages)
}

/// Whether the flag may be in a file.
pub(crate) fn is_key(name: &str) -> bool {
    !CLI_ONLY.contains(&name) && !MACHINE_FLAGS.contains(&name)
}

/// The command-line arguments of a key and its value.
fn words(file: &File<'_>, key: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) -> Result<Words, Error> {
    let name: &str = key.get_ref();
    if MACHINE_FLAGS.contains(&name) {
        let reason = format!("`{name}` is accepted on the command line only: --{name}");
        return Err(file.error(key.span().start, reason));
    }
    let (_, mut words) = file.flag(key, value)?;
    // A stage may override --freeze of the keys above it: of equal flags the last one wins, but different flags conflict.
    for (word, _) in words.iter_mut().filter(|(word, _)| word == "--unfreeze") {
        "--freeze=false".clone_into(word);
    }
    Ok(words)
}

/// The stage of a table. Its arguments follow those of all stages.
fn stage(
    file: &File<'_>,
    number: usize,
    mut argv: Words,
    table: &Spanned<DeValue<'_>>,
) -> Result<Stage, Error> {
    let start = table.span().start;
    let DeValue::Table(table) = table.get_ref() else {
        return Err(file.error(start, "a stage must be a table: write [[stage]]".to_owned()));
    };
    let mut name = format!("stage-{number}");
    let mut own = vec![];
    for (key, value) in table {
        match (key.get_ref().as_ref(), value.get_ref()) {
            (NAME, DeValue::String(text)) if is_folder_name(text) => name = text.to_string(),
            (NAME, _) => {
                let reason = "name: expected a folder name without path separators".to_owned();
                return Err(file.error(value.span().start, reason));
            }
            _ => {
                let words = words(file, key, value)?;
                argv.extend(words.clone());
                // Of a flag with two names, the same one.
                let flag = words
                    .first()
                    .map_or("", |(word, _)| word)
                    .trim_start_matches("--");
                own.push((flag.split('=').next().unwrap_or_default().to_owned(), words));
            }
        }
    }
    let train = arguments(file, start, argv)?;
    let own = own
        .into_iter()
        .map(|(key, words)| Ok((key, arguments(file, start, words)?)));
    Ok(Stage {
        name,
        train,
        own: own.collect::<Result<_, Error>>()?,
    })
}

/// The arguments of `client train` that `argv` are, of a table that starts at `start`.
fn arguments(file: &File<'_>, start: usize, argv: Words) -> Result<Box<Train>, Error> {
    let flags = file.flags(argv);
    let parsed = Arguments::try_parse_from(["client", "train"].into_iter().chain(flags.argv()));
    let parsed = parsed.map_err(|error| {
        let located = flags.located(&error);
        located.unwrap_or_else(|| file.error(start, sentence(&error)))
    })?;
    match parsed.command {
        Command::Train(train) => Ok(train),
        other => unreachable!("the parsed command line is that of `train`, not {other:?}"),
    }
}

/// Whether `name` is a single path component.
fn is_folder_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\']) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::run::{All, Frozen, HeadFit, HeadSteps};

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
            [true, false].map(|is_frozen| Some(Frozen::body(is_frozen)))
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
        let mut all = Arguments::command();
        all.build();
        let train = all.find_subcommand("train").expect("there is `train`");
        let flags: Vec<&str> = train.get_arguments().filter_map(clap::Arg::get_long).collect();
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

    #[test]
    fn deferred_sampling_is_built_in() {
        let stages = super::read(Path::new("deferred")).expect("deferred");
        assert_eq!(stages.len(), 1);
        let balance = stages[0].train.setup.images.balance.as_ref();
        assert_eq!(
            balance.map(ToString::to_string).as_deref(),
            Some("natural>oversample@0.8")
        );
    }

    /// Each ends with a head that is fitted to kept features of a body trained on natural batches.
    #[test]
    fn decoupled_experiments_are_built_in() {
        for (name, resets, fit, balance) in [
            ("crt", true, None, "oversample"),
            ("lws", false, Some(HeadFit::Scales), "oversample"),
            ("tau-norm", false, Some(HeadFit::TauNorm), "natural"),
        ] {
            let stages = super::read(Path::new(name)).expect(name);
            let [first, second] = [&stages[0].train, &stages[1].train];
            let balances =
                [first, second].map(|train| train.setup.images.balance.as_ref().map(ToString::to_string));
            assert_eq!(
                balances,
                ["natural", balance].map(|name| Some(name.to_owned())),
                "{name}"
            );
            assert_eq!(first.setup.network.frozen(), Some(Frozen::Body(false)), "{name}");
            assert_eq!(
                second.setup.network.frozen(),
                Some(Frozen::All(All::All)),
                "{name}"
            );
            assert_eq!(
                (first.head_steps, second.head_steps),
                (None, Some(HeadSteps::Auto)),
                "{name}"
            );
            assert_eq!((second.reset_head, second.head_fit), (resets, fit), "{name}");
        }
    }
}
