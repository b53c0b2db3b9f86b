//! Everything that is compared, by turns.

use std::fmt;

use super::{
    Error, Options,
    meter::{Cost, median},
};

/// Makes about so many batches and says what they cost.
type Work = Box<dyn FnMut(u64) -> Result<Cost, Error>>;

/// Whatever takes turns.
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
    /// Lets `work` take turns. Its figures begin with `name`.
    pub(super) fn join(
        &mut self,
        name: &'static str,
        work: impl FnMut(u64) -> Result<Cost, Error> + 'static,
    ) {
        let work = Box::new(work);
        self.0.push(Entry { name, work });
    }

    /// Says whether work of that name takes turns.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|turn| turn.name == name)
    }

    /// Each one once, to warm up and to see how many batches a turn's time is, and then all of them in each round.
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

/// What each turn cost, in the order of the rounds.
#[derive(Debug)]
pub(super) struct Rounds(Vec<(&'static str, Vec<Cost>)>);

impl Rounds {
    /// Everything that took turns, with its costs.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &[Cost])> {
        self.0.iter().map(|(name, costs)| (*name, &costs[..]))
    }

    /// The median over the rounds of what `figure` makes of the costs of `names`; `None` where one of them took no turns.
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
