//! Verification of class folders, and optional fixes.
//!
//! Every file is read and decoded as the server would. Findings:
//!
//! | kind | meaning |
//! |---|---|
//! | [`FindingKind::Broken`] | not decodable: an error page, a truncated download, an unsupported format |
//! | [`FindingKind::Refused`] | an image that exceeds the server's limits |
//! | [`FindingKind::Unreadable`] | a file or folder that cannot be read (I/O error) |
//! | [`FindingKind::Extension`] | an image whose file extension is of another format than its content, or of none |
//! | [`FindingKind::Tiny`] | an image whose short side is below a limit |
//! | [`FindingKind::Blank`] | an image of (nearly) uniform colour |
//! | [`FindingKind::Duplicate`] | byte-identical files |
//! | [`FindingKind::Near`] | near duplicates: copies at another size, quality or brightness |
//!
//! Duplicates with different labels are a *conflict*: one of the labels is wrong. Duplicates in different splits are a *leak*: the model is
//! evaluated on images that it was trained on.
//!
//! # Layout
//!
//! `report` has the findings. `file_report` inspects one file. `perceptual_hash` is a 64-bit hash with a thumbnail, `hamming_index` finds
//! hashes within a Hamming distance, `duplicates` groups identical and similar images. `misnamed` finds images without an image extension.
//! `fix` deletes and moves files, `convert` copies and converts images, `output_folders` checks the folders they are written to. `text`
//! formats the report.

mod convert;
mod duplicates;
mod file_report;
mod fix;
mod fix_options;
mod hamming_index;
mod misnamed;
mod output_folders;
mod perceptual_hash;
mod report;
mod text;

pub use fix::fix;
pub use fix_options::{Action, ActionKind, Conversion, FixOptions, FixOutcome, Removal};
pub use output_folders::{Error, check_folders};
pub use report::{DuplicateGroup, Finding, FindingKind, Member, VerifyOptions, VerifyReport};
pub use text::text;

use equibatch_engine::{
    dataset::{Dataset, Warning},
    decode::DecodeOptions,
};
use rayon::prelude::*;

use self::{file_report::FileReport, report::Convertible};

/// Inspects every file. `progress` is called once per file.
#[must_use]
pub fn verify(dataset: &Dataset, options: &VerifyOptions, progress: &(impl Fn() + Sync)) -> VerifyReport {
    let decoding = DecodeOptions {
        orientation: dataset.options.orientation,
        limits: dataset.options.limits,
    };
    let scanned = dataset.samples.iter().map(|sample| &*sample.path);
    let misnamed = misnamed::find(&dataset.root);
    let quarantined = dataset.quarantine.iter().map(|file| file.path.as_str());
    let paths: Vec<&str> = scanned
        .chain(misnamed.iter().map(String::as_str))
        .chain(quarantined)
        .collect();
    let mut reports: Vec<Result<FileReport, Finding>> = paths
        .par_iter()
        .map(|path| {
            let report = file_report::inspect(&dataset.root, path, &decoding);
            progress();
            report
        })
        .collect();
    for (report, file) in reports.iter_mut().rev().zip(dataset.quarantine.iter().rev()) {
        file_report::keep_scan_error(report, file);
    }

    let mut findings = vec![];
    let mut convertible = vec![];
    for (path, report) in paths.iter().zip(&reports) {
        match report {
            Ok(report) => {
                findings.extend(report.findings(path, options));
                convertible.push(Convertible {
                    path: (*path).to_owned(),
                    plain: report.plain,
                });
            }
            Err(finding) => findings.push(finding.clone()),
        }
    }
    for warning in &dataset.warnings {
        if let Warning::Unreadable { folder, reason } = warning {
            findings.push(Finding {
                kind: FindingKind::Unreadable,
                path: folder.clone(),
                detail: reason.clone(),
            });
        }
    }
    findings.sort();
    VerifyReport {
        root: dataset.root.display().to_string(),
        files: paths.len(),
        images: convertible.len(),
        findings,
        groups: duplicates::groups(dataset, &reports[..dataset.samples.len()], options.near),
        warnings: dataset.warnings.iter().map(ToString::to_string).collect(),
        convertible,
    }
}

#[cfg(test)]
mod tests;
