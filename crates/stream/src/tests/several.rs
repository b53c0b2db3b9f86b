//! Servers that share a stream, stop and come back.

use std::task::Poll;

use tonic::Code;

use super::*;

#[test]
fn servers_share_out_the_steps_which_come_in_order() {
    let fake_servers = [many(10), many(10), many(10)];
    let running = fake_servers.clone().map(Running::start);
    let servers = open_all(&running, PATIENT).expect("connected");
    let mut stream = servers.stream(&request(8), 3).expect("a stream");
    assert_eq!(steps(&mut stream), (0..10).collect::<Vec<_>>());
    for (index, fake_server) in (0..).zip(&fake_servers) {
        let requests = fake_server.requests.lock().expect("no panic");
        let strides: Vec<_> = requests.iter().map(|request| request.stride).collect();
        assert_eq!(strides, [Some(v1::Stride { of: 3, index })]);
    }
}

#[test]
fn the_steps_of_a_server_that_stops_are_asked_of_another() {
    let stopping = FakeServer {
        stops_at: Some(20),
        ..many(100)
    };
    let running = [many(100), stopping, many(100)].map(Running::start);
    let servers = open_all(&running, PATIENT).expect("connected");
    let mut stream = servers.stream(&request(8), 3).expect("a stream");
    assert_eq!(steps(&mut stream), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_server_that_is_not_there_at_first_is_left_out_and_used_when_it_comes() {
    let late = closed_port();
    let first = Running::start(many(100_000));
    let servers = Servers::open(&format!("{},{late}", first.address), PATIENT).expect("one is there");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    for step in 0..10 {
        assert_eq!(
            stream.next_batch().expect("no error").expect("a batch").step,
            step
        );
    }
    let fake_server = many(100_000);
    let requests = Arc::clone(&fake_server.requests);
    let _second = Running::start_at(late, fake_server);
    let is_asked = || !requests.lock().expect("no panic").is_empty();
    let mut step = 10;
    while !is_asked() {
        assert_eq!(
            stream.next_batch().expect("no error").expect("a batch").step,
            step
        );
        step += 1;
    }
}

#[test]
fn the_only_server_may_be_restarted() {
    let first = Running::start(FakeServer {
        stops_at: Some(5),
        ..many(9)
    });
    let servers = open_all(std::slice::from_ref(&first), PATIENT).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    for step in 0..5 {
        assert_eq!(
            stream.next_batch().expect("no error").expect("a batch").step,
            step
        );
    }
    let address = first.address;
    drop(first);
    let _second = Running::start_at(address, many(9));
    assert_eq!(steps(&mut stream), [5, 6, 7, 8]);
}

#[test]
fn a_stream_is_opened_on_the_only_server_once_that_is_back() {
    let first = Running::start(many(3));
    let servers = open_all(std::slice::from_ref(&first), PATIENT).expect("connected");
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
fn a_refusal_that_waiting_does_not_mend_ends_a_stream_at_once() {
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
        let servers = open_all(std::slice::from_ref(&running), PATIENT).expect("connected");
        let mut stream = servers.stream(&request(8), 2).expect("a stream");
        let deadline = PATIENT.retry_for / 3;
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
fn a_server_that_is_full_is_asked_again() {
    let fake_server = FakeServer {
        stops_at: Some(2),
        refusal: Code::ResourceExhausted,
        ..many(9)
    };
    let first = Running::start(fake_server);
    let servers = open_all(std::slice::from_ref(&first), PATIENT).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    for step in 0..2 {
        assert_eq!(
            stream.next_batch().expect("no error").expect("a batch").step,
            step
        );
    }
    let address = first.address;
    drop(first);
    let _second = Running::start_at(address, many(9));
    assert_eq!(steps(&mut stream), (2..9).collect::<Vec<_>>());
}

#[test]
fn a_server_that_owes_a_batch_is_overtaken_by_another() {
    let stalling = FakeServer {
        stalls_at: Some(4),
        ..many(30)
    };
    let running = [many(30), stalling].map(Running::start);
    let impatient = RetryPolicy {
        stall: Duration::from_millis(50),
        ..PATIENT
    };
    let servers = open_all(&running, impatient).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    assert_eq!(steps(&mut stream), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_server_with_other_files_is_refused_with_what_differs() {
    let other = FakeServer { files: 8, ..many(10) };
    let running = [many(10), other].map(Running::start);
    let servers = open_all(&running, PATIENT).expect("connected");
    let message = servers.stream(&request(8), 2).expect_err("different").to_string();
    assert!(message.contains("class bird has"), "{message}");
    assert!(message.contains("images in its train split"), "{message}");
}

#[test]
fn a_server_that_comes_back_with_other_files_is_not_used() {
    let stopping = FakeServer {
        stops_at: Some(5),
        ..many(9)
    };
    let first = Running::start(stopping);
    let hasty = RetryPolicy {
        retry_for: Duration::from_secs(1),
        ..PATIENT
    };
    let servers = open_all(std::slice::from_ref(&first), hasty).expect("connected");
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
