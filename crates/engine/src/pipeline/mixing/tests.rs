//! Mixing from natural: quotas, label weights, shards and resuming, against their definitions.

use proptest::prelude::*;

use super::*;
use crate::{
    augment::Recipe,
    pipeline::sample_task::mixed,
    sampling::{LastBatch, Schedule},
};

fn members(counts: &[usize]) -> Arc<[Vec<u32>]> {
    let mut next = 0..;
    counts
        .iter()
        .map(|&count| next.by_ref().take(count).collect())
        .collect()
}

fn policies() -> impl Strategy<Value = Balance> {
    prop_oneof![
        Just(Balance::Oversample),
        Just(Balance::Undersample),
        Just(Balance::Natural),
        (0.0..=1.0).prop_map(Balance::Power),
        Just(Balance::Schedule(Box::new(Schedule::progressive()))),
    ]
}

fn recipes() -> impl Strategy<Value = String> {
    let part = |name: &'static str| {
        (0.05_f32..3.0, prop_oneof![2 => Just(1.0_f32), 1 => 0.1_f32..1.0])
            .prop_map(move |(alpha, p)| format!("{name}({alpha},p={p},from=natural)"))
    };
    prop_oneof![
        part("mixup"),
        part("cutmix"),
        (part("mixup"), part("cutmix")).prop_map(|(one, other)| format!("{one} {other}")),
    ]
}

/// A request, and the training images of its split.
fn streams() -> impl Strategy<Value = (StreamSpec, Arc<[Vec<u32>]>)> {
    let last_batch = prop_oneof![
        Just(LastBatch::Drop),
        Just(LastBatch::Keep),
        Just(LastBatch::Wrap)
    ];
    let counts = prop::collection::vec(0_usize..30, 1..8)
        .prop_filter("some images", |counts| counts.iter().any(|count| *count > 0));
    let images = prop::option::of(1_u64..200);
    let request = (policies(), recipes(), images, 1_u32..24, last_batch, any::<u64>());
    (counts, request).prop_map(|(counts, request)| {
        let (balance, recipe, images_per_epoch, batch_size, last_batch, seed) = request;
        let spec = StreamSpec::train("pictures")
            .seed(seed)
            .epochs(4)
            .batch_size(batch_size)
            .image_size(32)
            .recipe(recipe.parse().unwrap())
            .balance(balance.over(4));
        let spec = StreamSpec {
            images_per_epoch,
            last_batch,
            ..spec
        };
        (spec, members(&counts))
    })
}

fn counted(slots: impl IntoIterator<Item = Slot>, classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    slots
        .into_iter()
        .for_each(|slot| counts[slot.class as usize] += 1);
    counts
}

/// The weights of all labels by class. Exact: a weight has 24 bits.
fn label_weights(portion: &Portion, size: u32, classes: usize) -> Vec<f64> {
    let mut weights = vec![0.0; classes];
    let labels = mixed(portion, size).expect("a mixed batch");
    for (slot, mixed) in portion.slots.iter().zip(labels) {
        weights[slot.class as usize] += 1.0 - f64::from(mixed.weight);
        weights[mixed.label as usize] += f64::from(mixed.weight);
    }
    weights
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn label_weights_are_what_both_quotas_predict((spec, members) in streams(), epochs in 1_u64..5) {
        let Ok(plans) = Plans::new(&spec, &members) else { return Ok(()) };
        let (classes, size) = (members.len(), spec.tensor.size);
        let plain_spec = StreamSpec { recipe: Recipe::none(), ..spec.clone() };
        let plain = Plans::new(&plain_spec, &members).unwrap();
        let images = plain.balanced.images_per_epoch();
        let counts: Vec<u64> = members.iter().map(|members| members.len() as u64).collect();
        let natural_quota = Balance::Natural.draws(&counts, Some(images)).unwrap();
        let mut uses = std::collections::HashMap::<u32, u64>::new();
        for epoch in 0..epochs {
            let balanced_quota = plain.balanced.quotas().in_epoch(epoch);
            let (mut natural_drawn, mut is_always_mixed) = (vec![0; classes], true);
            let mut balanced_drawn = vec![0; classes];
            for step in 0..plans.steps_per_epoch() {
                let position = Position { epoch, step };
                let whole = portion(&spec, &plans, position, Shard::WHOLE);
                // The images of the balance are those of the same stream without mixing.
                let expected = portion(&plain_spec, &plain, position, Shard::WHOLE).slots;
                prop_assert_eq!(whole.slots.len(), expected.len());
                let natural = counted(whole.slots.iter().copied(), classes);
                let balanced = counted(expected.iter().copied(), classes);
                let weights: Vec<f64> = whole.partners.iter()
                    .map(|partner| partner.map_or(0.0, |partner| partner.blend.weight(size).into())).collect();
                prop_assert!(weights.iter().all(|weight| *weight == weights[0]), "one weight: {:?}", weights);
                let weight = weights[0];
                for (class, found) in label_weights(&whole, size, classes).into_iter().enumerate() {
                    let predicted = (1.0 - weight) * natural[class] as f64 + weight * balanced[class] as f64;
                    prop_assert_eq!(found, predicted, "class {} of step {}", class, step);
                    let share = natural_quota[class] as f64 * expected.len() as f64 / images as f64;
                    prop_assert!((natural[class] as f64 - share).abs() < 1.0 + 1e-9, "{} for {}", natural[class], share);
                    natural_drawn[class] += natural[class];
                }
                for (slot, (partner, drawn)) in whole.slots.iter().zip(whole.partners.iter().zip(&expected)) {
                    *uses.entry(slot.sample).or_default() += 1;
                    prop_assert!(slot.position < images);
                    let Some(partner) = partner else { is_always_mixed = false; continue };
                    balanced_drawn[partner.slot.class as usize] += 1;
                    // No image has the augmentation of another one.
                    prop_assert_eq!(partner.slot, Slot { position: drawn.position + images, ..*drawn });
                }
            }
            prop_assert_eq!(&natural_drawn, &natural_quota, "epoch {}", epoch);
            if is_always_mixed {
                prop_assert_eq!(&balanced_drawn, &balanced_quota, "epoch {}", epoch);
            }
            for members in members.iter().filter(|members| !members.is_empty()) {
                let uses = members.iter().map(|member| uses.get(member).copied().unwrap_or(0));
                let (least, most) = (uses.clone().min().unwrap(), uses.max().unwrap());
                prop_assert!(most - least <= 1, "between {} and {} uses of natural images", least, most);
            }
        }
    }

    #[test]
    fn shards_of_any_world_resumed_anywhere_are_parts_of_the_same_batches(
        (spec, members) in streams(), world in 1_u32..9, epoch in 0_u64..1_000, step: prop::sample::Index,
    ) {
        let Ok(plans) = Plans::new(&spec, &members) else { return Ok(()) };
        let position = Position { epoch, step: step.index(plans.steps_per_epoch() as usize) as u64 };
        let whole = portion(&spec, &plans, position, Shard::WHOLE);
        for rank in 0..world {
            let shard = Shard { world, rank };
            // A server that has planned nothing else.
            let fresh = Plans::new(&spec, &members).unwrap();
            let part = portion(&spec, &fresh, position, shard);
            let places: Vec<usize> = (0..shard.share(whole.slots.len())).map(|index| shard.place(index)).collect();
            let expected = Portion {
                slots: places.iter().map(|&place| whole.slots[place]).collect(),
                partners: places.iter().map(|&place| whole.partners[place]).collect(),
            };
            prop_assert_eq!(part, expected, "shard {} of {}", rank, world);
        }
    }
}

#[test]
fn natural_images_come_from_a_plan_with_its_own_key() {
    let members = members(&[400, 400]);
    let spec = StreamSpec::train("pictures")
        .balance(Balance::Natural)
        .recipe("cutmix(from=natural)".parse().unwrap());
    let plans = Plans::new(&spec, &members).unwrap();
    let portion = portion(&spec, &plans, Position::default(), Shard::WHOLE);
    let same = portion.slots.iter().zip(&portion.partners);
    let same =
        same.filter(|(slot, partner)| partner.is_some_and(|partner| partner.slot.sample == slot.sample));
    assert!(same.count() < 4, "of 64 images drawn from 800");
}

#[test]
fn mixing_from_natural_needs_a_shuffled_order() {
    let spec = StreamSpec {
        order: Order::Sequential,
        ..StreamSpec::train("pictures")
            .balance(Balance::Natural)
            .recipe("mixup(from=natural)".parse().unwrap())
    };
    let error = Plans::new(&spec, &members(&[80, 80])).unwrap_err();
    assert!(error.to_string().contains("from=natural"), "{error}");
}
