//! The trainings of the arms, as far as the time allows.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{
    args::Tune,
    command::compare::{Outcome, Round, Study, trained_arm},
    learn::compare::{Ranking, TrainedArm},
};

/// Fewest arms that are kept if there is no time for all.
const MIN_ARMS: usize = 2;

/// An arm in the search.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial {
    pub(super) outcomes: Vec<Outcome>,
    /// Why it is not compared with the others, if it is not.
    pub(super) dropped: Option<String>,
}

/// The search, while it runs.
pub(super) struct Search<'a> {
    study: &'a Study<'a>,
    args: &'a Tune,
    pub(super) rounds: Vec<Round>,
    /// In the order of the study's arms.
    pub(super) candidates: Vec<Trial>,
    began: Instant,
    /// Time and number of the trainings so far.
    spent: (Duration, u32),
}

impl<'a> Search<'a> {
    pub(super) fn new(study: &'a Study<'a>, args: &'a Tune, rounds: Vec<Round>) -> Self {
        Self {
            study,
            args,
            rounds,
            candidates: vec![Trial::default(); study.arms.len()],
            began: Instant::now(),
            spent: (Duration::ZERO, 0),
        }
    }

    /// Trains until the time is up; returns whether it was not interrupted.
    pub(super) fn run(&mut self) -> Result<bool> {
        match self.rounds.iter().any(|round| round.has_fold()) {
            true => self.run_arms(),
            false => self.run_rounds(),
        }
    }

    /// Arm by arm, each for all rounds: with few rare images, arms can be compared on all of them only. Arms that are not behind others from the start
    /// come first.
    fn run_arms(&mut self) -> Result<bool> {
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        if !self.args.arms.is_empty() {
            order.sort_by_key(|&index| self.study.arms[index].arm.handicap());
        }
        for index in order {
            let mut longest = Duration::ZERO;
            for (done, round) in self.rounds.clone().into_iter().enumerate() {
                let arm = [&self.study.arms[index]];
                let remaining = self.rounds[done..].iter();
                let remaining: usize = remaining
                    .map(|&round| self.study.missing(arm.into_iter(), round))
                    .sum();
                if remaining > 0 && !self.has_time_for(remaining, longest) {
                    if done > 0 {
                        let reason = format!(
                            "stopped after {done} of {} folds: no time for all",
                            self.rounds.len()
                        );
                        self.candidates[index].dropped = Some(reason);
                    }
                    break;
                }
                let began = Instant::now();
                if !self.train(index, round)? {
                    return Ok(false);
                }
                longest = longest.max(began.elapsed());
            }
        }
        Ok(true)
    }

    /// Round by round, for all arms.
    fn run_rounds(&mut self) -> Result<bool> {
        for (number, round) in (1..).zip(self.rounds.clone()) {
            for index in 0..self.candidates.len() {
                if self.candidates[index].dropped.is_some() {
                    continue;
                }
                if !self.study.is_finished(&self.study.arms[index], round)
                    && !self.has_time_for(1, Duration::ZERO)
                {
                    return Ok(true);
                }
                if !self.train(index, round)? {
                    return Ok(false);
                }
            }
            self.drop_worse(number);
        }
        Ok(true)
    }

    /// Trains an arm in a round; returns whether it was not interrupted.
    fn train(&mut self, index: usize, round: Round) -> Result<bool> {
        let arm = &self.study.arms[index];
        let was_finished = self.study.is_finished(arm, round);
        let began = Instant::now();
        let Some(outcome) = self.study.run(arm, round)? else {
            return Ok(false);
        };
        if !was_finished {
            self.spent = (self.spent.0 + began.elapsed(), self.spent.1 + 1);
        }
        self.candidates[index].outcomes.push(outcome);
        Ok(true)
    }

    /// Whether `trainings` trainings and a final one end in time, if each takes as long as those before on average, and `least` at least.
    fn has_time_for(&self, trainings: usize, least: Duration) -> bool {
        let (time, count) = self.spent;
        let each = time.checked_div(count).unwrap_or(Duration::ZERO).max(least);
        let is_final_missing = self.rounds.iter().any(|round| round.has_fold());
        let trainings = u32::try_from(trainings).unwrap_or(u32::MAX) + u32::from(is_final_missing);
        let budget = Duration::from_secs_f64(self.args.minutes * 60.0);
        count == 0 || self.began.elapsed() + each.saturating_mul(trainings) <= budget
    }

    /// Drops the worse half of the arms after round `number` if there is no time to train all in the remaining rounds.
    fn drop_worse(&mut self, number: usize) {
        let remaining = &self.rounds[number..];
        let alive: Vec<usize> = (0..self.candidates.len())
            .filter(|&index| self.candidates[index].dropped.is_none())
            .collect();
        let trainings: usize = remaining
            .iter()
            .map(|&round| {
                self.study
                    .missing(alive.iter().map(|&index| &self.study.arms[index]), round)
            })
            .sum();
        if alive.len() <= MIN_ARMS || self.has_time_for(trainings, Duration::ZERO) {
            return;
        }
        let trained =
            |&index: &usize| trained_arm(&self.study.arms[index].arm, &self.candidates[index].outcomes);
        let trained: Vec<TrainedArm> = alive.iter().map(trained).collect();
        let ranking = Ranking::of(&trained, self.args.eval_metric.as_ref(), &self.study.classes());
        let kept = alive.len().div_ceil(2).max(MIN_ARMS);
        for &place in &ranking.order[kept..] {
            let reason = format!("dropped after round {number}: among the worse half, and no time for all");
            self.candidates[alive[place]].dropped = Some(reason);
        }
    }
}
