use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::sampling::Schedule;

fn members(counts: &[usize]) -> Arc<[Vec<u32>]> {
    let mut next = 0_u32;
    counts
        .iter()
        .map(|&count| {
            let start = next;
            next += count as u32;
            (start..next).collect()
        })
        .collect()
}

fn spec(counts: &[usize], batch_size: u32) -> PlanSpec {
    PlanSpec {
        members: members(counts),
        balance: Balance::Oversample,
        images_per_epoch: None,
        batch_size,
        last_batch: LastBatch::Drop,
        order: Order::Shuffled,
        seed: 42,
    }
}

fn epoch(plan: &Plan, epoch: u64) -> Vec<Slot> {
    (0..plan.steps_per_epoch())
        .flat_map(|step| plan.batch(epoch, step))
        .collect()
}

fn uses(slots: &[Slot]) -> HashMap<u32, u64> {
    let mut uses = HashMap::new();
    for slot in slots {
        *uses.entry(slot.sample).or_default() += 1;
    }
    uses
}

fn class_counts(slots: &[Slot], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    for slot in slots {
        counts[slot.class as usize] += 1;
    }
    counts
}

#[test]
fn the_rare_class_is_drawn_as_often_as_the_common_one() {
    let plan = Plan::new(spec(&[160, 16], 64)).unwrap();
    assert_eq!(
        (plan.steps_per_epoch(), plan.draws_per_class()),
        (5, &[160, 160][..])
    );
    for step in 0..5 {
        assert_eq!(class_counts(&plan.batch(0, step), 2), [32, 32]);
    }
    let uses = uses(&epoch(&plan, 0));
    assert!((0..160).all(|flower| uses[&flower] == 1) && (160..176).all(|bird| uses[&bird] == 10));
}

#[test]
fn sequential_order_shows_each_image_once_in_order() {
    let spec = PlanSpec {
        balance: Balance::Natural,
        last_batch: LastBatch::Keep,
        order: Order::Sequential,
        ..spec(&[5, 3], 3)
    };
    let plan = Plan::new(spec.clone()).unwrap();
    assert_eq!(plan.steps_per_epoch(), 3);
    assert_eq!(plan.batch(9, 2).len(), 2);
    assert_eq!(
        epoch(&plan, 0).iter().map(|slot| slot.sample).collect::<Vec<_>>(),
        (0..8).collect::<Vec<_>>()
    );
    let refused = Plan::new(PlanSpec {
        balance: Balance::Oversample,
        ..spec
    });
    assert!(matches!(refused, Err(Error::SequentialOrder { .. })));
}

#[test]
fn an_epoch_smaller_than_a_batch_is_refused_unless_short_batches_are_kept() {
    let small = spec(&[3, 2], 64);
    let refused = Plan::new(small.clone()).unwrap_err();
    assert_eq!(
        refused,
        Error::EpochSmallerThanBatch {
            images: 6,
            batch_size: 64
        }
    );
    let kept = Plan::new(PlanSpec {
        last_batch: LastBatch::Keep,
        ..small.clone()
    })
    .unwrap();
    assert_eq!(class_counts(&epoch(&kept, 0), 2), [3, 3]);
    let wrapped = Plan::new(PlanSpec {
        last_batch: LastBatch::Wrap,
        ..small
    })
    .unwrap();
    assert_eq!(class_counts(&wrapped.batch(0, 0), 2), [32, 32]);
}

#[test]
fn epochs_and_seeds_have_different_orders() {
    let plan = Plan::new(spec(&[160, 16], 64)).unwrap();
    let other = Plan::new(PlanSpec {
        seed: 43,
        ..spec(&[160, 16], 64)
    })
    .unwrap();
    assert_eq!(plan.batch(3, 2), plan.batch(3, 2));
    assert_ne!(plan.batch(0, 0), plan.batch(1, 0));
    assert_ne!(plan.batch(0, 0), other.batch(0, 0));
}

#[test]
fn twenty_thousand_classes_have_exact_counts() {
    let counts: Vec<usize> = (0..20_000).map(|class| 1 + class % 7).collect();
    let plan = Plan::new(spec(&counts, 256)).unwrap();
    let slots = epoch(&plan, 1);
    // 140,000 draws fill 546 batches of 256; the 224 draws that do not are spread over as many classes.
    assert_eq!(slots.len(), 546 * 256);
    assert!(
        class_counts(&slots, 20_000)
            .iter()
            .all(|count| (6..=7).contains(count))
    );
    for batch in slots.chunks(256) {
        assert!(class_counts(batch, 20_000).iter().all(|count| *count <= 1));
    }
}

#[test]
fn ten_million_samples_are_planned_without_a_table() {
    let plan = Plan::new(spec(&vec![10_000; 1_000], 256)).unwrap();
    let first = plan.batch(1_000_000, 39_000);
    assert_eq!(first.len(), 256);
    assert!(class_counts(&first, 1_000).iter().all(|count| *count <= 1));
}

fn policies() -> impl Strategy<Value = Balance> {
    prop_oneof![
        Just(Balance::Oversample),
        Just(Balance::Undersample),
        Just(Balance::Natural),
        (0.0..=1.0).prop_map(Balance::Power),
        (0.0..0.9999).prop_map(Balance::Effective),
        prop::option::of(0.001..=1.0).prop_map(Balance::RepeatFactor),
    ]
}

fn schedules() -> impl Strategy<Value = Balance> {
    let at = prop::option::of(0.01..0.99);
    (policies(), policies(), at, 0_u32..5, 2_u32..12).prop_map(|(from, to, at, first, count)| {
        Balance::Schedule(Box::new(Schedule {
            from,
            to,
            at,
            epochs: Some(first..first + count),
        }))
    })
}

fn specs() -> impl Strategy<Value = PlanSpec> {
    let last_batch = prop_oneof![
        Just(LastBatch::Drop),
        Just(LastBatch::Keep),
        Just(LastBatch::Wrap)
    ];
    (
        prop::collection::vec(0_usize..40, 1..12),
        prop_oneof![3 => policies(), 1 => schedules()],
        1_u32..50,
        last_batch,
        any::<u64>(),
    )
        .prop_filter("some images", |(counts, ..)| {
            counts.iter().any(|count| *count > 0)
        })
        .prop_map(|(counts, balance, batch_size, last_batch, seed)| PlanSpec {
            balance,
            last_batch,
            seed,
            ..spec(&counts, batch_size)
        })
}

proptest! {
    #[test]
    fn slots_of_some_indices_equal_those_of_the_whole_batch(
        spec in specs(), number in 0_u64..1_000, world in 1_usize..9, rank in 0_usize..9, step: prop::sample::Index,
    ) {
        let Ok(plan) = Plan::new(spec) else { return Ok(()) };
        let step = step.index(plan.steps_per_epoch() as usize) as u64;
        let whole = plan.batch(number, step);
        let mut places: Vec<u64> = (rank % world..whole.len()).step_by(world).map(|place| place as u64).collect();
        places.reverse();
        let slots: Vec<Slot> = places.iter().map(|&place| whole[place as usize]).collect();
        prop_assert_eq!(plan.slots(number, step, &places), slots);
    }

    #[test]
    fn counts_are_exact_per_batch_and_per_epoch(spec in specs(), number in prop_oneof![0_u64..16, 0_u64..1_000_000]) {
        let classes = spec.members.len();
        let Ok(plan) = Plan::new(spec.clone()) else { return Ok(()) };
        let slots = epoch(&plan, number);
        let draws_per_class = plan.quotas().in_epoch(number);
        prop_assert_eq!(&class_counts(&slots, classes), &draws_per_class);
        prop_assert_eq!(slots.len() as u64, plan.images_per_epoch());
        let images = plan.images_per_epoch() as f64;
        for (step, batch) in slots.chunks(spec.batch_size as usize).enumerate() {
            prop_assert_eq!(batch.len() as u64, plan.batch_len(step as u64));
            for (count, draws) in class_counts(batch, classes).iter().zip(&draws_per_class) {
                let share = *draws as f64 / images * batch.len() as f64;
                prop_assert!((*count as f64 - share).abs() < 1.0 + 1e-9, "step {}: {} of {}", step, count, share);
            }
            for (place, slot) in batch.iter().enumerate() {
                prop_assert_eq!(slot.position, step as u64 * u64::from(spec.batch_size) + place as u64);
                prop_assert!(spec.members[slot.class as usize].contains(&slot.sample));
            }
        }
    }

    #[test]
    fn every_image_is_used_once_before_any_is_used_again(spec in specs(), first in 0_u64..1_000) {
        let Ok(plan) = Plan::new(spec.clone()) else { return Ok(()) };
        for number in first..first + 3 {
            let mut used: HashMap<u32, u64> = HashMap::new();
            let mut drawn = vec![0_u64; spec.members.len()];
            // The order within a batch is shuffled, so uses are compared after each batch.
            for batch in epoch(&plan, number).chunks(spec.batch_size as usize) {
                for slot in batch {
                    *used.entry(slot.sample).or_default() += 1;
                    drawn[slot.class as usize] += 1;
                }
                for (members, drawn) in spec.members.iter().zip(&drawn) {
                    let floor = drawn / members.len().max(1) as u64;
                    for member in members {
                        let uses = used.get(member).copied().unwrap_or(0);
                        prop_assert!(uses == floor || uses == floor + 1, "{} uses after {} draws of {}", uses, drawn, members.len());
                    }
                }
            }
        }
    }

    #[test]
    fn repetition_counts_earlier_uses_in_the_epoch(spec in specs(), number in 0_u64..1_000) {
        let Ok(plan) = Plan::new(spec) else { return Ok(()) };
        let mut seen: HashMap<u32, Vec<u64>> = HashMap::new();
        for step in 0..plan.steps_per_epoch() {
            let mut batch = plan.batch(number, step);
            // The order within a batch is shuffled.
            batch.sort_by_key(|slot| slot.repetition);
            for slot in batch {
                seen.entry(slot.sample).or_default().push(slot.repetition);
            }
        }
        for (sample, repetitions) in seen {
            let expected: Vec<u64> = (0..repetitions.len() as u64).collect();
            prop_assert_eq!(repetitions, expected, "sample {}", sample);
        }
    }

    #[test]
    fn over_epochs_uses_of_images_differ_by_at_most_one(spec in specs()) {
        let Ok(plan) = Plan::new(spec.clone()) else { return Ok(()) };
        let mut total: HashMap<u32, u64> = HashMap::new();
        for number in 0..8 {
            for (sample, count) in uses(&epoch(&plan, number)) {
                *total.entry(sample).or_default() += count;
            }
            for members in spec.members.iter().filter(|members| !members.is_empty()) {
                let uses = members.iter().map(|member| total.get(member).copied().unwrap_or(0));
                let (least, most) = (uses.clone().min().unwrap_or(0), uses.max().unwrap_or(0));
                prop_assert!(most - least <= 1, "between {} and {} uses", least, most);
            }
        }
    }

    /// Each epoch's draws from the definition: of an ordinary plan for either policy, and of fractions in between.
    #[test]
    fn schedules_draw_what_their_policies_predict_for_any_world_and_resumed_anywhere(
        spec in specs(), schedule in schedules(), world in 1_usize..9, resumed: prop::sample::Index,
    ) {
        let Balance::Schedule(schedule) = schedule else { unreachable!() };
        let policy = |balance: &Balance, images_per_epoch| {
            Plan::new(PlanSpec { balance: balance.clone(), images_per_epoch, ..spec.clone() })
        };
        let Ok(from) = policy(&schedule.from, None) else { return Ok(()) };
        let wanted: u64 = schedule.from.draws(&counts(&spec), None).unwrap().iter().sum();
        let to = policy(&schedule.to, Some(wanted)).unwrap();
        let scheduled = PlanSpec { balance: Balance::Schedule(schedule.clone()), ..spec.clone() };
        let plan = Plan::new(scheduled.clone()).unwrap();
        let epochs = schedule.epochs.clone().unwrap();
        let last = u64::from(epochs.end) - 1;
        let mut of_class = vec![0; spec.members.len()];
        for number in 0..=last + 2 {
            // 0 for the first policy, `steps` for the second.
            let steps = last - u64::from(epochs.start);
            let passed = number.clamp(u64::from(epochs.start), last) - u64::from(epochs.start);
            let passed = match schedule.at {
                None => passed,
                Some(at) => {
                    let of_first = ((at * (steps + 1) as f64).round() as u64).clamp(1, steps);
                    if passed < of_first { 0 } else { steps }
                }
            };
            let mut slots = vec![];
            for step in 0..plan.steps_per_epoch() {
                // As a server does that has just started, asked by each shard of a world.
                let fresh = Plan::new(scheduled.clone()).unwrap();
                let images = plan.batch_len(step) as usize;
                let mut batch = vec![None; images];
                for rank in 0..world {
                    let places: Vec<u64> = (rank..images).step_by(world).map(|place| place as u64).collect();
                    for (&place, slot) in places.iter().zip(fresh.slots(number, step, &places)) {
                        batch[place as usize] = Some(slot);
                    }
                }
                let batch: Vec<Slot> = batch.into_iter().map(Option::unwrap).collect();
                if step as usize == resumed.index(plan.steps_per_epoch() as usize) {
                    prop_assert_eq!(&plan.batch(number, step), &batch);
                }
                slots.extend(batch);
            }
            let found = class_counts(&slots, spec.members.len());
            let (mut before, mut exact_before) = (0, 0);
            for (class, &found) in found.iter().enumerate() {
                let (a, b) = (from.draws_per_class()[class] as i64, to.draws_per_class()[class] as i64);
                exact_before += (b - a) * passed as i64;
                // Rounded down over the classes so far.
                let sum = exact_before.div_euclid(steps as i64);
                prop_assert_eq!(found as i64, a + sum - before, "class {} in epoch {}", class, number);
                before = sum;
                of_class[class] += u128::from(found);
            }
            prop_assert_eq!(&plan.quotas().before_epoch(number + 1), &of_class);
        }
    }
}

fn counts(spec: &PlanSpec) -> Vec<u64> {
    spec.members.iter().map(|members| members.len() as u64).collect()
}
