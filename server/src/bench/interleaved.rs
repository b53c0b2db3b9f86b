//! Runs benchmarks interleaved, so that a change in the machine's speed affects all of them alike.

use std::fmt;

use super::{
    error::Error,
    meter::{Cost, median},
    options::Options,
};

/// Runs about so many batches, and returns their cost.
type Work = Box<dyn FnMut(u64) -> Result<Cost, Error>>;

/// The benchmarks that are compared.
#[derive(Default)]
pub(super) struct Interleaved(Vec<Entry>);

struct Entry {
    name: &'static str,
    work: Work,
}

impl fmt::Debug for Interleaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|turn| turn.name))
            .finish()
    }
}

impl Interleaved {
    /// Adds a benchmark. The names of its metrics begin with `name`.
    pub(super) fn join(
        &mut self,
        name: &'static str,
        work: impl FnMut(u64) -> Result<Cost, Error> + 'static,
    ) {
        let work = Box::new(work);
        self.0.push(Entry { name, work });
    }

    /// Returns whether there is a benchmark of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|turn| turn.name == name)
    }

    /// Runs each benchmark once, to warm up and to estimate how many batches fill `options.seconds`; then all of them in each round.
    pub(super) fn take(mut self, options: &Options) -> Result<Rounds, Error> {
        let batch = f64::from(options.size.batch);
        let mut batches = vec![];
        for turn in &mut self.0 {
            let cost = (turn.work)(1)?;
            batches.push((cost.rate() * options.seconds / batch).round().max(1.0) as u64);
        }
        let mut rounds = Rounds(self.0.iter().map(|turn| (turn.name, vec![])).collect());
        for _ in 0..options.rounds.get() {
            for ((turn, batches), (_, costs)) in self.0.iter_mut().zip(&batches).zip(&mut rounds.0) {
                costs.push((turn.work)(*batches)?);
            }
        }
        Ok(rounds)
    }
}

/// Cost of each benchmark, by round.
#[derive(Debug)]
pub(super) struct Rounds(Vec<(&'static str, Vec<Cost>)>);

impl Rounds {
    /// All benchmarks with their costs.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &[Cost])> {
        self.0.iter().map(|(name, costs)| (*name, &costs[..]))
    }

    /// The median over the rounds of `figure`, computed from the costs of `names`; `None` if one of them did not run.
    pub(super) fn compare<const N: usize>(
        &self,
        names: [&str; N],
        figure: impl Fn([&Cost; N]) -> f64,
    ) -> Option<f64> {
        let all: Vec<&[Cost]> = names
            .iter()
            .map_while(|name| self.iter().find(|(other, _)| other == name))
            .map(|(_, costs)| costs)
            .collect();
        let all: [&[Cost]; N] = all.try_into().ok()?;
        let rounds = all.iter().map(|costs| costs.len()).min()?;
        Some(median(
            (0..rounds).map(|round| figure(all.map(|costs| &costs[round]))),
        ))
    }
}
