//! Streams over a network that really is one: cables are pulled between machines, a machine dies unseen, a name stands for several.

use std::{process::Stdio, thread, time::Duration};

use equibatch_harness::{
    images::ImageFolder,
    network::{Machine, inside, is_unanswered, name_addresses},
    process::{ServerProcess, client},
    wait::eventually,
};
use equibatch_stream::{Batch, BatchRequest, BatchStream, RetryPolicy, Servers, Split};

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 20)])
}

/// More batches than any of these tests takes.
fn request() -> BatchRequest {
    BatchRequest {
        seed: 7,
        epochs: 1_000_000,
        recipe: "fastai".to_owned(),
        ..BatchRequest::evaluation("", Split::Train, 6, 64)
    }
}

const PATIENCE: RetryPolicy = RetryPolicy {
    retry_for: Duration::from_secs(120),
    stall: Duration::from_millis(500),
};

fn open(addresses: &str) -> BatchStream {
    let servers = Servers::open(addresses, PATIENCE).expect("a server is there");
    servers.stream(&request(), 3).expect("a stream")
}

/// A server on `machine`.
fn serve(machine: &Machine, port: u16, images: &ImageFolder) -> ServerProcess {
    let listen = format!("{}:{port}", machine.address());
    let command = machine.program("server");
    ServerProcess::by(command, Stdio::null(), images.root(), &["--listen", &listen])
}

/// A stream to which all sorts of things happen, beside one to which nothing does.
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

    /// The next `count` batches are those of the undisturbed stream.
    fn take(&mut self, count: usize) {
        for _ in 0..count {
            let next = |stream: &mut BatchStream| stream.next_batch().expect("no error").expect("no end");
            let (found, expected) = (next(&mut self.disturbed), next(&mut self.undisturbed));
            let place = |batch: &Batch| (batch.epoch, batch.step);
            assert_eq!(place(&found), place(&expected));
            assert!(found == expected, "other bytes at {:?}", place(&found));
        }
    }

    /// Takes batches until `machine` has sent some of them.
    fn take_until_used(&mut self, machine: &Machine) {
        // More than asking a server how it is takes, and less than two batches.
        let enough = machine.received() + 400_000;
        eventually("a machine that came back is used again", || {
            self.take(1);
            (machine.received() >= enough).then_some(())
        });
    }
}

#[test]
fn a_cable_is_pulled_and_put_back() {
    inside("network::a_cable_is_pulled_and_put_back", || {
        let images = pictures();
        let machines = [1, 2].map(Machine::new);
        let servers = machines.each_ref().map(|machine| serve(machine, 50051, &images));
        let [one, two] = servers.each_ref().map(|server| &server.address);
        let mut streams = Compared::new(&images, &format!("{one},{two}"));
        streams.take_until_used(&machines[0]);
        machines[0].pull_cable();
        // Far more than what was on its way: the other machine steps in.
        streams.take(100);
        machines[0].mend_cable();
        streams.take_until_used(&machines[0]);
    });
}

#[test]
fn a_machine_dies_behind_a_pulled_cable_and_its_connections_stay_half_open() {
    inside(
        "network::a_machine_dies_behind_a_pulled_cable_and_its_connections_stay_half_open",
        || {
            let images = pictures();
            let machines = [1, 2].map(Machine::new);
            let mut dying = serve(&machines[0], 50051, &images);
            let other = serve(&machines[1], 50051, &images);
            let addresses = format!("{},{}", dying.address, other.address);
            let mut streams = Compared::new(&images, &addresses);
            streams.take_until_used(&machines[0]);
            machines[0].pull_cable();
            // Nobody hears that it is gone, and its successor knows nothing of the connections.
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
fn the_only_cable_is_pulled_for_a_while() {
    inside("network::the_only_cable_is_pulled_for_a_while", || {
        let images = pictures();
        let machine = Machine::new(1);
        let server = serve(&machine, 50051, &images);
        let mut streams = Compared::new(&images, &server.address);
        streams.take(20);
        machine.pull_cable();
        let before = machine.received();
        let taken = thread::scope(|scope| {
            let reader = scope.spawn(|| streams.take(200));
            // It has the batches that were on their way, and then nothing: what it sends is not acknowledged, and sent again.
            eventually("the client sends in vain", || is_unanswered().then_some(()));
            let through = machine.received() - before;
            let is_done = reader.is_finished();
            machine.mend_cable();
            reader.join().expect("no panic");
            (through, is_done)
        });
        assert_eq!(
            taken,
            (0, false),
            "bytes through a pulled cable, and whether they were all batches"
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
