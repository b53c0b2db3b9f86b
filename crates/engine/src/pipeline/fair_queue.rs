//! Weighted fair queue (start-time fair queueing).
//!
//! Each flow has a virtual clock that advances by the cost of its turns divided by its weight. The flow with the lowest clock is next. So over
//! any interval in which two flows are backlogged, their service is in proportion to their weights, to within one turn.
//!
//! The cost of a turn is known only when it ends. A turn is charged when it starts, at the average cost of the earlier ones, and settled when it
//! ends.
//!
//! Start-time fair queuing: Goyal, Vin and Cheng, SIGCOMM 1996.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Assumed cost of a flow's first turn.
const INITIAL_COST: Duration = Duration::from_micros(100);
/// Window of the moving average of costs, in turns.
const COST_AVERAGE_WINDOW: u64 = 8;

/// Weight and virtual clock of one member of a [`FairQueue`].
#[derive(Debug)]
pub(super) struct Flow {
    weight: u64,
    /// Virtual time: nanoseconds of service divided by the weight.
    clock: AtomicU64,
    /// Average cost of a turn, in nanoseconds; zero before the first.
    cost: AtomicU64,
}

impl Flow {
    /// A flow that has had no service. A weight of 0 counts as 1.
    pub(super) fn new(weight: u32) -> Self {
        Self {
            weight: u64::from(weight.max(1)),
            clock: AtomicU64::new(0),
            cost: AtomicU64::new(0),
        }
    }

    /// Starts a turn: advances the clock by its expected cost.
    fn charge(&self) -> Cost {
        let cost = match self.cost.load(Relaxed) {
            0 => INITIAL_COST.as_nanos() as u64,
            cost => cost,
        };
        let charge = (cost / self.weight).max(1);
        self.clock.fetch_add(charge, Relaxed);
        Cost(charge)
    }

    /// Advances the clock by a cost that is not part of a turn.
    pub(super) fn spend(&self, cost: Duration) {
        self.clock
            .fetch_add(cost.as_nanos() as u64 / self.weight, Relaxed);
    }

    pub(super) fn weight(&self) -> u32 {
        u32::try_from(self.weight).unwrap_or(u32::MAX)
    }

    /// Whether it has had more than its share, at the queue's virtual time `now`.
    pub(super) fn is_ahead(&self, now: u64) -> bool {
        self.clock.load(Relaxed) > now
    }

    /// Takes back what was charged for a turn that did nothing.
    pub(super) fn refund(&self, Cost(charge): Cost) {
        self.clock.fetch_sub(charge, Relaxed);
    }

    /// Ends a turn: replaces the expected by the actual cost.
    pub(super) fn settle(&self, charge: Cost, cost: Duration) {
        let cost = (cost.as_nanos() as u64).max(1);
        self.clock.fetch_add((cost / self.weight).max(1), Relaxed);
        self.refund(charge);
        let average = match self.cost.load(Relaxed) {
            0 => cost,
            before => (before * (COST_AVERAGE_WINDOW - 1) + cost) / COST_AVERAGE_WINDOW,
        };
        // If two turns end at the same moment, one of them may be lost to the average.
        self.cost.store(average.max(1), Relaxed);
    }
}

/// The amount charged for a turn that has not ended.
#[derive(Debug)]
#[must_use]
pub(super) struct Cost(u64);

/// A member of a [`FairQueue`].
pub(super) trait Weighted {
    /// Its weight and clock.
    fn flow(&self) -> &Flow;
}

impl<T: Weighted> Weighted for Arc<T> {
    fn flow(&self) -> &Flow {
        (**self).flow()
    }
}

/// Backlogged flows, by virtual clock.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    waiting: BinaryHeap<Reverse<QueueEntry<T>>>,
    /// Virtual time: the clock of the flow served last. A flow that was idle starts from here, so that idle time earns no credit.
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
    /// Adds an item, behind those with the same clock.
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

    /// Removes the next item, and charges its flow for a turn.
    pub(super) fn next(&mut self) -> Option<(T, Cost)> {
        let Reverse(QueueEntry { clock, item, .. }) = self.waiting.pop()?;
        self.now = self.now.max(clock);
        let charge = item.flow().charge();
        Some((item, charge))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Virtual time: the clock of the flow served last.
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

    /// A flow and its number.
    #[derive(Clone, Copy)]
    struct Entry<'a>(&'a Flow, usize);

    impl Weighted for Entry<'_> {
        fn flow(&self) -> &Flow {
            self.0
        }
    }

    /// The numbers of the flows that get the next `count` turns if each is enqueued again at once.
    fn order(queue: &mut FairQueue<Entry<'_>>, count: usize) -> Vec<usize> {
        let mut turn = || {
            let (entry, _) = queue.next().expect("all flows are enqueued again");
            queue.join(entry);
            entry.1
        };
        (0..count).map(|_| turn()).collect()
    }

    /// Microseconds of service per flow after `turns` turns, given their weights and costs.
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
            let (Entry(flow, index), charge) = queue.next().expect("all flows are enqueued again");
            let cost = flows_and_costs[index].1;
            flow.settle(charge, Duration::from_micros(cost));
            given[index] += cost;
            queue.join(Entry(flow, index));
        }
        given
    }

    #[test]
    fn equal_weights_alternate() {
        let flows = [Flow::new(1), Flow::new(1), Flow::new(1)];
        let mut queue = FairQueue::default();
        (0..3).for_each(|index| queue.join(Entry(&flows[index], index)));
        assert_eq!(order(&mut queue, 9), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_weight_of_three_gets_three_turns_to_one() {
        assert_eq!(given(&[(3, 100), (1, 100)], 400), [30_000, 10_000]);
    }

    #[test]
    fn an_idle_flow_earns_no_credit() {
        let (busy, late) = (Flow::new(1), Flow::new(1));
        let mut queue = FairQueue::default();
        queue.join(Entry(&busy, 0));
        let _alone = order(&mut queue, 1000);
        queue.join(Entry(&late, 1));
        assert_eq!(order(&mut queue, 6), [1, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn a_long_turn_is_charged_once() {
        let (slow, other) = (Flow::new(1), Flow::new(1));
        let mut queue = FairQueue::default();
        queue.join(Entry(&slow, 0));
        queue.join(Entry(&other, 1));
        let mut turns = [0, 0];
        for turn in 0..10_000 {
            let (Entry(flow, index), charge) = queue.next().expect("all flows are enqueued again");
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
        /// Any two flows differ by at most one turn of each.
        #[test]
        fn service_is_in_proportion_to_weights(
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
