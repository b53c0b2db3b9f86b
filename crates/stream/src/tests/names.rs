//! Servers that change under one name.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use super::*;

/// The addresses of the name, set by the test.
#[derive(Clone, Default)]
struct Zone(Arc<Mutex<Vec<SocketAddr>>>);

impl Zone {
    fn set(&self, addresses: &[SocketAddr]) {
        *self.0.lock().expect("no panic") = addresses.to_vec();
    }

    fn resolver(&self) -> Resolver {
        let zone = Arc::clone(&self.0);
        let lookup = move |host: String, _port: u16| -> resolver::Lookup {
            let found = zone.lock().expect("no panic").clone();
            Box::pin(async move {
                match host.as_str() {
                    "loader.test" if !found.is_empty() => Ok(found),
                    _ => Err(io::Error::from(io::ErrorKind::NotFound)),
                }
            })
        };
        Resolver::new(lookup, Duration::from_millis(10))
    }
}

/// The same port at `127.0.0.last`.
fn beside(address: SocketAddr, last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), address.port())
}

fn open_name(zone: &Zone, port: u16) -> Result<Servers, Error> {
    Servers::open_resolving(
        &format!("loader.test:{port}"),
        RETRY,
        &Credentials::default(),
        &zone.resolver(),
    )
}

/// Takes batches, which must be in order, until `is_done`; returns the next step.
fn take_until(stream: &mut BatchStream, mut step: u64, mut is_done: impl FnMut() -> bool) -> u64 {
    while !is_done() {
        let batch = stream.next_batch().expect("no error").expect("a batch");
        assert_eq!(batch.step, step);
        step += 1;
    }
    step
}

#[test]
fn a_stream_follows_the_servers_of_a_name() {
    const BATCHES: u64 = 1_000_000;
    let zone = Zone::default();
    let fake_servers: Vec<FakeServer> = (0..5).map(|_| many(BATCHES)).collect();
    let asked = |index: usize| {
        let requests = fake_servers[index].requests.lock().expect("no panic");
        requests
            .last()
            .map(|request| request.stride.map_or(1, |stride| stride.of))
    };
    let first = Running::start(fake_servers[0].clone());
    let at = |index: usize| beside(first.address, u8::try_from(index).expect("few") + 1);
    let start = |index: usize| Running::start_at(at(index), fake_servers[index].clone());
    zone.set(&[at(0)]);
    let servers = open_name(&zone, first.address.port()).expect("connected");
    let mut stream = servers.stream(&request(8), 3).expect("a stream");
    let step = take_until(&mut stream, 0, || asked(0).is_some());

    let (second, third) = (start(1), start(2));
    zone.set(&[at(0), at(1), at(2)]);
    let step = take_until(&mut stream, step, || (0..3).all(|index| asked(index) == Some(3)));

    // All are replaced by others, and stop.
    let _others = (start(3), start(4));
    zone.set(&[at(3), at(4)]);
    let step = take_until(&mut stream, step, || (3..5).all(|index| asked(index) == Some(2)));
    drop((first, second, third));
    let mut more = 0;
    take_until(&mut stream, step, || {
        more += 1;
        more > 50
    });
}

#[test]
fn a_stream_moves_to_a_server_that_replaced_its_only_one() {
    let zone = Zone::default();
    let first = Running::start(FakeServer {
        stops_at: Some(5),
        ..many(9)
    });
    zone.set(&[first.address]);
    let servers = open_name(&zone, first.address.port()).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    let step = take_until(&mut stream, 0, {
        let mut taken = 0;
        move || {
            taken += 1;
            taken > 5
        }
    });
    let second = beside(first.address, 9);
    drop(first);
    let _second = Running::start_at(second, many(9));
    zone.set(&[second]);
    assert_eq!(steps(&mut stream), (step..9).collect::<Vec<_>>());
}

#[test]
fn opening_a_stream_waits_for_a_replacement_server() {
    let zone = Zone::default();
    let first = Running::start(many(3));
    zone.set(&[first.address]);
    let servers = open_name(&zone, first.address.port()).expect("connected");
    let second = beside(first.address, 9);
    drop(first);
    let opening = std::thread::spawn(move || {
        let mut stream = servers.stream(&request(8), 2).expect("a stream");
        steps(&mut stream)
    });
    let _second = Running::start_at(second, many(3));
    zone.set(&[second]);
    assert_eq!(opening.join().expect("no panic"), [0, 1, 2]);
}

#[test]
fn an_unknown_name_is_in_the_error() {
    let error = open_name(&Zone::default(), 1).expect_err("no such name");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("loader.test:1"), "{error}");
}
