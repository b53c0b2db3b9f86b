use std::fmt::Write as _;

use clap::ValueEnum as _;

use super::{
    fix_options::{ActionKind, FixOutcome},
    report::{DuplicateGroup, FindingKind, VerifyReport},
};
use equibatch_cli::terminal::table;

/// Formats a line for each finding and action, then the counts.
#[must_use]
pub fn text(report: &VerifyReport, outcome: &FixOutcome) -> String {
    let mut text = String::new();
    // Writing to a string never fails.
    for finding in &report.findings {
        let _ = writeln!(
            text,
            "{:<10}  {}: {}",
            finding.kind.name(),
            finding.path,
            finding.detail
        );
    }
    for group in &report.groups {
        let _ = writeln!(text, "{}", line(group));
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "note        {warning}");
    }
    for action in &outcome.actions {
        let verb = match action.kind {
            ActionKind::Deleted => "deleted",
            ActionKind::Moved => "moved",
            ActionKind::LeftOut => "left out",
            // Successful copies are only counted.
            ActionKind::Copied | ActionKind::Converted if action.error.is_none() => continue,
            ActionKind::Copied => "copied",
            ActionKind::Converted => "converted",
        };
        let _ = match &action.error {
            Some(error) => writeln!(text, "not {verb}  {}: {error}", action.path),
            None if outcome.dry_run => writeln!(text, "would be {verb}  {}", action.path),
            None => writeln!(text, "{verb:<10}  {}", action.path),
        };
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text + &counts(report, outcome)
}

/// All members, and whether they leak or conflict.
fn line(group: &DuplicateGroup) -> String {
    let members: Vec<String> = group
        .members
        .iter()
        .map(|member| format!("{} ({})", member.path, member.split.name()))
        .collect();
    let separator = if group.kind == FindingKind::Duplicate {
        " = "
    } else {
        " ~ "
    };
    let faults = match (group.leak, group.conflict) {
        (true, true) => ": a LEAK between splits, and a CONFLICT of classes",
        (true, false) => ": a LEAK between splits",
        (false, true) => ": a CONFLICT of classes",
        (false, false) => "",
    };
    format!("{:<10}  {}{faults}", group.kind.name(), members.join(separator))
}

fn counts(report: &VerifyReport, outcome: &FixOutcome) -> String {
    let mut rows = vec![
        vec!["files".to_owned(), report.files.to_string()],
        vec!["images".to_owned(), report.images.to_string()],
    ];
    let mut row = |name: &str, count: usize| {
        if count > 0 {
            rows.push(vec![name.to_owned(), count.to_string()]);
        }
    };
    for &kind in FindingKind::value_variants() {
        row(&kind.name(), report.count(kind));
    }
    let groups = |is: fn(&DuplicateGroup) -> bool| report.groups.iter().filter(|group| is(group)).count();
    row("leaks between splits", groups(|group| group.leak));
    row("conflicts of classes", groups(|group| group.conflict));
    let done = |verb| {
        let actions = outcome.actions.iter();
        actions
            .filter(|action| action.kind == verb && action.error.is_none())
            .count()
    };
    let would = if outcome.dry_run { "would be " } else { "" };
    for (verb, name) in [
        (ActionKind::Deleted, "deleted"),
        (ActionKind::Moved, "moved"),
        (ActionKind::LeftOut, "left out"),
        (ActionKind::Copied, "copied"),
        (ActionKind::Converted, "converted"),
    ] {
        row(&format!("{would}{name}"), done(verb));
    }
    row(
        "not done",
        outcome
            .actions
            .iter()
            .filter(|action| action.error.is_some())
            .count(),
    );
    table(&rows)
}
