//! A long time with everything going wrong at once.
//!
//! Three servers share a folder with some broken files. Clients ask all three for streams of random form, break some off and go on from the
//! token; one reader of large batches hardly reads; one client talks nonsense. Meanwhile servers are killed, stopped, and made to stand still.
//! Every batch is compared with that of a server in this process, which nothing happens to.

mod report;
mod trainer;
mod trouble;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

pub use report::Report;

use crate::{images::ImageFolder, process::ServerProcess};

/// How long, and which trouble.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For this long.
    pub time: Duration,
    /// Equal seeds make equal requests; what they meet differs, as processes are never alike twice.
    pub seed: u64,
}

/// Clients that compare what they get.
const TRAINERS: u64 = 3;
/// Files with spoilt pixels.
const CORRUPT: [(&str, usize); 4] = [("birds", 3), ("flowers", 8), ("flowers", 31), ("trees", 2)];
/// What each server may use.
const OPTIONS: [&str; 10] = [
    "--threads",
    "1",
    "--cache-bytes",
    "1MiB",
    "--stream-bytes",
    "8MiB",
    "--max-broken",
    "0.4",
    // Quarantined files are expected here.
    "--log",
    "error",
];

/// Makes the trouble and reports what came of it.
///
/// # Errors
///
/// Where a thread panicked, or the harness itself failed.
pub fn soak(settings: &Settings) -> Result<Report> {
    let images = ImageFolder::new(&[("birds", 12), ("flowers", 60), ("trees", 25)]);
    for (class, index) in CORRUPT {
        images.corrupt(class, index).context("spoiling a file")?;
    }
    let mut servers: Vec<ServerProcess> = (0..3)
        .map(|_| ServerProcess::start(images.root(), &OPTIONS))
        .collect();
    let addresses: Vec<String> = servers.iter().map(|server| server.address.clone()).collect();
    let is_over = AtomicBool::new(false);
    let mut report = Report::new(CORRUPT.len());
    let (addresses, is_over) = (&addresses[..], &is_over);
    thread::scope(|scope| {
        let dice = |purpose: u64| ChaCha8Rng::seed_from_u64(settings.seed ^ (purpose << 32));
        let mut trainers = vec![];
        for number in 0..TRAINERS {
            let (root, dice) = (images.root(), dice(number));
            trainers.push(scope.spawn(move || trainer::run(addresses, root, is_over, dice)));
        }
        let (slow, senseless) = (dice(100), dice(101));
        let nuisances = [
            scope.spawn(move || trouble::read_slowly(addresses, is_over, slow)),
            scope.spawn(move || trouble::talk_nonsense(addresses, is_over, senseless)),
        ];
        let end = Instant::now() + settings.time;
        let trouble = trouble::make(&mut servers, images.root(), end, dice(102));
        is_over.store(true, Ordering::Relaxed);
        report.trouble(&trouble?);
        for trainer in trainers {
            report.trained(trainer.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        for nuisance in nuisances {
            report.annoyed(nuisance.join().map_err(|_| anyhow!("a nuisance panicked"))??);
        }
        Ok(report)
    })
}
