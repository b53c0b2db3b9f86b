//! Whose turn it is, where some deserve more turns than others.
//!
//! Everyone has a clock of its own, which goes on by what its turns cost, divided by its weight. The one whose clock is furthest behind is
//! next. So over any length of time during which two of them wait, what they get is in proportion to their weights, but for one turn.
//!
//! What a turn costs is known only when it is over. It is charged when it begins, at what the ones before have cost on average, and settled
//! when it ends.
//!
//! # Source
//!
//! Start-time fair queuing: Goyal, Vin and Cheng, SIGCOMM 1996.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What a turn costs whose like has not been seen yet.
const INITIAL_COST: Duration = Duration::from_micros(100);
/// One turn in this many decides over the average.
const COST_AVERAGE_WINDOW: u64 = 8;

/// How much somebody deserves, and how much it had.
#[derive(Debug)]
pub(super) struct Flow {
    weight: u64,
    /// Its clock, in nanoseconds of a weight of one.
    clock: AtomicU64,
    /// Average cost of a turn, in nanoseconds; zero before the first.
    cost: AtomicU64,
}

impl Flow {
    /// Nothing had yet. A weight of zero counts as one.
    pub(super) fn new(weight: u32) -> Self {
        Self {
            weight: u64::from(weight.max(1)),
            clock: AtomicU64::new(0),
            cost: AtomicU64::new(0),
        }
    }

    /// A turn begins.
    fn charge(&self) -> Cost {
        let cost = match self.cost.load(Relaxed) {
            0 => INITIAL_COST.as_nanos() as u64,
            cost => cost,
        };
        let charge = (cost / self.weight).max(1);
        self.clock.fetch_add(charge, Relaxed);
        Cost(charge)
    }

    /// Something beside a turn has cost this much.
    pub(super) fn spend(&self, cost: Duration) {
        self.clock
            .fetch_add(cost.as_nanos() as u64 / self.weight, Relaxed);
    }

    /// What it deserves.
    pub(super) fn weight(&self) -> u32 {
        u32::try_from(self.weight).unwrap_or(u32::MAX)
    }

    /// Says whether it had more than it deserves, where the others had `now`.
    pub(super) fn is_ahead(&self, now: u64) -> bool {
        self.clock.load(Relaxed) > now
    }

    /// A turn has cost nothing.
    pub(super) fn refund(&self, Cost(charge): Cost) {
        self.clock.fetch_sub(charge, Relaxed);
    }

    /// A turn that ended has cost this much.
    pub(super) fn settle(&self, charge: Cost, cost: Duration) {
        let cost = (cost.as_nanos() as u64).max(1);
        self.clock.fetch_add((cost / self.weight).max(1), Relaxed);
        self.refund(charge);
        let average = match self.cost.load(Relaxed) {
            0 => cost,
            before => (before * (COST_AVERAGE_WINDOW - 1) + cost) / COST_AVERAGE_WINDOW,
        };
        // Of two turns that end at the same moment, one may go unnoticed here.
        self.cost.store(average.max(1), Relaxed);
    }
}

/// What was charged for a turn.
#[derive(Debug)]
#[must_use]
pub(super) struct Cost(u64);

/// One who may wait for a turn.
pub(super) trait Weighted {
    /// What it deserves.
    fn flow(&self) -> &Flow;
}

/// Those who wait for a turn.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    waiting: BinaryHeap<Reverse<QueueEntry<T>>>,
    /// The clock of the one who had the last turn: who comes back after a while does not get what it did not wait for.
    now: u64,
    arrivals: u64,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            waiting: BinaryHeap::new(),
            now: 0,
            arrivals: 0,
        }
    }
}

impl<T: Weighted> FairQueue<T> {
    /// Waits for a turn, behind those whose clocks stand alike.
    pub(super) fn join(&mut self, item: T) {
        let flow = item.flow();
        let clock = flow.clock.load(Relaxed).max(self.now);
        flow.clock.store(clock, Relaxed);
        self.arrivals += 1;
        self.waiting.push(Reverse(QueueEntry {
            clock,
            arrival: self.arrivals,
            item,
        }));
    }

    /// The next one, and what it is charged for the turn.
    pub(super) fn next(&mut self) -> Option<(T, Cost)> {
        let Reverse(QueueEntry { clock, item, .. }) = self.waiting.pop()?;
        self.now = self.now.max(clock);
        let charge = item.flow().charge();
        Some((item, charge))
    }

    /// Says that nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The clock of the one who had the last turn.
    pub(super) fn now(&self) -> u64 {
        self.now
    }
}

#[derive(Debug)]
struct QueueEntry<T> {
    clock: u64,
    arrival: u64,
    item: T,
}

impl<T> QueueEntry<T> {
    fn place(&self) -> (u64, u64) {
        (self.clock, self.arrival)
    }
}

impl<T> PartialEq for QueueEntry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl<T> Eq for QueueEntry<T> {}

impl<T> PartialOrd for QueueEntry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for QueueEntry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One of several, by number.
    #[derive(Clone, Copy)]
    struct Entry<'a>(&'a Flow, usize);

    impl Weighted for Entry<'_> {
        fn flow(&self) -> &Flow {
            self.0
        }
    }

    /// The numbers of those who get the next `count` turns, and want another one each time.
    fn order(queue: &mut FairQueue<Entry<'_>>, count: usize) -> Vec<usize> {
        let mut turn = || {
            let (entry, _) = queue.next().expect("nobody leaves");
            queue.join(entry);
            entry.1
        };
        (0..count).map(|_| turn()).collect()
    }

    /// What each got, in microseconds, when `turns` turns were given to those of these weights and costs.
    fn given(flows_and_costs: &[(u32, u64)], turns: u64) -> Vec<u64> {
        let flows: Vec<Flow> = flows_and_costs
            .iter()
            .map(|(weight, _)| Flow::new(*weight))
            .collect();
        let mut queue = FairQueue::default();
        for (index, flow) in flows.iter().enumerate() {
            queue.join(Entry(flow, index));
        }
        let mut given = vec![0; flows.len()];
        for _ in 0..turns {
            let (Entry(flow, index), charge) = queue.next().expect("nobody leaves");
            let cost = flows_and_costs[index].1;
            flow.settle(charge, Duration::from_micros(cost));
            given[index] += cost;
            queue.join(Entry(flow, index));
        }
        given
    }

    #[test]
    fn equals_take_turns() {
        let flows = [Flow::new(1), Flow::new(1), Flow::new(1)];
        let mut queue = FairQueue::default();
        (0..3).for_each(|index| queue.join(Entry(&flows[index], index)));
        assert_eq!(order(&mut queue, 9), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_weight_of_three_is_three_turns_to_one() {
        assert_eq!(given(&[(3, 100), (1, 100)], 400), [30_000, 10_000]);
    }

    #[test]
    fn who_was_away_gets_no_more_than_the_others_from_then_on() {
        let (busy, late) = (Flow::new(1), Flow::new(1));
        let mut queue = FairQueue::default();
        queue.join(Entry(&busy, 0));
        let _alone = order(&mut queue, 1000);
        queue.join(Entry(&late, 1));
        assert_eq!(order(&mut queue, 6), [1, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn a_turn_that_took_long_is_paid_for_once() {
        let (slow, other) = (Flow::new(1), Flow::new(1));
        let mut queue = FairQueue::default();
        queue.join(Entry(&slow, 0));
        queue.join(Entry(&other, 1));
        let mut turns = [0, 0];
        for turn in 0..10_000 {
            let (Entry(flow, index), charge) = queue.next().expect("nobody leaves");
            let cost = if turn == 0 { 1000 } else { 1 };
            flow.settle(charge, Duration::from_millis(cost));
            turns[index] += 1;
            queue.join(Entry(flow, index));
        }
        // One of 1000 ms and 4501 of 1 ms, or 5499 of 1 ms.
        assert!(
            turns[1] - turns[0] >= 990 && turns[1] - turns[0] <= 1010,
            "{turns:?}"
        );
    }

    proptest! {
        /// Of any two, one is ahead of the other by no more than a turn of each.
        #[test]
        fn what_all_get_is_in_proportion_to_their_weights(
            flows_and_costs in prop::collection::vec((1_u32..=100, 50_u64..=5000), 2..8),
        ) {
            let given = given(&flows_and_costs, 20_000);
            let clock = |index: usize| given[index] as f64 / f64::from(flows_and_costs[index].0);
            let turn = |index: usize| flows_and_costs[index].1 as f64 / f64::from(flows_and_costs[index].0);
            for one in 0..flows_and_costs.len() {
                for other in 0..one {
                    let ahead = (clock(one) - clock(other)).abs();
                    // Clocks go in whole nanoseconds: 20,000 turns lose up to 20 microseconds.
                    prop_assert!(
                        ahead <= turn(one) + turn(other) + 20.0,
                        "{:?} and {:?}: {} and {}", flows_and_costs[one], flows_and_costs[other], given[one], given[other]
                    );
                }
            }
        }
    }
}
