//! Distribution over servers, and failover.

use std::{ops::Range, task::Poll};

use tonic::Code;

use super::*;

fn assert_next(stream: &mut BatchStream, steps: Range<u64>) {
    let mut next = || stream.next_batch().expect("no error").expect("a batch").step;
    for step in steps {
        assert_eq!(next(), step);
    }
}

#[test]
fn steps_are_distributed_over_servers_and_merged_in_order() {
    let fake_servers = [many(10), many(10), many(10)];
    let running = fake_servers.clone().map(Running::start);
    let servers = open_all(&running, RETRY).expect("connected");
    let mut stream = servers.stream(&request(8), 3).expect("a stream");
    assert_eq!(steps(&mut stream), (0..10).collect::<Vec<_>>());
    for (index, fake_server) in (0..).zip(&fake_servers) {
        let requests = fake_server.requests.lock().expect("no panic");
        let strides: Vec<_> = requests.iter().map(|request| request.stride).collect();
        assert_eq!(strides, [Some(v1::Stride { of: 3, index })]);
    }
}

#[test]
fn another_server_takes_over_from_one_that_stops() {
    let stopping = FakeServer {
        stops_at: Some(20),
        ..many(100)
    };
    let running = [many(100), stopping, many(100)].map(Running::start);
    let servers = open_all(&running, RETRY).expect("connected");
    let mut stream = servers.stream(&request(8), 3).expect("a stream");
    assert_eq!(steps(&mut stream), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_server_that_starts_late_is_used_once_it_is_up() {
    let late = closed_port();
    let first = Running::start(many(100_000));
    let servers = Servers::open(&format!("{},{late}", first.address), RETRY).expect("one is there");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    assert_next(&mut stream, 0..10);
    let fake_server = many(100_000);
    let requests = Arc::clone(&fake_server.requests);
    let _second = Running::start_at(late, fake_server);
    let is_asked = || !requests.lock().expect("no panic").is_empty();
    let mut step = 10;
    while !is_asked() {
        assert_next(&mut stream, step..step + 1);
        step += 1;
    }
}

#[test]
fn a_stream_survives_a_restart_of_its_only_server() {
    let first = Running::start(FakeServer {
        stops_at: Some(5),
        ..many(9)
    });
    let servers = open_all(std::slice::from_ref(&first), RETRY).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    assert_next(&mut stream, 0..5);
    let address = first.address;
    drop(first);
    let _second = Running::start_at(address, many(9));
    assert_eq!(steps(&mut stream), [5, 6, 7, 8]);
}

#[test]
fn opening_a_stream_waits_for_the_only_server() {
    let first = Running::start(many(3));
    let servers = open_all(std::slice::from_ref(&first), RETRY).expect("connected");
    let address = first.address;
    drop(first);
    let opening = std::thread::spawn(move || {
        let mut stream = servers.stream(&request(8), 2).expect("a stream");
        steps(&mut stream)
    });
    let _second = Running::start_at(address, many(3));
    assert_eq!(opening.join().expect("no panic"), [0, 1, 2]);
}

#[test]
fn a_permanent_refusal_ends_a_stream_at_once() {
    for refusal in [
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::InvalidArgument,
    ] {
        let fake_server = FakeServer {
            stops_at: Some(2),
            refusal,
            ..many(9)
        };
        let running = Running::start(fake_server);
        let servers = open_all(std::slice::from_ref(&running), RETRY).expect("connected");
        let mut stream = servers.stream(&request(8), 2).expect("a stream");
        let deadline = RETRY.retry_for / 3;
        let error = std::iter::repeat_with(|| stream.next_batch_within(deadline))
            .find_map(|polled| match polled {
                Poll::Ready(received) => received.err(),
                Poll::Pending => panic!("{refusal:?}: still waiting for the server"),
            })
            .expect("an error, not an end");
        assert!(
            matches!(error, Error::Denied { .. } | Error::Refused { .. }),
            "{refusal:?}: {error}"
        );
    }
}

#[test]
fn a_server_at_its_limit_is_retried() {
    let fake_server = FakeServer {
        stops_at: Some(2),
        refusal: Code::ResourceExhausted,
        ..many(9)
    };
    let first = Running::start(fake_server);
    let servers = open_all(std::slice::from_ref(&first), RETRY).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    assert_next(&mut stream, 0..2);
    let address = first.address;
    drop(first);
    let _second = Running::start_at(address, many(9));
    assert_eq!(steps(&mut stream), (2..9).collect::<Vec<_>>());
}

#[test]
fn a_late_batch_is_requested_from_another_server() {
    let stalling = FakeServer {
        stalls_at: Some(4),
        ..many(30)
    };
    let running = [many(30), stalling].map(Running::start);
    let short_stall = RetryPolicy {
        stall: Duration::from_millis(50),
        ..RETRY
    };
    let servers = open_all(&running, short_stall).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    assert_eq!(steps(&mut stream), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_server_with_other_files_is_refused_with_what_differs() {
    let other = FakeServer { files: 8, ..many(10) };
    let running = [many(10), other].map(Running::start);
    let servers = open_all(&running, RETRY).expect("connected");
    let message = servers.stream(&request(8), 2).expect_err("different").to_string();
    assert!(message.contains("class bird has"), "{message}");
    assert!(message.contains("images in its train split"), "{message}");
}

#[test]
fn a_server_that_restarts_with_other_files_is_not_used() {
    let stopping = FakeServer {
        stops_at: Some(5),
        ..many(9)
    };
    let first = Running::start(stopping);
    let short_retry = RetryPolicy {
        retry_for: Duration::from_secs(1),
        ..RETRY
    };
    let servers = open_all(std::slice::from_ref(&first), short_retry).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    let address = first.address;
    drop(first);
    let fake_server = FakeServer { files: 8, ..many(9) };
    let requests = Arc::clone(&fake_server.requests);
    let _second = Running::start_at(address, fake_server);
    let error = std::iter::repeat_with(|| stream.next_batch())
        .find_map(Result::err)
        .expect("an error, not an end");
    assert!(matches!(error, Error::Differs { .. }), "{error}");
    assert!(requests.lock().expect("no panic").is_empty());
}
