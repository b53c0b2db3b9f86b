//! Memory and descriptors after a reader or a server has ended.

use std::fs;

use equibatch_harness::receive;

use super::{
    by_port, descriptors, digests, mapped, open, pictures, reader::ReaderProcess, serve,
    wait_for_nothing_mapped,
};

#[test]
fn a_reader_that_releases_nothing_blocks_no_other() {
    let images = pictures();
    let (server, _folder) = serve(&images, &["--stream-bytes", "2MiB"]);
    let _slow = ReaderProcess::start(&server.address, 3);
    let bytes: u64 = mapped(server.id()).iter().sum();
    assert!((1..=2 << 20).contains(&bytes), "{bytes} bytes");
    let mut other = open(&[&server.address], 4, 1);
    assert_eq!(digests(&mut other, usize::MAX).len(), 20);
}

#[test]
fn a_killed_reader_leaves_no_shared_memory() {
    let images = pictures();
    let before = left_over();
    let (server, _folder) = serve(&images, &["--max-streams", "1"]);
    let mut reader = ReaderProcess::start(&server.address, 3);
    assert_eq!(mapped(server.id()).len(), 1);
    assert_eq!(descriptors(server.id()), 0, "the mapping is enough");
    reader.kill();
    wait_for_nothing_mapped(server.id());
    // Its permit is free, too.
    drop(ReaderProcess::start(&server.address, 1));
    assert_eq!(left_over(), before);
}

#[test]
fn batches_of_a_killed_server_stay_readable() {
    let images = pictures();
    let before = left_over();
    let (mut server, folder) = serve(&images, &[]);
    let mut reader = ReaderProcess::start(&server.address, 3);
    let expected = reader.digests();
    assert_eq!(expected.split(' ').count(), 3);
    server.kill();
    server.wait();
    assert_eq!(reader.digests(), expected);
    assert_eq!(descriptors(reader.child.id()), 0, "the mapping is enough");
    drop(reader);
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "a killed server's socket, which the next one takes over");
    assert_eq!(left_over(), before);
}

/// Shared-memory files of this machine.
fn left_over() -> Vec<String> {
    let Ok(files) = fs::read_dir("/dev/shm") else {
        return vec![];
    };
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("equibatch")).collect()
}

#[test]
fn another_server_continues_if_one_is_killed() {
    let images = pictures();
    let expected = by_port(&images, 30);
    let running = [0, 1].map(|_| serve(&images, &[]));
    let addresses = running.each_ref().map(|(server, _)| server.address.as_str());
    let mut stream = open(&addresses, 30, 4);
    let mut found = digests(&mut stream, 20);
    let [(mut first, _folder), _second] = running;
    // Kept after its server has ended.
    let held = stream.next_batch().unwrap().unwrap();
    let tensor = blake3::hash(&held.tensor);
    first.kill();
    found.push(format!(
        "{} {} {:?} {}",
        held.epoch,
        held.step,
        held.samples,
        tensor.to_hex()
    ));
    found.extend(digests(&mut stream, usize::MAX));
    assert_eq!(found, expected);
    assert_eq!(blake3::hash(&held.tensor), tensor);
}

#[test]
fn a_stopping_server_ends_its_streams_and_exits() {
    let images = pictures();
    let (mut server, folder) = serve(&images, &[]);
    let mut stream = open(&[&server.address], 1_000_000, 2);
    let held = stream.next_batch().unwrap().unwrap();
    let tensor = blake3::hash(&held.tensor);
    server.terminate();
    let error = receive::error(&mut stream);
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(blake3::hash(&held.tensor), tensor);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
