//! Programs, commands and options.

use std::fmt::Write as _;

use clap::{Arg, Command, builder::StyledStr};

use super::inline;

/// The lines of a table of contents.
pub(super) fn contents(program: &Command, page: &mut String) {
    let name = program.get_name();
    let commands = commands(program).map(|command| {
        let heading = format!("{name} {}", command.get_name());
        format!("[{}](#{})", command.get_name(), heading.replace(' ', "-"))
    });
    let _never_fails = writeln!(
        page,
        "- [{name}](#{name}): {}",
        commands.collect::<Vec<_>>().join(", ")
    );
}

/// A program with all its commands.
pub(super) fn program(program: &Command, page: &mut String) {
    let name = program.get_name();
    let _never_fails = writeln!(page, "## {name}\n\n{}\n", about(program));
    table(program, page);
    block(program, page);
    for command in commands(program) {
        let _never_fails = writeln!(page, "### {name} {}\n\n{}\n", command.get_name(), about(command));
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        let _never_fails = writeln!(page, "```\n{usage}\n```\n");
        table(command, page);
        block(command, page);
    }
}

fn commands(program: &Command) -> impl Iterator<Item = &Command> {
    program
        .get_subcommands()
        .filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    let text = about.map(ToString::to_string).unwrap_or_default();
    let text = inline(&text);
    if text.ends_with(['.', ':']) {
        text
    } else {
        format!("{text}.")
    }
}

/// The help after the options: examples and exit codes.
fn block(command: &Command, page: &mut String) {
    let after = command.get_after_long_help().or(command.get_after_help());
    if let Some(after) = after.map(StyledStr::to_string) {
        let _never_fails = writeln!(page, "```\n{}\n```\n", after.trim_end());
    }
}

fn table(command: &Command, page: &mut String) {
    let options: Vec<&Arg> = command
        .get_arguments()
        .filter(|option| !option.is_hide_set() && !matches!(option.get_id().as_str(), "help" | "version"))
        .collect();
    if options.is_empty() {
        return;
    }
    *page += "| option | default | meaning |\n|---|---|---|\n";
    for option in options {
        let _never_fails = writeln!(
            page,
            "| {} | {} | {} |",
            spelled(option),
            default(option),
            meaning(option)
        );
    }
    page.push('\n');
}

/// `--flag VALUE`, or the name of an argument.
fn spelled(option: &Arg) -> String {
    let values = option.get_value_names().unwrap_or_default();
    let values: Vec<&str> = values.iter().map(|name| name.as_str()).collect();
    let takes_value = option.get_action().takes_values();
    match (option.get_long(), option.get_short()) {
        (Some(long), _) if takes_value => format!("`--{long} {}`", values.join(" ")).replace('|', "\\|"),
        (Some(long), Some(short)) => format!("`--{long}`, `-{short}`"),
        (Some(long), None) => format!("`--{long}`"),
        (None, Some(short)) => format!("`-{short}`"),
        (None, None) => format!("`{}`", values.join(" ")),
    }
}

fn default(option: &Arg) -> String {
    if !option.get_action().takes_values() || option.is_hide_default_value_set() {
        return String::new();
    }
    let values: Vec<String> = option
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    values.join(", ")
}

fn meaning(option: &Arg) -> String {
    let help = option.get_long_help().or(option.get_help());
    let mut text = inline(&help.map(ToString::to_string).unwrap_or_default());
    let end = |text: &mut String| {
        if !text.is_empty() && !text.ends_with(['.', ']', ':']) {
            text.push('.');
        }
    };
    end(&mut text);
    let values: Vec<String> = option
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && option.get_action().takes_values())
        .map(|value| match value.get_help() {
            Some(help) => format!(
                "`{}` ({})",
                value.get_name(),
                inline(&help.to_string()).trim_end_matches('.')
            ),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    if !values.is_empty() {
        let _never_fails = write!(text, " One of {}.", values.join(", "));
    }
    if let Some(variable) = option.get_env() {
        let _never_fails = write!(text, " Environment: `{}`.", variable.to_string_lossy());
    }
    text
}
