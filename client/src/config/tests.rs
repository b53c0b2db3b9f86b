use std::path::Path;

use clap::Parser as _;

use super::*;
use crate::args::{Arguments, Command, Train, experiment};
use crate::learn::run::{Frozen, RunConfig};
use equibatch_stream::Balance;
use equibatch_training::{program::Precision, runtime::Device};

fn train(arguments: &[&str]) -> Train {
    let arguments = ["client", "train"].iter().chain(arguments);
    match Arguments::try_parse_from(arguments)
        .expect("valid arguments")
        .command
    {
        Command::Train(train) => *train,
        other => panic!("{other:?}"),
    }
}

fn config() -> RunConfig {
    RunConfig {
        epochs: 10,
        batch_size: 64,
        ..crate::learn::run::sample()
    }
}

#[test]
fn arguments_override_the_configuration() {
    let mut config = config();
    apply_args(
        &train(&[
            "--epochs",
            "3",
            "--balance",
            "natural",
            "--head=plain",
            "--freeze",
        ]),
        &mut config,
    );
    let expected = RunConfig {
        epochs: 3,
        balance: Balance::Natural,
        head: "plain".to_owned(),
        frozen: Frozen::body(true),
        ..self::config()
    };
    assert_eq!(config, expected);
}

#[test]
fn images_are_normalised_as_the_metadata_of_the_network_say() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("net.onnx");
    // metadata_props (14) of `ModelProto`, with key (1) and value (2).
    let field =
        |tag: u8, bytes: &[u8]| [&[tag << 3 | 2, u8::try_from(bytes.len()).expect("short")], bytes].concat();
    let value = br#"{"image_size": 64, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}"#;
    let model = field(14, &[field(1, b"preprocessing"), field(2, value)].concat());
    std::fs::write(&path, model).expect("written");
    let model = format!("--model={}", path.display());
    let applied = |more: &[&str]| {
        let mut config = config();
        apply_args(&train(&[&[&*model], more].concat()), &mut config);
        (config.mean, config.std)
    };
    assert_eq!(applied(&[]), ([0.5; 3], [0.25; 3]));
    assert_eq!(applied(&["--std", "0.1,0.2,0.3"]), ([0.5; 3], [0.1, 0.2, 0.3]));
}

/// The flags of an arm follow those of the comparison, which may have said how many epochs there are.
#[test]
fn heads_on_features_take_four_epochs_unless_others_are_given() {
    for (given, epochs) in [(&["--seed", "1"], 4), (&["--epochs", "3"], 3)] {
        let mut config = config();
        config.epochs = RunConfig::default().epochs;
        for words in [&given[..], &["--head-steps", "auto"]] {
            apply_args(&train(words), &mut config);
        }
        assert_eq!(config.epochs, epochs, "{given:?}");
    }
}

#[test]
fn flags_beside_an_experiment_fill_what_a_stage_leaves_open() {
    let check = |experiment: &str, flags: &[&str]| {
        let stages = experiment::read(Path::new(experiment)).expect(experiment);
        check_typed(&stages, &train(flags)).map_err(|error| error.to_string())
    };
    for (experiment, flags, key, stage) in [
        ("crt", &["--balance", "natural"][..], "--balance", "head"),
        ("crt", &["--balance", "oversample"], "--balance", "body"),
        (
            "crt",
            &["--balance", "natural>oversample@0.8"],
            "--balance",
            "body",
        ),
        ("lws", &["--freeze=all"], "--freeze", "body"),
        ("lws", &["--unfreeze"], "--freeze", "head"),
        ("reference", &["--epochs", "1"], "--epochs", "stage-1"),
        ("deferred", &["--balance", "progressive"], "--balance", "deferred"),
    ] {
        let error = check(experiment, flags).expect_err(experiment);
        assert!(
            error.contains(key) && error.contains(&format!("stage `{stage}`")),
            "{error}"
        );
    }
    for (experiment, flags) in [
        // Each fills a stage, or says what all do.
        ("crt", &["--epochs", "10", "--max-lr", "..1e-3"][..]),
        ("tau-norm", &["--epochs", "5", "--balance", "natural"]),
        ("reference", &["--optimizer", "sgd", "--balance", "natural"]),
    ] {
        assert_eq!(check(experiment, flags), Ok(()), "{experiment} {flags:?}");
    }
}

#[test]
fn freeze_and_unfreeze_conflict() {
    let frozen = |arguments: &[&str]| train(arguments).setup.network.frozen();
    assert_eq!(frozen(&[]), None);
    assert_eq!(frozen(&["--freeze"]), Some(Frozen::body(true)));
    assert_eq!(frozen(&["--freeze=false"]), Some(Frozen::Body(false)));
    assert_eq!(frozen(&["--unfreeze"]), Some(Frozen::Body(false)));
    let matching = Frozen::Matching("^layer[12]".to_owned());
    assert_eq!(frozen(&["--freeze=^layer[12]"]), Some(matching));
    for both in [["--freeze", "--unfreeze"], ["--unfreeze", "--freeze=false"]] {
        let all = ["client", "train"].into_iter().chain(both);
        let message = Arguments::try_parse_from(all).expect_err("refused").to_string();
        assert!(
            message.contains("--freeze") && message.contains("--unfreeze"),
            "{message}"
        );
    }
}

#[test]
fn a_resumed_run_keeps_the_settings_that_affect_its_results() {
    let args = train(&[
        "--resume",
        "x",
        "--arch",
        "resnet34",
        "--batch-size",
        "8",
        "--device",
        "cpu",
    ]);
    let expected = "arch was \"resnet18\", now \"resnet34\"; batch_size was 64, now 8";
    assert_eq!(resume_conflicts(&args, &config()), expected);
    assert_eq!(
        resume_conflicts(&train(&["--resume", "x", "--server", "b:1"]), &config()),
        ""
    );
}

#[test]
fn reduced_precision_needs_cuda() {
    for precision in [Precision::Tf32, Precision::Bf16, Precision::F16] {
        let message = check_precision(precision, Device::Cpu)
            .expect_err("refused")
            .to_string();
        assert!(
            message.contains("--device cuda") && message.contains("only f32"),
            "{message}"
        );
        assert!(check_precision(precision, Device::Cuda { index: 1 }).is_ok());
    }
    assert!(check_precision(Precision::F32, Device::Cpu).is_ok());
}

#[test]
fn invalid_values_are_refused_by_the_parser() {
    for arguments in [
        ["--epochs", "0"],
        ["--size", "16"],
        ["--balance", "fair"],
        ["--max-lr", "0"],
        ["--device", "gpu"],
        ["--batch-size", "1"],
        ["--arch", "resnet35"],
        ["--head", "wide("],
        ["--weights", "hf:a//b"],
        ["--weight-decay", "-1"],
    ] {
        let all = ["client", "train"].into_iter().chain(arguments);
        let message = Arguments::try_parse_from(all).expect_err("refused").to_string();
        assert!(message.contains(arguments[0]), "{message}");
        assert!(!message.contains("unexpected argument"), "{message}");
    }
    for (arguments, expected) in [
        (["--epochs", "0"], "expected a whole number of at least 1"),
        (["--epochs", "-1"], "expected a whole number of at least 1"),
        (["--size", "16"], "expected a whole number of at least 32"),
        (["--threads", "0"], "expected a whole number of at least 1"),
        (["--lr", "-1"], "above 0"),
    ] {
        let all = ["client", "train"].into_iter().chain(arguments);
        let message = Arguments::try_parse_from(all).expect_err("refused").to_string();
        assert!(message.contains(expected), "{message}");
    }
}

/// Built-in networks have three heads; the head of an imported network is a regular expression.
#[test]
fn a_head_fits_its_network() {
    let named = |hash: &str| RunConfig {
        head: "wide".to_owned(),
        network_hash: hash.to_owned(),
        ..config()
    };
    let message = check_head(&named("")).expect_err("refused").to_string();
    assert_eq!(
        message,
        "--head: unknown head `wide`: expected fastai, plain, cosine or cosine:SCALE with SCALE above 0"
    );
    assert!(check_head(&named("00ff")).is_ok() && check_head(&config()).is_ok());
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Arguments::command().debug_assert();
}
