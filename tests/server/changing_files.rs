//! Files that are changed, replaced or removed while they are served.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    time::Duration,
};

use equibatch_harness::{
    images::ImageFolder,
    receive::{Received, receive, small},
};
use equibatch_proto::v1::DescribeDatasetRequest;
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use tonic::Code;

const BIRDS: usize = 5;

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", BIRDS), ("flowers", 20)])
}

/// An engine that tolerates any number of broken files.
fn server(images: &ImageFolder, cache_bytes: u64) -> MemoryServer {
    let mut settings = config(2, cache_bytes);
    settings.max_broken = 1.0;
    MemoryServer::start(engine(images.root(), settings))
}

async fn train(server: &MemoryServer) -> Received {
    receive(&mut server.client().await, small("train", 2))
        .await
        .unwrap()
}

/// Sample ids of the flowers in the train split, ascending.
fn flowers(received: &Received) -> Vec<u32> {
    let ids = received.batches.iter().flat_map(|batch| &batch.sample_ids);
    let mut ids: Vec<u32> = ids.copied().filter(|id| *id as usize >= BIRDS).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Sets the modification time some seconds later, because two changes within one clock tick have the same time.
fn touch(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    file.set_modified(time + Duration::from_secs(5)).unwrap();
}

/// Replaces a file by renaming, as editors and synchronising programs do.
fn rename_over(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, path).unwrap();
    touch(path);
}

#[tokio::test]
async fn a_file_changed_since_the_scan_is_replaced_and_reported() {
    let images = pictures();
    let before = train(&server(&images, 1 << 26)).await;
    let server = server(&images, 0);
    let file = |id: u32| images.file("flowers", id as usize - BIRDS);
    let trained = flowers(&before);
    let [deleted, truncated, grown, written, swapped] = trained[..5] else {
        panic!("{} flowers", trained.len());
    };

    fs::remove_file(file(deleted)).unwrap();
    let bytes = fs::read(file(truncated)).unwrap();
    fs::write(file(truncated), &bytes[..bytes.len() / 2]).unwrap();
    let mut bytes = fs::read(file(grown)).unwrap();
    bytes.push(0);
    rename_over(&file(grown), &bytes);
    touch(&file(written));
    // A bird of exactly the flower's size: only the modification time differs, and its label would be wrong.
    let size = fs::metadata(file(swapped)).unwrap().len() as usize;
    let mut bird = fs::read(images.file("birds", 0)).unwrap();
    bird.resize(size, 0);
    rename_over(&file(swapped), &bird);

    let after = train(&server).await;
    let changed = [deleted, truncated, grown, written, swapped];
    let mut replaced = vec![];
    for (before, after) in before.batches.iter().zip(&after.batches) {
        assert_eq!(before.labels, after.labels);
        let named: BTreeMap<usize, u32> = after
            .replacements
            .iter()
            .map(|replacement| (replacement.slot as usize, replacement.broken_sample_id))
            .collect();
        for (slot, (planned, used)) in before.sample_ids.iter().zip(&after.sample_ids).enumerate() {
            assert_eq!(
                named.get(&slot),
                changed.contains(planned).then_some(planned),
                "slot {slot}"
            );
            if changed.contains(planned) {
                replaced.push(*planned);
                assert!(
                    !changed.contains(used) && *used as usize >= BIRDS,
                    "{used} is a flower"
                );
            } else {
                assert_eq!(planned, used);
            }
        }
    }
    assert!(changed.iter().all(|id| replaced.contains(id)), "{replaced:?}");
    assert_eq!(
        train(&server).await.digests(),
        after.digests(),
        "the same once more"
    );

    let mut client = server.client().await;
    let description = client.describe_dataset(DescribeDatasetRequest::default());
    let quarantined = description.await.unwrap().into_inner().quarantined;
    let reason = |id: u32| {
        let path = file(id);
        let found = quarantined.iter().find(|file| path.ends_with(&file.path));
        found.map_or("none", |file| file.reason.as_str())
    };
    assert_eq!(quarantined.len(), 5, "{quarantined:?}");
    assert!(reason(deleted).contains("deleted"), "{}", reason(deleted));
    assert!(reason(truncated).contains("changed"), "{}", reason(truncated));
    assert!(reason(grown).contains("changed"), "{}", reason(grown));
    assert!(reason(written).contains("modified"), "{}", reason(written));
    assert!(reason(swapped).contains("modified"), "{}", reason(swapped));
}

#[tokio::test]
async fn a_cached_image_outlives_its_file() {
    let images = pictures();
    let server = server(&images, 1 << 26);
    let before = train(&server).await;
    for id in flowers(&before) {
        fs::remove_file(images.file("flowers", id as usize - BIRDS)).unwrap();
    }
    assert_eq!(train(&server).await.digests(), before.digests());
}

#[tokio::test]
async fn too_many_changed_files_end_the_stream() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(2, 0)));
    for index in 0..20 {
        touch(&images.file("flowers", index));
    }
    let status = receive(&mut server.client().await, small("train", 1))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DataLoss);
    assert!(status.message().contains("cannot be read"), "{status}");
}
