use std::fmt::Write as _;

use super::{Group, Kind, Report, mend::Outcome, mend::Verb};
use equibatch_cli::terminal::table;

/// The same for people: a line for each finding and each deed, then the counts.
#[must_use]
pub fn text(report: &Report, outcome: &Outcome) -> String {
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
    for deed in &outcome.deeds {
        let verb = match deed.deed {
            Verb::Deleted => "deleted",
            Verb::Moved => "moved",
            Verb::LeftOut => "left out",
            // Too many to name, and nothing to worry about.
            Verb::Copied | Verb::Converted if deed.error.is_none() => continue,
            Verb::Copied => "copied",
            Verb::Converted => "converted",
        };
        let _ = match &deed.error {
            Some(error) => writeln!(text, "not {verb}  {}: {error}", deed.path),
            None if outcome.dry_run => writeln!(text, "would be {verb}  {}", deed.path),
            None => writeln!(text, "{verb:<10}  {}", deed.path),
        };
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text + &counts(report, outcome)
}

/// All members, and what is bad about the group.
fn line(group: &Group) -> String {
    let members: Vec<String> = group
        .members
        .iter()
        .map(|member| format!("{} ({})", member.path, member.split.name()))
        .collect();
    let joint = if group.kind == Kind::Duplicate {
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
    format!("{:<10}  {}{faults}", group.kind.name(), members.join(joint))
}

fn counts(report: &Report, outcome: &Outcome) -> String {
    let mut rows = vec![
        vec!["files".to_owned(), report.files.to_string()],
        vec!["images".to_owned(), report.images.to_string()],
    ];
    let mut row = |name: &str, count: usize| {
        if count > 0 {
            rows.push(vec![name.to_owned(), count.to_string()]);
        }
    };
    for kind in Kind::ALL {
        row(kind.name(), report.count(kind));
    }
    let groups = |is: fn(&Group) -> bool| report.groups.iter().filter(|group| is(group)).count();
    row("leaks between splits", groups(|group| group.leak));
    row("conflicts of classes", groups(|group| group.conflict));
    let done = |verb| {
        let deeds = outcome.deeds.iter();
        deeds
            .filter(|deed| deed.deed == verb && deed.error.is_none())
            .count()
    };
    let would = if outcome.dry_run { "would be " } else { "" };
    for (verb, name) in [
        (Verb::Deleted, "deleted"),
        (Verb::Moved, "moved"),
        (Verb::LeftOut, "left out"),
        (Verb::Copied, "copied"),
        (Verb::Converted, "converted"),
    ] {
        row(&format!("{would}{name}"), done(verb));
    }
    row(
        "not done",
        outcome.deeds.iter().filter(|deed| deed.error.is_some()).count(),
    );
    table(&rows)
}
