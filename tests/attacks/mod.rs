//! Attacks by one client on the others, each in seconds. They check the limits and print what the attack costs. The guarantees
//! are in `docs/operate.md`, the figures in `BENCHMARKS.md`.

#![allow(clippy::print_stdout, reason = "attacks print their figures")]

mod bodies;
mod demand;
mod describe;
mod descriptors;
mod floods;
mod logs;
mod memory;
mod planning;
mod signals;
mod tokens;
mod weights;

use equibatch_engine::{
    dataset::{Dataset, Fingerprint, Sample, ScanOptions, Split},
    decode,
    pipeline::Source,
};
use std::time::SystemTime;

use equibatch_harness::images::{picture, pictures};

/// A dataset of this many classes of this many images, all for training, without files.
fn without_files(classes: u32, images: u32) -> Dataset {
    let sample = |class: u32, image: u32| Sample {
        path: format!("class {class:04}/{image:06}.png").into(),
        class,
        split: Split::Train,
        bytes: 1000 + u64::from(image % 977),
        modified: SystemTime::UNIX_EPOCH,
        width: 200 + image % 83,
        height: 200 + image % 89,
    };
    let of_class = |class| (0..images).map(move |image| sample(class, image));
    Dataset {
        name: "pictures".to_owned(),
        root: "/nowhere".into(),
        classes: (0..classes).map(|class| format!("class {class:04}")).collect(),
        samples: (0..classes).flat_map(of_class).collect(),
        fingerprint: Fingerprint([7; 32]),
        quarantine: vec![],
        warnings: vec![],
        options: ScanOptions::default(),
    }
}

/// Gives the same file for every sample.
#[derive(Debug)]
struct OneFile(Vec<u8>);

impl OneFile {
    fn new() -> Self {
        let mut file = std::io::Cursor::new(vec![]);
        picture((40, 30), 1)
            .write_to(&mut file, image::ImageFormat::Png)
            .unwrap();
        Self(file.into_inner())
    }
}

impl Source for OneFile {
    fn read(&self, _dataset: &Dataset, _id: u32) -> Result<Vec<u8>, decode::Error> {
        Ok(self.0.clone())
    }
}
