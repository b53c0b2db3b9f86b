//! Help, completions, manual pages and listings of both programs.

use std::{collections::BTreeSet, fs};

use clap::{Command, CommandFactory as _};
use equibatch_client::command::Exit;
use equibatch_harness::{
    checkout,
    images::pictures,
    process::{ServerProcess, client, server},
};
use serde_json::Value;

fn programs() -> [Command; 2] {
    let mut programs = [
        equibatch_server::args::Arguments::command(),
        equibatch_client::args::Arguments::command(),
    ];
    programs.iter_mut().for_each(Command::build);
    programs
}

#[test]
fn every_command_has_examples_that_parse() {
    for program in programs() {
        for command in program
            .get_subcommands()
            .filter(|command| command.get_name() != "help")
        {
            let name = format!("{} {}", program.get_name(), command.get_name());
            let help = command.clone().render_long_help().to_string();
            let examples: Vec<&str> = help
                .lines()
                .filter(|line| line.trim_start().starts_with(&name))
                .collect();
            assert!(
                help.contains("Examples:") && !examples.is_empty(),
                "{name} has no examples:\n{help}"
            );
            // Options in a configuration file are checked elsewhere and may be missing here.
            for example in examples
                .into_iter()
                .filter(|example| !example.contains("--config"))
            {
                // Networks are read as the command line is parsed.
                let network = checkout::fixture("networks/cnn.onnx").display().to_string();
                let words = shell_words(example).into_iter();
                let words = words.map(|word| {
                    if word.ends_with(".onnx") {
                        network.clone()
                    } else {
                        word
                    }
                });
                let parsed = program.clone().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{example}\n{}", parsed.unwrap_err());
            }
        }
    }
}

/// The words of the first command of a line, up to a comment in its own column, a pipe or a redirection.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut blanks) = (vec![], String::new(), false, 0);
    for letter in line.trim().chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => {
                blanks += 1;
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            letter => {
                // Two blanks: a comment follows.
                if blanks > 1 {
                    break;
                }
                word.push(letter);
            }
        }
        blanks = 0;
        if !quoted && matches!(word.as_str(), "|" | ">" | "&&") {
            return words;
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[test]
fn every_exit_code_of_the_client_is_in_its_help() {
    let [_, client] = programs();
    let help = client.clone().render_long_help().to_string();
    let listed = help.split("Exit codes:").nth(1).expect("a list of exit codes");
    for exit in [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::Data,
        Exit::Unavailable,
        Exit::Denied,
        Exit::Interrupted,
    ] {
        let code = (exit as u8).to_string();
        let words = listed.split(|letter: char| !letter.is_ascii_digit());
        assert!(
            words.collect::<BTreeSet<_>>().contains(code.as_str()),
            "{exit:?} in {listed}"
        );
    }
}

#[test]
fn every_option_has_help() {
    for program in programs() {
        for command in program.get_subcommands() {
            for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
                let name = format!(
                    "{} {} {}",
                    program.get_name(),
                    command.get_name(),
                    option.get_id()
                );
                assert!(option.get_help().is_some(), "{name} has no help");
            }
        }
    }
}

#[test]
fn completions_of_every_shell_contain_every_command() {
    for (run, program) in [(server as fn(&[&str]) -> std::process::Output, 0), (client, 1)] {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let completions = run(&["completions", shell]);
            assert!(completions.status.success(), "{completions:?}");
            let script = String::from_utf8(completions.stdout).unwrap();
            for command in programs()[program].get_subcommands() {
                assert!(
                    script.contains(command.get_name()),
                    "{shell}: no {}",
                    command.get_name()
                );
            }
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("made/man1");
    for (run, program) in [(server as fn(&[&str]) -> std::process::Output, 0), (client, 1)] {
        let written = run(&["man", "--out", pages.to_str().unwrap()]);
        assert!(written.status.success(), "{written:?}");
        let program = &programs()[program];
        let name = program.get_name();
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".TH"), "{page}");
        let printed = run(&["man"]);
        assert_eq!(String::from_utf8(printed.stdout).unwrap(), page);
        for command in program
            .get_subcommands()
            .filter(|command| command.get_name() != "help")
        {
            let path = pages.join(format!("{name}-{}.1", command.get_name()));
            let page =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(page.contains("Examples"), "{}", path.display());
        }
    }
}

#[test]
fn listings_are_available_as_json() {
    let images = pictures();
    images.corrupt("flowers", 3).unwrap();
    let running = ServerProcess::start(images.root(), &[]);
    let listed = client(&["datasets", "--server", &running.address, "--json"]);
    assert!(listed.status.success(), "{listed:?}");
    let datasets: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(datasets[0]["name"], "pictures");
    assert_eq!(datasets[0]["classes"][0]["name"], "birds");
    assert_eq!(datasets[0]["classes"][1]["images"]["train"], 16);
    assert_eq!(datasets[0]["splits"], serde_json::json!(["train", "valid"]));

    let listed = server(&["recipe", "--json"]);
    let recipes: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let parts = recipes["parts"].as_array().unwrap();
    let rotate = parts.iter().find(|part| part["name"] == "rotate").unwrap();
    assert!(
        rotate["parameters"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["high"] == 180.0)),
        "{rotate}"
    );
    let meant = server(&["recipe", "light rotate(15)", "--json"]);
    let meant: Value = serde_json::from_slice(&meant.stdout).unwrap();
    assert!(
        meant["recipe"]
            .as_str()
            .is_some_and(|text| text.contains("rotate(degrees=15")),
        "{meant}"
    );
}

/// Output that goes to a pipe has no escape sequences, whatever the terminal variables say.
#[test]
fn output_to_a_pipe_has_no_colours() {
    for output in [
        client(&["--help"]),
        server(&["--help"]),
        client(&["train", "--epochs", "none"]),
        server(&["serve"]),
    ] {
        let both = [output.stdout, output.stderr].concat();
        assert!(!both.contains(&0x1b), "{}", String::from_utf8_lossy(&both));
    }
}
