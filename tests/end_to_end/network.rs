//! Streams between network namespaces: links go down, a host dies unnoticed, a name resolves to several addresses.

use std::{process::Stdio, thread, time::Duration};

use equibatch_harness::{
    images::{ImageFolder, pictures},
    network::{Machine, inside, is_unanswered, name_addresses},
    process::{ServerProcess, client},
    wait::eventually,
};
use equibatch_stream::{Batch, BatchRequest, BatchStream, RetryPolicy, Servers, Split};

/// More batches than any of these tests reads.
fn request() -> BatchRequest {
    BatchRequest {
        seed: 7,
        epochs: 1_000_000,
        recipe: "fastai".to_owned(),
        ..BatchRequest::evaluation("", Split::Train, 6, 64)
    }
}

const RETRY: RetryPolicy = RetryPolicy {
    retry_for: Duration::from_secs(120),
    stall: Duration::from_millis(500),
};

fn open(addresses: &str) -> BatchStream {
    let servers = Servers::open(addresses, RETRY).expect("a server is there");
    servers.stream(&request(), 3).expect("a stream")
}

/// A server on `machine`.
fn serve(machine: &Machine, port: u16, images: &ImageFolder) -> ServerProcess {
    let listen = format!("{}:{port}", machine.address());
    let command = machine.program("server");
    ServerProcess::by(command, Stdio::null(), images.root(), &["--listen", &listen])
}

/// A stream that is disturbed, and an undisturbed one.
struct Compared {
    disturbed: BatchStream,
    undisturbed: BatchStream,
    _server: ServerProcess,
}

impl Compared {
    fn new(images: &ImageFolder, addresses: &str) -> Self {
        let server = ServerProcess::start(images.root(), &["--threads", "1"]);
        Self {
            disturbed: open(addresses),
            undisturbed: open(&server.address),
            _server: server,
        }
    }

    /// Checks that the next `count` batches equal those of the undisturbed stream.
    fn take(&mut self, count: usize) {
        for _ in 0..count {
            let next = |stream: &mut BatchStream| stream.next_batch().expect("no error").expect("no end");
            let (found, expected) = (next(&mut self.disturbed), next(&mut self.undisturbed));
            let place = |batch: &Batch| (batch.epoch, batch.step);
            assert_eq!(place(&found), place(&expected));
            assert!(found == expected, "other bytes at {:?}", place(&found));
        }
    }

    /// Reads batches until `machine` has sent some of them.
    fn take_until_used(&mut self, machine: &Machine) {
        // More than a health check takes, and less than two batches.
        let enough = machine.received() + 400_000;
        eventually("the recovered machine is used again", || {
            self.take(1);
            (machine.received() >= enough).then_some(())
        });
    }
}

#[test]
fn a_link_goes_down_and_comes_back() {
    inside("network::a_link_goes_down_and_comes_back", || {
        let images = pictures();
        let machines = [1, 2].map(Machine::new);
        let servers = machines.each_ref().map(|machine| serve(machine, 50051, &images));
        let [one, two] = servers.each_ref().map(|server| &server.address);
        let mut streams = Compared::new(&images, &format!("{one},{two}"));
        streams.take_until_used(&machines[0]);
        machines[0].pull_cable();
        // Far more than was in flight: the other machine takes over.
        streams.take(100);
        machines[0].mend_cable();
        streams.take_until_used(&machines[0]);
    });
}

#[test]
fn a_host_dies_while_its_link_is_down_and_leaves_half_open_connections() {
    inside(
        "network::a_host_dies_while_its_link_is_down_and_leaves_half_open_connections",
        || {
            let images = pictures();
            let machines = [1, 2].map(Machine::new);
            let mut dying = serve(&machines[0], 50051, &images);
            let other = serve(&machines[1], 50051, &images);
            let addresses = format!("{},{}", dying.address, other.address);
            let mut streams = Compared::new(&images, &addresses);
            streams.take_until_used(&machines[0]);
            machines[0].pull_cable();
            // No message says that it is gone, and its successor does not know the connections.
            dying.kill();
            dying.wait();
            let _successor = serve(&machines[0], 50051, &images);
            streams.take(100);
            machines[0].mend_cable();
            streams.take_until_used(&machines[0]);
        },
    );
}

#[test]
fn the_only_link_goes_down_for_a_while() {
    inside("network::the_only_link_goes_down_for_a_while", || {
        let images = pictures();
        let machine = Machine::new(1);
        let server = serve(&machine, 50051, &images);
        let mut streams = Compared::new(&images, &server.address);
        streams.take(20);
        machine.pull_cable();
        let before = machine.received();
        let taken = thread::scope(|scope| {
            let reader = scope.spawn(|| streams.take(200));
            // The client receives the batches in flight, and then nothing: what it sends is not acknowledged and is retransmitted.
            eventually("the client's data is not acknowledged", || {
                is_unanswered().then_some(())
            });
            let through = machine.received() - before;
            let is_done = reader.is_finished();
            machine.mend_cable();
            reader.join().expect("no panic");
            (through, is_done)
        });
        assert_eq!(
            taken,
            (0, false),
            "bytes through a link that is down, and whether they were all batches"
        );
    });
}

#[test]
fn a_name_with_several_addresses_is_as_many_servers() {
    inside(
        "network::a_name_with_several_addresses_is_as_many_servers",
        || {
            let images = pictures();
            let folder = tempfile::tempdir().expect("a folder");
            let machines = [1, 2, 3].map(Machine::new);
            let mut servers = machines.each_ref().map(|machine| serve(machine, 50051, &images));
            let addresses = machines.each_ref().map(Machine::address);
            name_addresses(
                folder.path(),
                "batches.example",
                &addresses.each_ref().map(String::as_str),
            );
            let output = client(&["datasets", "--server", "batches.example:50051"]);
            assert!(output.status.success(), "{output:?}");
            let mut streams = Compared::new(&images, "batches.example:50051");
            for machine in &machines {
                streams.take_until_used(machine);
            }
            servers[1].kill();
            streams.take(100);
        },
    );
}
