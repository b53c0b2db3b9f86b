use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

/// A stream that is always backlogged.
struct Endless {
    client: Arc<Client<Self>>,
    flow: Flow,
    /// Microseconds that a turn takes, and that its planning takes.
    cost: (u64, u64),
    had: AtomicU64,
}

impl Weighted for Endless {
    fn flow(&self) -> &Flow {
        &self.flow
    }
}

impl OfClient for Endless {
    fn client(&self) -> &Arc<Client<Self>> {
        &self.client
    }
}

fn stream(client: &Arc<Client<Endless>>, weight: u32, cost: (u64, u64)) -> Arc<Endless> {
    Arc::new(Endless {
        client: Arc::clone(client),
        flow: Flow::new(weight),
        cost,
        had: AtomicU64::new(0),
    })
}

/// Simulates this many workers until `streams` have had `total` microseconds of service together.
fn work(streams: &[Arc<Endless>], workers: usize, total: u64) {
    let mut queue = ClientQueue::default();
    for stream in streams {
        queue.join(Arc::clone(stream));
    }
    // With the time at which each turn ends.
    let mut busy: Vec<(u64, ScheduledStream<Endless>)> = vec![];
    let (mut now, mut worked) = (0, 0);
    while worked < total {
        while busy.len() < workers {
            let turn = queue.next().expect("all streams are enqueued again");
            let by_address = |stream: &&Arc<Endless>| Arc::ptr_eq(stream, &turn.task);
            let stream = streams.iter().find(by_address).expect("one of them");
            let (making, planning) = stream.cost;
            turn.spend(Duration::from_micros(planning));
            queue.join(Arc::clone(&turn.task));
            stream.had.fetch_add(making + planning, Ordering::Relaxed);
            worked += making + planning;
            busy.push((now + making + planning, turn));
        }
        let soonest = (0..busy.len())
            .min_by_key(|&worker| busy[worker].0)
            .expect("all work");
        let (ended, turn) = busy.swap_remove(soonest);
        now = ended;
        let made = streams
            .iter()
            .find(|stream| Arc::ptr_eq(stream, &turn.task))
            .expect("one of them");
        turn.settle(Duration::from_micros(made.cost.0));
    }
}

/// Fraction of all service that `client` had.
fn part(streams: &[Arc<Endless>], client: &Arc<Client<Endless>>) -> f64 {
    let had = |stream: &Arc<Endless>| stream.had.load(Ordering::Relaxed) as f64;
    let own = streams
        .iter()
        .filter(|stream| Arc::ptr_eq(&stream.client, client));
    own.map(had).sum::<f64>() / streams.iter().map(had).sum::<f64>()
}

#[test]
fn a_client_among_a_hundred_greedy_ones_keeps_its_share() {
    let honest = Client::new();
    let mut streams = vec![stream(&honest, 1, (1000, 0))];
    for number in 0..100 {
        let client = Client::new();
        // Many streams: with long turns, with very short ones, and with long planning.
        let cost = [(30_000, 0), (50, 0), (10, 12_000)][number % 3];
        streams.extend((0..31).map(|_| stream(&client, 1, cost)));
    }
    work(&streams, 2, 101 * 1_000_000);
    let part = part(&streams, &honest) * 101.0;
    assert!(part >= 0.8, "{part} of a fair share");
}

#[test]
fn reopening_a_stream_does_not_reset_its_clients_clock() {
    let (clients, mut queue) = (Clients::default(), ClientQueue::default());
    let other = Client::new();
    let short = stream(&other, 1, (0, 0));
    queue.join(Arc::clone(&short));
    let mut turns = [0, 0];
    for _ in 0..1000 {
        // One turn of a second each; then the stream is closed.
        let client = clients.named("greedy", queue.now());
        queue.join(stream(&client, 1, (0, 0)));
        loop {
            let turn = queue.next().expect("both wait");
            let is_greedy = Arc::ptr_eq(turn.task.client(), &client);
            turns[usize::from(is_greedy)] += 1;
            if is_greedy {
                turn.settle(Duration::from_secs(1));
                break;
            }
            queue.join(Arc::clone(&turn.task));
            turn.settle(Duration::from_millis(10));
        }
    }
    assert!(turns[0] >= 80 * turns[1], "{turns:?} turns of 10 ms and of 1 s");
}

#[test]
fn clients_without_streams_whose_clock_is_not_ahead_are_dropped() {
    let clients = Clients::<Endless>::default();
    let kept = clients.named("a", 0);
    for name in ["b", "c", "d"] {
        drop(clients.named(name, 0));
    }
    assert!(Arc::ptr_eq(&kept, &clients.named("a", 0)));
    let known = clients.0.lock().expect("no thread panicked");
    assert_eq!(known.len(), 1, "{known:?}");
}

proptest! {
    #[test]
    fn clients_share_by_weight_and_their_streams_divide_the_share(
        everyone in prop::collection::vec((1_u32..=8, 1_usize..6, 50_u64..5000), 2..8),
    ) {
        let mut streams = vec![];
        let clients: Vec<Arc<Client<Endless>>> = everyone.iter().map(|_| Client::new()).collect();
        for (client, &(weight, count, cost)) in clients.iter().zip(&everyone) {
            streams.extend((0..count).map(|_| stream(client, weight, (cost, 0))));
        }
        work(&streams, 1, 20_000_000);
        let weights: f64 = everyone.iter().map(|(weight, ..)| f64::from(*weight)).sum();
        for (client, &(weight, count, _)) in clients.iter().zip(&everyone) {
            let fair = f64::from(weight) / weights;
            let part = part(&streams, client);
            prop_assert!(part >= 0.95 * fair, "{part} instead of {fair}");
            let own = streams.iter().filter(|stream| Arc::ptr_eq(&stream.client, client));
            for stream in own {
                let had = stream.had.load(Ordering::Relaxed) as f64 / 20_000_000.0;
                prop_assert!(had >= 0.8 * fair / count as f64, "{had} of {fair} for {count}");
            }
        }
    }
}
