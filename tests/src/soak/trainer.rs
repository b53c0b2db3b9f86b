//! A client that compares its batches with those of an undisturbed server.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use equibatch_engine::pipeline::EngineConfig;
use equibatch_proto::v1::{
    StreamBatchesRequest,
    balance::{self, Policy},
};
use equibatch_stream::{Balance, Batch, BatchRequest, Error, Position, RetryPolicy, Servers, Split};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tokio::runtime::Runtime;

use super::report::{Phase, Trained};
use equibatch_harness::receive;
use equibatch_server_tests::memory::{MemoryServer, config, engine};

/// A long time to reconnect, and a short one for a stalled batch.
const RETRY: RetryPolicy = RetryPolicy {
    retry_for: Duration::from_secs(60),
    stall: Duration::from_secs(1),
};

/// Opens one stream after the other until `is_over`; hostile clients start at `calm_until`.
pub(super) fn run(
    addresses: &[String],
    root: &Path,
    (calm_until, is_over): (Instant, &AtomicBool),
    mut dice: ChaCha8Rng,
) -> Result<Trained> {
    let runtime = Runtime::new()?;
    let truth = runtime.block_on(async {
        let config = EngineConfig {
            max_broken: 0.4,
            ..config(1, 1 << 26)
        };
        MemoryServer::start(engine(root, config))
    });
    let mut trained = Trained::default();
    while !is_over.load(Ordering::Relaxed) {
        let request = random_request(&mut dice);
        let expected = runtime.block_on(async {
            let mut client = truth.client().await;
            receive::receive(&mut client, to_wire(&request)).await
        });
        let mut expected = expected.context("the undisturbed server")?;
        // The sample ids show the replacements of broken files; a client's batch has only their number.
        for batch in &mut expected.batches {
            batch.replacements.clear();
        }
        trained.streams += 1;
        let mut watch = Watch {
            calm_until,
            since: Instant::now(),
        };
        let followed = follow(
            addresses,
            (request, &expected.digests()),
            &mut dice,
            (&mut trained, &mut watch),
        );
        // Including the time for streams that could not be opened.
        watch.lap(&mut trained);
        if let Err(error) = followed {
            trained.failures.push(format!("{error:#}"));
        }
    }
    Ok(trained)
}

/// Measures the time of streams.
struct Watch {
    calm_until: Instant,
    since: Instant,
}

impl Watch {
    /// The counts of the current period, with the elapsed time added.
    fn lap<'a>(&mut self, trained: &'a mut Trained) -> &'a mut Phase {
        let now = Instant::now();
        let phase = if now < self.calm_until {
            &mut trained.alone
        } else {
            &mut trained.beside
        };
        phase.seconds += (now - self.since).as_secs_f64();
        self.since = now;
        phase
    }
}

/// Reads a stream to its end, perhaps in several parts.
fn follow(
    addresses: &[String],
    (mut request, expected): (BatchRequest, &[String]),
    dice: &mut ChaCha8Rng,
    (trained, watch): (&mut Trained, &mut Watch),
) -> Result<()> {
    let mut due = 0;
    while due < expected.len() {
        let mut stream = patiently(addresses, &request)?;
        let piece = if dice.random_bool(0.3) {
            dice.random_range(1..=expected.len())
        } else {
            usize::MAX
        };
        for _ in 0..piece {
            let asked = Instant::now();
            let Some(batch) = stream.next_batch()? else { break };
            let waited = asked.elapsed();
            trained.steps += 1;
            due = check(&batch, expected, due, trained);
            let phase = watch.lap(trained);
            phase.waits_ms.push(waited.as_secs_f64() * 1000.0);
            phase.images += batch.labels.len() as u64;
            request.start = Some(batch.next);
        }
        if piece == usize::MAX {
            break;
        }
        trained.resumed += 1;
    }
    trained.lost += expected.len().saturating_sub(due) as u64;
    Ok(())
}

/// Counts the errors of a batch, and returns the next step.
fn check(batch: &Batch, expected: &[String], due: usize, trained: &mut Trained) -> usize {
    let digest = receive::digest(&equibatch_proto::v1::Batch {
        epoch: batch.epoch,
        step: batch.step,
        labels: batch.labels.clone(),
        sample_ids: batch.samples.clone(),
        tensor: batch.tensor.clone(),
        ..equibatch_proto::v1::Batch::default()
    });
    let place = |text: &str| text.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
    let found = expected.iter().position(|one| place(one) == place(&digest));
    match found {
        Some(index) if index < due => {
            trained.repeated += 1;
            due
        }
        Some(index) => {
            trained.lost += (index - due) as u64;
            trained.wrong += u64::from(expected[index] != digest);
            index + 1
        }
        None => {
            trained.wrong += 1;
            due
        }
    }
}

/// Opens the stream, with retries while all three servers are down or full.
fn patiently(addresses: &[String], request: &BatchRequest) -> Result<equibatch_stream::BatchStream> {
    let give_up = Instant::now() + RETRY.retry_for;
    loop {
        let opened =
            Servers::open(&addresses.join(","), RETRY).and_then(|servers| servers.stream(request, 2));
        match opened {
            Ok(stream) => return Ok(stream),
            Err(error)
                if (error.is_unavailable() || matches!(error, Error::Full { .. }))
                    && Instant::now() < give_up =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn random_request(dice: &mut ChaCha8Rng) -> BatchRequest {
    let balances = [
        Balance::Oversample,
        Balance::Undersample,
        Balance::Natural,
        Balance::Power(0.5),
    ];
    BatchRequest {
        seed: dice.random(),
        epochs: dice.random_range(1..=6),
        start: None::<Position>,
        balance: Some(balances[dice.random_range(0..balances.len())].clone()),
        ..BatchRequest::evaluation(
            "pictures",
            Split::Train,
            dice.random_range(2..=9),
            dice.random_range(16..=96),
        )
    }
}

fn to_wire(request: &BatchRequest) -> StreamBatchesRequest {
    let policy = match request.balance {
        Some(Balance::Undersample) => Policy::Undersample(balance::Undersample {}),
        Some(Balance::Natural) => Policy::Natural(balance::Natural {}),
        Some(Balance::Power(exponent)) => Policy::Power(balance::Power { exponent }),
        _ => Policy::Oversample(balance::Oversample {}),
    };
    StreamBatchesRequest {
        split: "train".to_owned(),
        seed: request.seed,
        epochs: Some(request.epochs),
        batch_size: Some(request.batch_size),
        image_size: Some(request.image_size),
        balance: Some(equibatch_proto::v1::Balance { policy: Some(policy) }),
        ..StreamBatchesRequest::default()
    }
}
