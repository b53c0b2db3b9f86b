//! Staged copies of the next step's images, with batches from a server: runs end with the same bits.

use equibatch_client::learn::{
    finder::{self, SweepRange},
    fit::{EpochRecord, EpochWriter, Fit, FitOutcome, Observer, StepEvent},
    learner::Learner,
    run::{RunConfig, RunFolder},
};
use equibatch_stream::{RetryPolicy, Servers};
use equibatch_training::runtime::{Runtime, SessionOptions, Staging};
use std::{fs, num::NonZeroUsize, path::Path, sync::atomic::AtomicBool};

use equibatch_harness::{images::ImageFolder, process::ServerProcess};

const SIZE: u32 = 32;
const BATCH: u32 = 8;

/// Counts the evaluated epochs.
struct EvaluationCount(usize);

impl Observer for EvaluationCount {
    fn step(&mut self, _step: &StepEvent) {}

    fn epoch(&mut self, record: &EpochRecord) {
        self.0 += usize::from(record.valid.is_some());
    }
}

fn config(servers: &Servers, accumulate: u32) -> RunConfig {
    let asked = RunConfig {
        arch: "resnet18@8".to_owned(),
        epochs: 3,
        batch_size: BATCH,
        accumulate,
        image_size: SIZE,
        seed: 3,
        ..RunConfig::default()
    };
    let stream = servers.stream(&asked.images(3), 1).unwrap();
    asked.described(stream.description())
}

/// The files of a run, and the losses of the search for a learning rate before it.
fn run(servers: &Servers, folder: &Path, config: &RunConfig, staging: Staging) -> ([Vec<u8>; 2], Vec<f64>) {
    let options = SessionOptions {
        intra_threads: NonZeroUsize::new(1),
        staging,
        ..SessionOptions::default()
    };
    let runtime = Runtime::load().unwrap();
    let mut learner = Learner::new(&runtime, config, &options).unwrap();
    let run = RunFolder::create(folder, config).unwrap();
    let stop = AtomicBool::new(false);
    let range = SweepRange {
        steps: 5,
        ..SweepRange::default()
    };
    let sweep = finder::find((&mut learner, servers), 1, (range, &stop), |_| {}).unwrap();
    let mut evaluated = EvaluationCount(0);
    let mut writer = EpochWriter::default();
    let fit = Fit {
        servers,
        learner: &mut learner,
        run: &run,
        prefetch: 1,
        has_valid: true,
        checkpoint_every: None,
        stop: &stop,
        writer: &mut writer,
        last_evaluation: &mut None,
    };
    assert_eq!(fit.run(&mut evaluated).unwrap(), FitOutcome::Finished);
    writer.wait().unwrap();
    assert_eq!(evaluated.0, 3);
    let files = [run.checkpoint_path(), run.model_path()].map(|path| fs::read(path).unwrap());
    let losses = sweep.points().iter().map(|point| point.loss);
    (files, losses.collect())
}

#[test]
fn staged_copies_of_images_change_no_bit() {
    let images = ImageFolder::new(&[("birds", 10), ("flowers", 20)]);
    let server = ServerProcess::start(images.root(), &["--threads", "1"]);
    let servers = Servers::open(&server.address, RetryPolicy::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for accumulate in [1, 2] {
        let config = config(&servers, accumulate);
        assert!(config.steps_per_epoch > 1);
        let [plain, staged] = [Staging::Off, Staging::On].map(|staging| {
            let path = folder.path().join(format!("{staging}-{accumulate}"));
            run(&servers, &path, &config, staging)
        });
        assert_eq!(plain.1, staged.1);
        assert!(plain.0 == staged.0, "the files differ");
    }
}
