//! Section on reproduction: commands, tokens and settings.

use maud::{Markup, html};
use serde_json::Value;

use super::RunRecord;
use equibatch_stream::Position;

/// Commands, tokens and configuration.
pub(super) fn markup(record: &RunRecord) -> Markup {
    let first = record.class_sampling.as_ref().map(|class_sampling| Position {
        spec_hash: class_sampling.spec_hash.clone(),
        fingerprint: record.config.fingerprint.clone(),
        seed: record.config.seed,
        world: 1,
        ..Position::default()
    });
    html! {
        p { "The same files, command and seed give identical batches from any server. The commands:" }
        @if record.sessions.is_empty() { p { "The command was not recorded." } }
        @for session in &record.sessions {
            pre { code { (typed(&session.command)) } }
            p.faint {
                "Version " (session.version) " on " (session.device) ", from " (session.servers)
                @if session.from_step > 0 { ", after step " (session.from_step) } "."
            }
        }
        h3 { "Tokens" }
        dl.facts {
            @if let Some(first) = &first { div { dt { "first batch" } dd { code { (token(first)) } } } }
            @if let Some(last) = &record.position { div { dt { "after the last batch" } dd { code { (token(last)) } } } }
        }
        h3 { "Settings" }
        dl.facts { @for (name, value) in settings(record) { div { dt { (name) } dd { code { (value) } } } } }
    }
}

/// A command, quoted for a shell.
fn typed(command: &[String]) -> String {
    let mut words = command.iter();
    let program = words
        .next()
        .map(|path| path.rsplit('/').next().unwrap_or(path).to_owned());
    let words = program.into_iter().chain(words.map(|word| quoted(word)));
    words.collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// A token as JSON on one line.
fn token(position: &Position) -> String {
    serde_json::to_string(position).expect("a position is plain data")
}

fn settings(record: &RunRecord) -> Vec<(String, String)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(&record.config) else {
        return vec![];
    };
    let mut settings = vec![];
    for (name, value) in fields {
        flatten(&name, &value, &mut settings);
    }
    settings
}

/// Flattens nested objects to names like `outer.inner`.
fn flatten(name: &str, value: &Value, settings: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (inner, value) in fields {
                flatten(&format!("{name}.{inner}"), value, settings);
            }
        }
        Value::String(text) => settings.push((name.to_owned(), text.clone())),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            let words: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            settings.push((name.to_owned(), words.join(", ")));
        }
        value => settings.push((name.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let command = [
            "/opt/bin/client",
            "train",
            "--recipe",
            "light rotate(15)",
            "--dataset",
            "it's",
            "--seed",
            "1",
            "",
        ];
        assert_eq!(
            typed(&command.map(str::to_owned)),
            "client train --recipe 'light rotate(15)' --dataset 'it'\\''s' --seed 1 ''"
        );
    }

    #[test]
    fn nested_settings_have_dotted_names() {
        let mut settings = vec![];
        flatten(
            "config",
            &serde_json::json!({ "a": { "b": 1.5 }, "c": ["x", "y"], "d": [0.5, 1] }),
            &mut settings,
        );
        let expected = [
            ("config.a.b", "1.5"),
            ("config.c", "x, y"),
            ("config.d", "[0.5,1]"),
        ];
        assert_eq!(
            settings,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
