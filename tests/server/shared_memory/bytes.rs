//! The bytes that readers get, by shared memory and by the socket.

use std::path::Path;

use equibatch_harness::receive::borrowed;
use equibatch_stream::{Servers, Transport};

use super::{AT_ONCE, by_port, descriptors, digests, mapped, open, pictures, serve, wait_for_nothing_mapped};

#[test]
fn the_bytes_equal_those_over_tcp() {
    let images = pictures();
    let expected = by_port(&images, 3);
    let (server, _folder) = serve(&images, &[]);
    for prefetch in [1, 3, 200] {
        let mut stream = open(&[&server.address], 3, prefetch);
        assert_eq!(stream.transports(), Transport::SharedMemory.to_string());
        assert_eq!(digests(&mut stream, usize::MAX), expected);
    }
    wait_for_nothing_mapped(server.id());
    assert_eq!(descriptors(server.id()), 0);
}

#[test]
fn several_readers_get_their_own_batches() {
    let images = pictures();
    let expected = by_port(&images, 4);
    let (server, _folder) = serve(&images, &[]);
    std::thread::scope(|scope| {
        for prefetch in 1..=4 {
            let (server, expected) = (&server, &expected);
            scope.spawn(move || {
                let mut stream = open(&[&server.address], 4, prefetch);
                assert_eq!(digests(&mut stream, usize::MAX), *expected);
            });
        }
    });
}

#[test]
fn a_reader_may_keep_more_batches_than_the_memory_holds() {
    let images = pictures();
    // Two batches fit.
    let (server, _folder) = serve(&images, &["--stream-bytes", "1MiB"]);
    let mut stream = open(&[&server.address], 6, 8);
    assert_eq!(stream.transports(), Transport::SharedMemory.to_string());
    let kept: Vec<_> = std::iter::from_fn(|| stream.next_batch().unwrap()).collect();
    assert!(kept.len() > 20, "{}", kept.len());
    let bytes: u64 = mapped(server.id()).iter().sum();
    assert!(bytes <= 1 << 20, "{bytes} bytes");
    let digests: Vec<_> = kept.iter().map(|batch| blake3::hash(&batch.tensor)).collect();
    let mut other = open(&[&server.address], 6, 1);
    for digest in digests {
        let batch = other.next_batch().unwrap().unwrap();
        assert_eq!(blake3::hash(&batch.tensor), digest);
    }
}

#[test]
fn streams_without_shared_memory_use_the_socket() {
    let images = pictures();
    let expected = by_port(&images, 2);
    let (unwilling, _folder) = serve(&images, &["--no-shared-memory"]);
    let (willing, folder) = serve(&images, &[]);
    // It passes bytes, but no descriptors.
    let relay = relay(folder.path(), &willing.address);
    for address in [&unwilling.address, &relay] {
        let mut stream = open(&[address], 2, 2);
        assert_eq!(stream.transports(), Transport::Socket.to_string());
        assert_eq!(digests(&mut stream, usize::MAX), expected);
    }
    let servers = Servers::open(&willing.address, AT_ONCE)
        .unwrap()
        .without_shared_memory();
    let mut stream = servers.stream(&borrowed(2), 2).unwrap();
    assert_eq!(stream.transports(), Transport::Socket.to_string());
    assert_eq!(digests(&mut stream, usize::MAX), expected);
}

/// A socket in `folder` that relays bytes to another one, without descriptors.
fn relay(folder: &Path, to: &str) -> String {
    use std::os::unix::net::{UnixListener, UnixStream};
    let (path, to) = (folder.join("relay"), to.strip_prefix("unix:").unwrap().to_owned());
    let listener = UnixListener::bind(&path).unwrap();
    // Runs until the process ends.
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let far = UnixStream::connect(&to).unwrap();
            let ends = [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))];
            for (from, to) in ends {
                let (mut from, mut to) = (from.unwrap(), to.unwrap());
                std::thread::spawn(move || {
                    let _cut = std::io::copy(&mut from, &mut to);
                    let _closed = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    format!("unix:{}", path.display())
}
