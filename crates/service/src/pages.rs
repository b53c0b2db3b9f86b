//! Parts of a response that describes a dataset: samples by their ids, and pages of its quarantined files.

use equibatch_engine::{
    dataset::{Dataset, Quarantined},
    pipeline::ServedDataset,
};
use equibatch_proto::v1;
use tonic::Status;

/// Maximum of samples in a response.
const NAMED_SAMPLES: usize = 4096;

/// Maximum of quarantined files in a response, and of their bytes, approximately.
const PAGE_FILES: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// Describes the samples with these ids.
pub(super) fn samples(dataset: &Dataset, ids: &[u32]) -> Result<Vec<v1::SampleDescription>, Status> {
    if ids.len() > NAMED_SAMPLES {
        let message = format!(
            "sample_ids has {} entries: expected at most {NAMED_SAMPLES}",
            ids.len()
        );
        return Err(Status::invalid_argument(message));
    }
    let describe = |&id: &u32| {
        let sample = dataset.samples.get(id as usize).ok_or_else(|| {
            let samples = dataset.samples.len();
            Status::invalid_argument(format!(
                "sample_ids contains {id}: the dataset has {samples} samples"
            ))
        })?;
        Ok(v1::SampleDescription {
            id,
            path: sample.path.to_string(),
            label: sample.class,
            split: sample.split.name().to_owned(),
        })
    };
    ids.iter().map(describe).collect()
}

/// A page of quarantined files after the path `after`, and the token of the next page. The token is the last path, so that pages do not
/// shift when files are quarantined meanwhile.
pub(super) fn quarantined(
    served: &ServedDataset,
    after: &str,
    page_size: u32,
) -> (Vec<v1::QuarantinedFile>, String) {
    let files = match page_size as usize {
        0 => PAGE_FILES,
        wanted => wanted.min(PAGE_FILES),
    };
    // One more, to tell whether there is a next page.
    let found = served.quarantined(after, files + 1);
    let mut bytes = 0;
    let fits = |file: &&Quarantined| {
        bytes += file.path.len() + file.reason.len();
        bytes <= PAGE_BYTES
    };
    let count = found.iter().take(files).take_while(fits).count().max(1);
    let next = match found.get(count) {
        Some(_) => found[count - 1].path.clone(),
        None => String::new(),
    };
    let page = found.into_iter().take(count).map(|file| v1::QuarantinedFile {
        path: file.path,
        reason: file.reason,
    });
    (page.collect(), next)
}
