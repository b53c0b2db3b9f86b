use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::cache::CatalogId;
use crate::dataset::Split;

fn key(sample: u32) -> Key {
    Key {
        dataset: 0,
        sample,
        short_side: Some(256),
    }
}

/// An image of `bytes` bytes in all, filled with `mark`.
fn image(bytes: u64, mark: u8) -> Image {
    let pixels = (bytes as usize - Image::SLACK) / 3;
    let image = Image::new(pixels as u32, 1, vec![mark; pixels * 3]);
    assert_eq!(image.byte_size() as u64, bytes);
    image
}

/// A size near `bytes` that an image can have.
fn possible(bytes: u64) -> u64 {
    bytes.max(11) / 3 * 3 + 2
}

fn get(cache: &Cache, sample: u32, bytes: u64) -> Arc<Image> {
    cache
        .get_or_insert_with(key(sample), || Ok::<_, Infallible>(image(bytes, sample as u8)))
        .unwrap()
}

/// Sample, draws per epoch and bytes of an image.
type ExpectedUse = (u32, f64, u64);

fn expected_use(sample: u32, draws: f64, bytes: u64) -> ExpectedUse {
    (sample, draws, bytes)
}

/// A catalog with a class per image.
fn catalog(expected_uses: &[ExpectedUse]) -> Catalog {
    let classes = expected_uses.iter().map(|&(sample, _, bytes)| [(sample, bytes)]);
    Catalog::new(0, Some(256), classes)
}

fn register(cache: &Arc<Cache>, name: u8, expected_uses: &[ExpectedUse]) -> DemandGuard {
    let demand = StreamDemand {
        name: [name; 32],
        // One catalog per name.
        source: CatalogId {
            dataset: u32::from(name),
            split: Split::Train,
            short_side: None,
        },
        draws: expected_uses.iter().map(|(_, draws, _)| *draws).collect(),
        is_changed: false,
    };
    cache.register(demand, || catalog(expected_uses))
}

fn resident(cache: &Cache) -> Vec<u32> {
    let mut samples: Vec<u32> = cache.residents().iter().map(|(key, _)| key.sample).collect();
    samples.sort_unstable();
    samples
}

/// Checks the counters against the resident images; holds while no decode is in flight.
fn assert_consistent(cache: &Cache) {
    let residents = cache.residents();
    let stats = cache.stats();
    assert_eq!(stats.images, residents.len() as u64);
    assert_eq!(stats.bytes, residents.iter().map(|(_, bytes)| bytes).sum::<u64>());
    assert!(stats.bytes <= stats.budget, "{stats:?}");
    assert_eq!(cache.slots.len(), residents.len(), "no decode is left in flight");
}

#[test]
fn a_second_lookup_finds_the_image() {
    let cache = Cache::new(1000);
    let first = get(&cache, 7, 98);
    let second = cache
        .get_or_insert_with(key(7), || -> Result<Image, Infallible> { unreachable!() })
        .unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let expected = Stats {
        hits: 1,
        shared: 0,
        misses: 1,
        rejections: 0,
        images: 1,
        bytes: 98,
        budget: 1000,
    };
    assert_eq!(cache.stats(), expected);
}

#[test]
fn keys_of_other_datasets_and_sizes_are_distinct() {
    let cache = Cache::new(1000);
    let keys = [
        key(1),
        Key { dataset: 1, ..key(1) },
        Key {
            short_side: None,
            ..key(1)
        },
    ];
    for (mark, key) in (0..).zip(keys) {
        cache
            .get_or_insert_with(key, || Ok::<_, Infallible>(image(98, mark)))
            .unwrap();
    }
    assert_eq!((cache.stats().misses, cache.stats().images), (3, 3));
}

#[test]
fn the_budget_is_kept_to_the_byte_and_nothing_is_evicted() {
    let cache = Cache::new(200);
    get(&cache, 1, 101);
    get(&cache, 2, 101);
    get(&cache, 3, 98);
    assert_eq!(resident(&cache), [1, 3]);
    assert_eq!((cache.stats().bytes, cache.stats().rejections), (199, 1));
    assert_consistent(&cache);
}

#[test]
fn a_cache_without_budget_keeps_nothing() {
    let cache = Cache::new(0);
    get(&cache, 1, 98);
    assert_eq!((resident(&cache), cache.stats().rejections), (vec![], 1));
}

#[test]
fn an_error_is_returned_and_not_kept() {
    let cache = Cache::new(1000);
    assert_eq!(cache.get_or_insert_with(key(1), || Err("broken")), Err("broken"));
    assert_consistent(&cache);
    assert_eq!(get(&cache, 1, 98).pixels()[0], 1);
}

#[test]
fn a_panic_is_passed_on_and_leaves_the_cache_working() {
    let cache = Cache::new(1000);
    let made = catch_unwind(AssertUnwindSafe(|| {
        let _ = cache.get_or_insert_with(key(1), || -> Result<Image, Infallible> { panic!("decoder") });
    }));
    assert!(made.is_err());
    assert_consistent(&cache);
    get(&cache, 1, 98);
    assert_eq!(resident(&cache), [1]);
}

/// How long a thread waits for another one.
const DEADLINE: Duration = Duration::from_secs(60);

/// Looks a key up from several threads while a first one decodes it, then ends the decode with `outcome`. Returns the results of the others.
fn while_in_flight(cache: &Cache, outcome: fn() -> Result<Image, &'static str>) -> Vec<u8> {
    const OTHERS: u64 = 7;
    let (begun, has_begun) = sync_channel(0);
    let (go, may_go) = sync_channel(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            catch_unwind(AssertUnwindSafe(|| {
                cache.get_or_insert_with(key(1), || {
                    begun.send(()).unwrap();
                    may_go.recv_timeout(DEADLINE).unwrap();
                    outcome()
                })
            }))
        });
        has_begun.recv_timeout(DEADLINE).unwrap();
        let other = || {
            cache
                .get_or_insert_with(key(1), || Ok::<_, &str>(image(98, 2)))
                .unwrap()
                .pixels()[0]
        };
        let others: Vec<_> = (0..OTHERS).map(|_| scope.spawn(other)).collect();
        let started = Instant::now();
        while cache.stats().shared < OTHERS {
            assert!(
                started.elapsed() < DEADLINE,
                "the others do not wait for the first one"
            );
            thread::yield_now();
        }
        go.send(()).unwrap();
        others.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_decode_in_flight_is_shared_even_if_the_image_is_not_admitted() {
    for budget in [0, 1000] {
        let cache = Cache::new(budget);
        assert_eq!(while_in_flight(&cache, || Ok(image(98, 1))), [1; 7]);
        assert_eq!(cache.stats().misses, 1);
        assert_consistent(&cache);
    }
}

#[test]
fn after_an_error_or_a_panic_a_waiting_lookup_decodes_itself() {
    for outcome in [|| Err("broken"), || panic!("decoder")] as [fn() -> Result<Image, &'static str>; 2] {
        let cache = Cache::new(1000);
        assert_eq!(while_in_flight(&cache, outcome), [2; 7]);
        assert_eq!(cache.stats().misses, 2);
        assert_consistent(&cache);
    }
}

#[test]
fn the_plan_decides_admission_whatever_the_order_of_arrival() {
    let expected_uses: Vec<ExpectedUse> = (0..20)
        .map(|i| expected_use(i, if i < 4 { 10.0 } else { 1.0 }, 98))
        .collect();
    for order in [
        (0..20).collect::<Vec<u32>>(),
        (0..20).rev().collect(),
        (0..20).map(|i| i * 7 % 20).collect(),
    ] {
        let cache = Arc::new(Cache::new(98 * 6 + 50));
        let registration = register(&cache, 1, &expected_uses);
        for sample in order {
            get(&cache, sample, 98);
        }
        assert_eq!(resident(&cache), [0, 1, 2, 3, 4, 5]);
        assert_consistent(&cache);
        drop(registration);
    }
}

#[test]
fn images_outside_the_plan_get_the_room_that_it_leaves() {
    let cache = Arc::new(Cache::new(98 * 3));
    let _registration = register(&cache, 1, &[expected_use(0, 1.0, 98), expected_use(1, 1.0, 98)]);
    for sample in [9, 8, 1, 0] {
        get(&cache, sample, 98);
    }
    assert_eq!(resident(&cache), [0, 1, 9]);
}

#[test]
fn a_new_plan_evicts_only_what_it_has_no_room_for() {
    let cache = Arc::new(Cache::new(98 * 4));
    let first = register(&cache, 1, &[0, 1, 2, 3].map(|i| expected_use(i, 1.0, 98)));
    for sample in 0..4 {
        get(&cache, sample, 98);
    }
    let second = register(&cache, 2, &[expected_use(10, 5.0, 98), expected_use(11, 5.0, 98)]);
    assert_eq!(resident(&cache), [0, 1]);
    assert_consistent(&cache);
    get(&cache, 11, 98);
    get(&cache, 10, 98);
    get(&cache, 3, 98);
    assert_eq!(resident(&cache), [0, 1, 10, 11]);
    drop((first, second));
    assert_eq!(resident(&cache), [0, 1, 10, 11]);
}

#[test]
fn alternating_training_and_validation_share_one_plan() {
    let cache = Arc::new(Cache::new(98 * 3));
    let train = [0, 1, 2].map(|i| expected_use(i, 2.0, 98));
    let valid = [10, 11, 12].map(|i| expected_use(i, 1.0, 98));
    for epoch in 0..3 {
        let stream = register(&cache, 1, &train);
        (0..3).for_each(|sample| drop(get(&cache, sample, 98)));
        drop(stream);
        let stream = register(&cache, 2, &valid);
        (10..13).for_each(|sample| drop(get(&cache, sample, 98)));
        drop(stream);
        assert_eq!(resident(&cache), [0, 1, 2], "epoch {epoch}");
    }
    assert_eq!(cache.stats().misses, 3 + 3 * 3);
}

#[test]
fn demands_that_ended_long_ago_are_forgotten() {
    let cache = Arc::new(Cache::new(98));
    for run in 0..7 {
        let expected_uses = [expected_use(u32::from(run), 100.0 - f64::from(run), 98)];
        drop(register(&cache, run, &expected_uses));
        get(&cache, u32::from(run), 98);
    }
    // Runs 2 to 5 are remembered beside run 6, and 2 drew most.
    assert!(resident(&cache).is_empty());
    get(&cache, 2, 98);
    assert_eq!(resident(&cache), [2]);
}

#[test]
fn an_image_larger_than_registered_does_not_exceed_the_budget() {
    let cache = Arc::new(Cache::new(200));
    let _registration = register(&cache, 1, &[expected_use(0, 1.0, 98), expected_use(1, 1.0, 98)]);
    get(&cache, 0, 152);
    get(&cache, 1, 98);
    assert_eq!(resident(&cache), [0]);
    assert_consistent(&cache);
}

#[test]
fn many_threads_end_with_the_planned_images() {
    let expected_uses: Vec<ExpectedUse> = (0..64)
        .map(|i| expected_use(i, f64::from(1 + i % 5), possible(50 + u64::from(i))))
        .collect();
    let cache = Arc::new(Cache::new(2000));
    let _registration = register(&cache, 1, &expected_uses);
    let draws = expected_uses.iter().map(|(_, draws, _)| *draws).collect();
    let expected = Plan::new(2000, &[(Arc::new(catalog(&expected_uses)), draws)]);
    thread::scope(|scope| {
        for thread in 0..8 {
            let (cache, expected_uses) = (&cache, &expected_uses);
            scope.spawn(move || {
                for i in 0..640 {
                    let (sample, _, bytes) = expected_uses[(i * (2 * thread + 1) + thread) % 64];
                    let image = get(cache, sample, bytes);
                    assert_eq!(image.pixels()[0], sample as u8);
                    assert!(cache.stats().bytes <= 2000);
                }
            });
        }
    });
    assert_consistent(&cache);
    assert!(cache.residents().iter().all(|(key, _)| expected.contains(*key)));
    assert_eq!(cache.stats().bytes, expected.bytes);
}

proptest! {
    #[test]
    fn counters_match_the_resident_images_after_any_operations(
        budget in 0u64..3000,
        steps in prop::collection::vec((0u32..24, 11u64..400, 0u8..10), 1..120),
    ) {
        let cache = Arc::new(Cache::new(budget));
        let mut open = Vec::new();
        for (sample, bytes, action) in steps {
            match action {
                0 => {
                    let expected_uses: Vec<ExpectedUse> = (0..sample).map(|i| expected_use(i, f64::from(1 + i % 3), possible(bytes))).collect();
                    open.push(register(&cache, sample as u8, &expected_uses));
                }
                1 => drop(open.pop()),
                2 => {
                    let _ = cache.get_or_insert_with(key(sample), || Err("broken"));
                }
                _ => drop(get(&cache, sample, possible(bytes))),
            }
            assert_consistent(&cache);
        }
    }
}
