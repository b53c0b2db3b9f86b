//! The soak test: many failures at once, for a long time.
//!
//! Three servers serve a folder with some broken files. Honest clients open streams with random options on all three, close some and resume from
//! the token. Meanwhile servers are killed, stopped and suspended. Every batch is compared with that of an undisturbed server in this process.
//! After a quarter of the time, each server also gets a hostile client of each [kind](Kind), with an address of its own.

mod failures;
mod report;
mod trainer;

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

pub use report::Report;

use equibatch_harness::{
    hostile::{Hostile, Kind},
    images::ImageFolder,
};

/// Duration and seed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The duration.
    pub time: Duration,
    /// Equal seeds give equal requests; timing differs between runs.
    pub seed: u64,
}

/// Servers.
const SERVERS: usize = 3;
/// Clients that compare their batches.
const TRAINERS: u64 = 3;
/// Files with damaged pixels.
const CORRUPT: [(&str, usize); 4] = [("birds", 3), ("flowers", 8), ("flowers", 31), ("trees", 2)];
/// The servers' limits.
const OPTIONS: [&str; 14] = [
    "--threads",
    "1",
    "--cache-bytes",
    "1MiB",
    "--stream-bytes",
    "8MiB",
    "--memory-bytes",
    "512MiB",
    "--max-world",
    "65536",
    "--max-broken",
    "0.4",
    // Quarantined files are expected here.
    "--log",
    "error",
];
/// Height and width of images in small files.
const BOMB: u32 = 3000;

/// Runs the soak test.
///
/// # Errors
///
/// If a thread panicked, or the test itself failed.
pub fn soak(settings: &Settings) -> Result<Report> {
    let classes = [("birds", 12), ("flowers", 60), ("trees", 25)];
    let (images, bombs) = (ImageFolder::new(&classes), ImageFolder::of_bombs(BOMB));
    for (class, index) in CORRUPT {
        images.corrupt(class, index).context("spoiling a file")?;
    }
    let operators = (0..SERVERS).map(|_| free_port()).collect::<Result<Vec<u16>>>()?;
    let options = |server: usize| {
        let own = [
            "--admin".to_owned(),
            format!("127.0.0.1:{}", operators[server]),
            "--data".to_owned(),
            format!("bombs={}", bombs.root().display()),
        ];
        OPTIONS.map(str::to_owned).into_iter().chain(own).collect()
    };
    let mut servers = failures::Servers::start(images.root(), (0..SERVERS).map(options).collect());
    let addresses = servers.addresses();
    let begun = Instant::now();
    let (calm_until, end) = (begun + settings.time / 4, begun + settings.time);
    let is_over = AtomicBool::new(false);
    let mut report = Report::new(CORRUPT.len());
    let (addresses, is_over) = (&addresses[..], &is_over);
    thread::scope(|scope| {
        let dice = |purpose: u64| ChaCha8Rng::seed_from_u64(settings.seed ^ (purpose << 32));
        let mut trainers = vec![];
        for number in 0..TRAINERS {
            let (root, dice) = (images.root(), dice(number));
            trainers.push(scope.spawn(move || trainer::run(addresses, root, (calm_until, is_over), dice)));
        }
        let mut hostile = vec![];
        for (server, address) in addresses.iter().enumerate() {
            for (number, kind) in (0_u8..).zip(Kind::ALL) {
                let client = Hostile {
                    kind,
                    address: Ipv4Addr::new(127, 0, 1, 1 + number),
                    server: address.parse().context("the address of a server")?,
                    operator: (Ipv4Addr::LOCALHOST, operators[server]).into(),
                    dataset: (
                        "pictures".to_owned(),
                        classes.map(|(class, _)| class.to_owned()).to_vec(),
                    ),
                    bombs: "bombs".to_owned(),
                };
                let dice = dice(100 + server as u64 * 100 + u64::from(number));
                let run = move || {
                    thread::sleep(calm_until.saturating_duration_since(Instant::now()));
                    client.run(is_over, dice)
                };
                hostile.push((kind, scope.spawn(run)));
            }
        }
        let failures = failures::make(&mut servers, end, dice(10));
        is_over.store(true, Ordering::Relaxed);
        report.failures(&failures);
        for trainer in trainers {
            report.trained(trainer.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        for (kind, client) in hostile {
            let rounds = client
                .join()
                .map_err(|_| anyhow!("a hostile client panicked: {kind:?}"))??;
            report.attacked(kind, rounds);
        }
        Ok(report)
    })
}

/// A free port.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
