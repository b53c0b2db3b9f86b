//! Batches through shared memory: the bytes that a port gives, and nothing left over whoever is killed.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use equibatch_client::stream::{BatchStream, Patience, Servers, Way};
use equibatch_proto::v1::{
    OpenSharedBatches, Release, StreamBatchesResponse, StreamSharedBatchesRequest,
    batch_loader_client::BatchLoaderClient, stream_batches_response::Message as Kind,
    stream_shared_batches_request::Message,
};
use equibatch_tests::{
    images::ImageFolder,
    process::{ServerProcess, client, program},
    receive::{borrowed, receive, small},
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 20)])
}

/// A server on a socket in a folder of its own.
fn serve(images: &ImageFolder, options: &[&str]) -> (ServerProcess, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", folder.path().join("socket").display());
    (ServerProcess::listening(images.root(), &address, options), folder)
}

/// Without second tries.
const AT_ONCE: Patience = Patience {
    retry_for: Duration::ZERO,
    stall: Duration::from_secs(60),
};

fn open(addresses: &[&str], epochs: u32, prefetch: usize) -> BatchStream {
    let servers = Servers::open(&addresses.join(","), AT_ONCE).unwrap();
    servers.stream(&borrowed(epochs), prefetch).unwrap()
}

fn digests(stream: &mut BatchStream, count: usize) -> Vec<String> {
    std::iter::from_fn(|| stream.next_batch().unwrap())
        .take(count)
        .map(|batch| {
            let tensor = blake3::hash(&batch.tensor).to_hex();
            format!("{} {} {:?} {tensor}", batch.epoch, batch.step, batch.samples)
        })
        .collect()
}

/// What a port gives.
fn by_port(images: &ImageFolder, epochs: u32) -> Vec<String> {
    let server = ServerProcess::start(images.root(), &[]);
    let mut stream = open(&[&server.address], epochs, 2);
    assert_eq!(stream.ways(), Way::Network.to_string());
    digests(&mut stream, usize::MAX)
}

/// Mappings of shared memory in a process, in bytes.
fn mapped(process: u32) -> Vec<u64> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let ours = maps.lines().filter(|line| line.contains("memfd:equibatch"));
    ours.map(|line| {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        u64::from_str_radix(end, 16).unwrap() - u64::from_str_radix(start, 16).unwrap()
    })
    .collect()
}

/// Descriptors of shared memory in a process.
fn descriptors(process: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let targets = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets
        .filter(|target| target.to_string_lossy().contains("memfd:equibatch"))
        .count()
}

/// Waits until `is_so`, which must come to be.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process that holds batches.
struct Borrower {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Borrower {
    fn start(address: &str, batches: usize) -> Self {
        let mut child = Command::new(program("borrow"))
            .args([address, &batches.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut borrower = Self {
            questions: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        assert_eq!(borrower.line(), format!("holding by {}", Way::SharedMemory));
        borrower
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn digests(&mut self) -> String {
        writeln!(self.questions).unwrap();
        self.line()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Borrower {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn the_bytes_are_those_that_a_port_gives() {
    let images = pictures();
    let expected = by_port(&images, 3);
    let (server, _folder) = serve(&images, &[]);
    for prefetch in [1, 3, 200] {
        let mut stream = open(&[&server.address], 3, prefetch);
        assert_eq!(stream.ways(), Way::SharedMemory.to_string());
        assert_eq!(digests(&mut stream, usize::MAX), expected);
    }
    eventually("all memory is given back", || mapped(server.id()).is_empty());
    assert_eq!(descriptors(server.id()), 0);
}

#[test]
fn several_readers_get_their_own() {
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
fn a_reader_may_keep_more_than_the_memory_holds() {
    let images = pictures();
    // Two batches fit.
    let (server, _folder) = serve(&images, &["--stream-bytes", "1MiB"]);
    let mut stream = open(&[&server.address], 6, 8);
    assert_eq!(stream.ways(), Way::SharedMemory.to_string());
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
fn a_reader_that_returns_nothing_holds_its_own_memory_and_nobody_up() {
    let images = pictures();
    let (server, _folder) = serve(&images, &["--stream-bytes", "2MiB"]);
    let _slow = Borrower::start(&server.address, 3);
    let bytes: u64 = mapped(server.id()).iter().sum();
    assert!((1..=2 << 20).contains(&bytes), "{bytes} bytes");
    let mut other = open(&[&server.address], 4, 1);
    assert_eq!(digests(&mut other, usize::MAX).len(), 20);
}

#[test]
fn a_killed_reader_leaves_nothing() {
    let images = pictures();
    let before = left_over();
    let (server, _folder) = serve(&images, &["--max-streams", "1"]);
    let mut reader = Borrower::start(&server.address, 3);
    assert_eq!(mapped(server.id()).len(), 1);
    assert_eq!(descriptors(server.id()), 0, "the mapping is enough");
    reader.kill();
    eventually("its memory is given back", || mapped(server.id()).is_empty());
    // Its place is free, too.
    drop(Borrower::start(&server.address, 1));
    assert_eq!(left_over(), before);
}

#[test]
fn what_a_killed_server_lent_stays_readable() {
    let images = pictures();
    let before = left_over();
    let (mut server, folder) = serve(&images, &[]);
    let mut reader = Borrower::start(&server.address, 3);
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

/// Names of shared memory on this machine.
fn left_over() -> Vec<String> {
    let Ok(files) = fs::read_dir("/dev/shm") else {
        return vec![];
    };
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("equibatch")).collect()
}

#[test]
fn another_server_goes_on_where_one_is_killed() {
    let images = pictures();
    let expected = by_port(&images, 30);
    let running = [0, 1].map(|_| serve(&images, &[]));
    let addresses = running.each_ref().map(|(server, _)| server.address.as_str());
    let mut stream = open(&addresses, 30, 4);
    let mut found = digests(&mut stream, 20);
    let [(mut first, _folder), _second] = running;
    // Held across the end of the server that it comes from.
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
fn a_server_that_stops_ends_its_streams_and_itself() {
    let images = pictures();
    let (mut server, folder) = serve(&images, &[]);
    let mut stream = open(&[&server.address], 1_000_000, 2);
    let held = stream.next_batch().unwrap().unwrap();
    let tensor = blake3::hash(&held.tensor);
    server.terminate();
    let error = std::iter::repeat_with(|| stream.next_batch())
        .find_map(Result::err)
        .unwrap();
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(blake3::hash(&held.tensor), tensor);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_shared_comes_by_the_plain_stream() {
    let images = pictures();
    let expected = by_port(&images, 2);
    let (unwilling, _folder) = serve(&images, &["--no-shared-memory"]);
    let (willing, folder) = serve(&images, &[]);
    // Bytes get through it, and files do not.
    let relay = relay(folder.path(), &willing.address);
    for address in [&unwilling.address, &relay] {
        let mut stream = open(&[address], 2, 2);
        assert_eq!(stream.ways(), Way::Socket.to_string());
        assert_eq!(digests(&mut stream, usize::MAX), expected);
    }
    let servers = Servers::open(&willing.address, AT_ONCE)
        .unwrap()
        .without_shared_memory();
    let mut stream = servers.stream(&borrowed(2), 2).unwrap();
    assert_eq!(stream.ways(), Way::Socket.to_string());
    assert_eq!(digests(&mut stream, usize::MAX), expected);
}

/// A socket in `folder` that carries bytes to another one, and nothing else.
fn relay(folder: &Path, to: &str) -> String {
    use std::os::unix::net::{UnixListener, UnixStream};
    let (path, to) = (folder.join("relay"), to.strip_prefix("unix:").unwrap().to_owned());
    let listener = UnixListener::bind(&path).unwrap();
    // Ends with the process.
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

#[test]
fn the_client_program_says_how_batches_come() {
    let images = pictures();
    let (server, folder) = serve(&images, &[]);
    for (option, words) in [(None, "shared memory"), (Some("--no-shared-memory"), "socket")] {
        let run = folder.path().join(format!("by {words}"));
        let mut arguments = vec![
            "train",
            "--server",
            &server.address,
            "--arch",
            "resnet18@8",
            "--size",
            "32",
        ];
        arguments.extend(["--batch-size", "8", "--epochs", "1", "--threads", "1", "--out"]);
        arguments.push(run.to_str().unwrap());
        arguments.extend(option);
        let output = client(&arguments);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("batches come by {words}")), "{text}");
    }
}

type Requests = mpsc::Sender<StreamSharedBatchesRequest>;

/// A stream whose messages are made by hand. The file that comes along is closed unseen.
async fn by_hand(
    server: &ServerProcess,
    first: Message,
) -> (Requests, Result<Streaming<StreamBatchesResponse>, Status>) {
    let mut client = BatchLoaderClient::connect(server.address.clone()).await.unwrap();
    let (requests, messages) = mpsc::channel(8);
    requests.send(request(first)).await.unwrap();
    let answer = client.stream_shared_batches(ReceiverStream::new(messages)).await;
    (requests, answer.map(tonic::Response::into_inner))
}

fn request(message: Message) -> StreamSharedBatchesRequest {
    StreamSharedBatchesRequest {
        message: Some(message),
    }
}

fn open_by_hand(held: u32) -> Message {
    Message::Open(OpenSharedBatches {
        batches: Some(small("train", 1000)),
        held,
    })
}

/// Where the next batch lies.
async fn next_offset(stream: &mut Streaming<StreamBatchesResponse>) -> Result<u64, Status> {
    loop {
        match stream.message().await?.and_then(|response| response.message) {
            Some(Kind::Description(description)) => assert!(description.memory.is_some()),
            Some(Kind::Batch(batch)) => {
                assert!(batch.tensor.is_empty());
                return Ok(batch.in_memory.unwrap().offset);
            }
            None => panic!("an end"),
        }
    }
}

#[tokio::test]
async fn a_reader_that_returns_what_it_has_not_got_loses_its_stream_only() {
    let images = pictures();
    let (server, _folder) = serve(&images, &[]);
    // What was never lent, what is returned twice, and a second beginning.
    for trouble in ["unknown", "twice", "open"] {
        let (requests, stream) = by_hand(&server, open_by_hand(1)).await;
        let mut stream = stream.unwrap();
        let offset = next_offset(&mut stream).await.unwrap();
        let messages = match trouble {
            "unknown" => vec![Message::Release(Release { offset: offset + 1 })],
            "twice" => vec![Message::Release(Release { offset }); 2],
            _ => vec![open_by_hand(1)],
        };
        for message in messages {
            requests.send(request(message)).await.unwrap();
        }
        let status = loop {
            match next_offset(&mut stream).await {
                // Returned twice, it may have been lent again between.
                Ok(next) if trouble == "twice" => {
                    let release = Message::Release(Release { offset: next + 1 });
                    let _it_may_be_over = requests.send(request(release)).await;
                }
                Ok(_) => {}
                Err(status) => break status,
            }
        };
        assert_eq!(status.code(), Code::InvalidArgument, "{trouble}: {status}");
    }
    assert!(
        receive(&mut server.client().await, small("train", 1))
            .await
            .is_ok()
    );
    eventually("all memory is given back", || mapped(server.id()).is_empty());
}

#[tokio::test]
async fn senseless_beginnings_are_refused() {
    let images = pictures();
    let (server, _folder) = serve(&images, &[]);
    let nothing = Message::Open(OpenSharedBatches::default());
    for first in [Message::Release(Release { offset: 0 }), nothing] {
        let (_requests, stream) = by_hand(&server, first).await;
        let status = match stream {
            Err(status) => status,
            Ok(mut stream) => next_offset(&mut stream).await.unwrap_err(),
        };
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    // More than there may be is less than was asked for.
    let (_requests, stream) = by_hand(&server, open_by_hand(u32::MAX)).await;
    next_offset(&mut stream.unwrap()).await.unwrap();
    let bytes: u64 = mapped(server.id()).iter().sum();
    assert!(bytes <= 64 * 80 * 1024, "{bytes} bytes");
}

#[tokio::test]
async fn a_port_shares_no_memory() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let mut client = server.client().await;
    let messages = tokio_stream::iter([request(open_by_hand(1))]);
    let status = client.stream_shared_batches(messages).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status}");
}

#[tokio::test]
async fn a_reader_that_holds_everything_for_too_long_loses_its_stream() {
    let images = pictures();
    let (server, _folder) = serve(&images, &["--reader-timeout", "1"]);
    let (_requests, stream) = by_hand(&server, open_by_hand(2)).await;
    let mut stream = stream.unwrap();
    let status = loop {
        if let Err(status) = next_offset(&mut stream).await {
            break status;
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    eventually("its memory is given back", || mapped(server.id()).is_empty());
}
