//! Deletes, moves and converts files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use equibatch_cli::files;
use equibatch_engine::dataset::Dataset;
use rayon::prelude::*;

use super::{
    convert::plan,
    fix_options::{Action, ActionKind, Conversion, FixOptions, FixOutcome, Removal},
    report::{FindingKind, VerifyReport},
};

/// Applies `fix_options` to the findings of `report`, which is of `dataset`. Temporary files that a killed call left while it converted images in
/// place are removed by the next such call. `progress` is called once per image written.
#[must_use]
pub fn fix(
    dataset: &Dataset,
    report: &VerifyReport,
    fix_options: &FixOptions,
    progress: &(impl Fn() + Sync),
) -> FixOutcome {
    let removed = removed(report, fix_options);
    let mut actions: Vec<Action> = removed
        .iter()
        .filter_map(|path| remove(&dataset.root, path, fix_options))
        .collect();
    if fix_options.conversion == Conversion::InPlace && !fix_options.dry_run {
        for folder in folders(report) {
            files::remove_temporary(&dataset.root.join(folder));
        }
    }
    let plan = plan(&dataset.root, report, &removed, fix_options);
    actions.par_extend(plan.par_iter().map(|task| {
        let action = task.run(dataset, fix_options);
        progress();
        action
    }));
    let remaining = remaining(report, &actions, fix_options);
    FixOutcome {
        dry_run: fix_options.dry_run,
        actions,
        remaining,
    }
}

/// The folders with images to convert, in which a killed call may have left temporary files.
fn folders(report: &VerifyReport) -> BTreeSet<&Path> {
    let images = report.convertible.iter();
    images
        .filter_map(|image| Path::new(&image.path).parent())
        .collect()
}

/// Paths of the files to remove.
fn removed<'a>(report: &'a VerifyReport, fix_options: &FixOptions) -> BTreeSet<&'a str> {
    let is_named = |kind| fix_options.kinds.contains(&kind) && kind != FindingKind::Unreadable;
    let alone = report.findings.iter().filter(|finding| is_named(finding.kind));
    let groups = report
        .groups
        .iter()
        .filter(|group| is_named(group.kind) && !group.conflict);
    let copies = groups.flat_map(|group| &group.members[1..]);
    alone
        .map(|finding| finding.path.as_str())
        .chain(copies.map(|member| member.path.as_str()))
        .collect()
}

fn remove(root: &Path, path: &str, fix_options: &FixOptions) -> Option<Action> {
    let from = root.join(path);
    let (kind, to, done) = match (&fix_options.removal, &fix_options.conversion) {
        (Removal::Keep, Conversion::Out(_)) => (ActionKind::LeftOut, None, Ok(())),
        (Removal::Keep, _) => return None,
        (_, _) if fix_options.dry_run => match &fix_options.removal {
            Removal::Quarantine(_) => (ActionKind::Moved, Some(path.to_owned()), Ok(())),
            _ => (ActionKind::Deleted, None, Ok(())),
        },
        (Removal::Delete, _) => (ActionKind::Deleted, None, files::remove(&from)),
        (Removal::Quarantine(folder), _) => (
            ActionKind::Moved,
            Some(path.to_owned()),
            files::relocate(&from, &folder.join(path)),
        ),
    };
    Some(Action {
        kind,
        path: path.to_owned(),
        to,
        error: done.err().map(|error| error.to_string()),
    })
}

fn remaining(report: &VerifyReport, actions: &[Action], fix_options: &FixOptions) -> usize {
    if fix_options.dry_run {
        return report.findings.len() + report.groups.len();
    }
    let done: BTreeMap<&str, ActionKind> = actions
        .iter()
        .filter(|action| action.error.is_none())
        .map(|action| (action.path.as_str(), action.kind))
        .collect();
    let is_gone = |path: &str| {
        matches!(
            done.get(path),
            Some(ActionKind::Deleted | ActionKind::Moved | ActionKind::LeftOut)
        )
    };
    let is_new = matches!(fix_options.conversion, Conversion::Out(_));
    let findings = report.findings.iter().filter(|finding| {
        let is_fixed = match finding.kind {
            FindingKind::Extension => done.contains_key(finding.path.as_str()),
            // Undecodable files are never written to an output folder.
            FindingKind::Broken | FindingKind::Refused | FindingKind::Unreadable => is_new,
            _ => false,
        };
        !is_fixed && !is_gone(&finding.path)
    });
    let groups = report.groups.iter().filter(|group| {
        let left = group.members.iter().filter(|member| !is_gone(&member.path));
        left.count() > 1
    });
    findings.count() + groups.count()
}
