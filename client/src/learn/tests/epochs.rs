//! What an epoch does beyond its steps.

use equibatch_training::{
    program::grad_cam,
    runtime::{GradCam, Operators},
};

use super::*;
use crate::learn::{
    evaluate::ImageModel as _,
    fit::{EpochWriter, policy::PolicyAction},
    learner::Validator,
    network,
    run::RunFolder,
};

fn fused() -> SessionOptions {
    SessionOptions {
        operators: Operators::Fast,
        ..options()
    }
}

/// Logits of the first images of `batch`, by the learner's validator, and by the model that it exports.
fn logits_of_both(learner: &mut Learner, batch: &Batch, count: usize) -> [Vec<f32>; 2] {
    let images = &batch.tensor[..batch.tensor.len() / IMAGES as usize * count];
    let snapshot = learner.snapshot().expect("a snapshot");
    let model = snapshot.model().expect("a model");
    let mut exported = learner.classifier(&model).expect("a classifier");
    let exported = exported.logits(images, count, SIZE as usize).expect("logits");
    let mut validator = learner.validator(&snapshot).expect("a validator");
    assert!(matches!(validator, Validator::InPlace(..)), "{validator:?}");
    [
        validator.logits(images, count, SIZE as usize).expect("logits"),
        exported,
    ]
}

#[test]
fn validation_computes_what_the_exported_model_does_from_the_state_after_each_step() {
    for ema in [None, Some(0.5)] {
        let config = RunConfig {
            arch: "resnet18@16".to_owned(),
            ema,
            ..small(3)
        };
        let mut learner = Learner::new(&runtime(), &config, &fused()).expect("a learner");
        let mut before = vec![];
        for step in 0..3 {
            let batch = batch(step);
            learner.step(&batch).expect("a step");
            // A full batch, and one that is smaller.
            for count in [IMAGES as usize, 5] {
                let [found, expected] = logits_of_both(&mut learner, &batch, count);
                assert_eq!(found.len(), expected.len());
                assert_ne!(found, before, "the state has changed");
                let largest = expected
                    .iter()
                    .fold(1.0_f32, |largest, logit| largest.max(logit.abs()));
                for (found, expected) in found.iter().zip(&expected) {
                    let difference = (found - expected).abs();
                    assert!(difference <= 1e-4 * largest, "{ema:?} {found} {expected}");
                }
                before = found;
            }
        }
    }
}

#[test]
fn a_network_that_is_not_fused_is_validated_as_it_is_exported() {
    let standard = SessionOptions {
        operators: Operators::Standard,
        ..options()
    };
    // Eight channels are not a multiple of sixteen.
    for (arch, options) in [("resnet18@8", fused()), ("resnet18@16", standard)] {
        let config = RunConfig {
            arch: arch.to_owned(),
            ..small(1)
        };
        let mut learner = Learner::new(&runtime(), &config, &options).expect("a learner");
        let snapshot = learner.snapshot().expect("a snapshot");
        let validator = learner.validator(&snapshot).expect("a validator");
        assert!(
            matches!(validator, Validator::Exported(_)),
            "{arch} {validator:?}"
        );
    }
}

#[test]
fn heatmaps_are_those_of_the_exported_model() {
    const SIZE: u32 = 64;
    let folder = tempfile::tempdir().expect("a folder");
    for ema in [None, Some(0.5)] {
        let config = RunConfig {
            arch: "resnet18@16".to_owned(),
            image_size: SIZE,
            ema,
            ..small(1)
        };
        let runtime = runtime();
        let mut learner = Learner::new(&runtime, &config, &fused()).expect("a learner");
        let mut random = generator(6, Purpose::DRAWING, &[]);
        let pixels = (IMAGES * 3 * SIZE * SIZE) as usize;
        let noise = (0..pixels).flat_map(|_| (random.next_u32() as f32 / u32::MAX as f32).to_le_bytes());
        let tensor = Bytes::from_iter(noise);
        let trained = Batch {
            tensor: tensor.clone(),
            ..batch(0)
        };
        learner.step(&trained).expect("a step");

        let images = tensor.chunks(tensor.len() / IMAGES as usize).zip([0, 1, 1, 0, 1]);
        let images: Vec<(&[u8], usize)> = images.collect();
        let found = learner.heatmaps(&images).expect("heatmaps").expect("in place");
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, learner.model().expect("a model")).expect("written");
        let network = network::read(&path).expect("a network");
        let program = grad_cam(&network, 2, SIZE as usize).expect("a program");
        let mut exported = GradCam::new(&runtime, &program, &options()).expect("a session");
        assert_eq!(found.len(), images.len());
        let mut largest = 0.0_f32;
        for ((image, label), found) in images.iter().zip(&found) {
            let expected = exported.of(image, *label as i64).expect("a heatmap");
            assert_eq!((found.extent, found.values.len()), ([2, 2], 4));
            assert_eq!(expected.extent, found.extent);
            for (found, expected) in found.values.iter().zip(&expected.values) {
                assert!((found - expected).abs() <= 1e-5, "{ema:?} {found} {expected}");
                largest = largest.max(*found);
            }
        }
        assert!(largest > 1e-3, "{largest}");
    }
}

#[test]
fn a_network_that_is_not_fused_has_the_heatmaps_of_its_exported_model_alone() {
    let mut learner = Learner::new(&runtime(), &small(1), &fused()).expect("a learner");
    let image = &batch(0).tensor[..(3 * SIZE * SIZE * 4) as usize];
    assert_eq!(learner.heatmaps(&[(image, 0)]).expect("no failure"), None);
}

#[test]
fn the_model_of_an_epoch_is_complete_before_its_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let learner = Learner::new(&runtime(), &small(1), &options()).expect("a learner");
    let run = RunFolder::create(&folder.path().join("run"), &small(1)).expect("a run");
    let mut writer = EpochWriter::default();
    let snapshot = learner.snapshot().expect("a snapshot");
    writer.start(&run, snapshot.clone(), vec![]).expect("a thread");
    writer.wait_for_model();
    let model = snapshot.model().expect("a model");
    assert!(std::fs::read(run.model_path()).expect("a model") == model);
    writer.wait().expect("written");
    // Nothing is being written.
    writer.wait_for_model();
}

#[test]
fn the_files_of_an_epoch_are_complete_when_the_writer_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut learner = Learner::new(&runtime(), &small(2), &options()).expect("a learner");
    let run = RunFolder::create(&folder.path().join("run"), &small(2)).expect("a run");
    learner.step(&batch(0)).expect("a step");
    let snapshot = learner.snapshot().expect("a snapshot");
    let mut writer = EpochWriter::default();
    let actions = vec![PolicyAction::SaveBest, PolicyAction::Keep { epoch: 1 }];
    let started = writer.start(&run, snapshot.clone(), actions);
    started.and_then(|()| writer.wait()).expect("written");
    let model = snapshot.model().expect("a model");
    for path in [run.model_path(), run.best_model_path()] {
        assert!(std::fs::read(&path).expect("a model") == model, "{path:?}");
    }
    let kept = [
        run.checkpoint_path(),
        run.best_checkpoint_path(),
        run.kept_path(1),
    ];
    for path in &kept {
        let read = Checkpoint::load(path).expect("a checkpoint");
        assert!(read == snapshot.checkpoint, "{path:?}");
    }

    // The next epoch replaces the run's checkpoint, and not those that are kept.
    learner.step(&batch(1)).expect("a step");
    let written = writer.take_written();
    assert!(written.is_some(), "its memory is used again");
    let later = learner.snapshot_into(written).expect("a snapshot");
    let anew = learner.snapshot().expect("a snapshot");
    assert!(later.checkpoint == anew.checkpoint && anew.checkpoint != snapshot.checkpoint);
    let started = writer.start(&run, later.clone(), vec![]);
    started.and_then(|()| writer.wait()).expect("written");
    let read = kept.map(|path| Checkpoint::load(&path).expect("a checkpoint"));
    assert!(read == [later.checkpoint, snapshot.checkpoint.clone(), snapshot.checkpoint]);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_of_the_wait_that_follows() {
    let folder = tempfile::tempdir().expect("a folder");
    let learner = Learner::new(&runtime(), &small(1), &options()).expect("a learner");
    let run = RunFolder::create(&folder.path().join("run"), &small(1)).expect("a run");
    std::fs::create_dir_all(run.model_path().join("occupied")).expect("a folder");
    let mut writer = EpochWriter::default();
    let snapshot = learner.snapshot().expect("a snapshot");
    writer.start(&run, snapshot, vec![]).expect("a thread");
    let message = writer.wait().expect_err("a folder is in the way").to_string();
    assert!(message.contains("model.onnx"), "{message}");
    assert!(!run.checkpoint_path().exists());
    writer.wait().expect("reported once");
}
