"""`BalancedBatchSampler` against a brute-force oracle, and its errors."""

import copy
import json
import math
import pickle
from collections import Counter
from fractions import Fraction

import numpy
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from equibatch.torch import BalancedBatchSampler

from . import oracle


LABELS = [0] * 40 + [1] * 7 + [3] * 12


@st.composite
def requests(draw):
    labels = draw(st.lists(st.integers(0, 4), min_size=1, max_size=60))
    weights = st.dictionaries(st.integers(0, 4), st.integers(0, 5), min_size=1)
    balance = draw(st.sampled_from(["oversample", "undersample", "natural"]) | weights)
    counts = [labels.count(label) for label in range(1 + max(labels + list(balance if isinstance(balance, dict) else [])))]
    if isinstance(balance, dict):
        assume(any(weight and counts[label] for label, weight in balance.items()))
    num_samples = draw(st.none() | st.integers(1, 200))
    drop_last = draw(st.booleans())
    world_size = draw(st.integers(1, 4))
    samples = round(sum(oracle.shares(counts, balance, num_samples)))
    batch_size = draw(st.integers(world_size, max(world_size, min(samples, 40))))
    assume(samples >= batch_size)
    assume(drop_last or samples % batch_size == 0 or samples % batch_size >= world_size)
    options = {"balance": balance, "seed": draw(st.integers(0, 2**64 - 1)), "drop_last": drop_last, "num_samples": num_samples}
    return labels, counts, batch_size, world_size, options


def epochs(labels, batch_size, world_size, options, count):
    """Batches by epoch, step, and rank."""
    ranks = [
        BalancedBatchSampler(labels, global_batch_size=batch_size, rank=rank, world_size=world_size, **options)
        for rank in range(world_size)
    ]
    assert len({len(rank) for rank in ranks}) == 1
    return [list(zip(*map(list, ranks), strict=True)) for _ in range(count)]


@given(requests())
@settings(max_examples=150, deadline=None)
def test_epochs_are_what_brute_force_counts(request):
    labels, counts, batch_size, world_size, options = request
    exact = oracle.shares(counts, options["balance"], options["num_samples"])
    full = round(sum(exact)) // batch_size
    count_labels = lambda samples: [sum(labels[sample] == label for sample in samples) for label in range(len(counts))]
    first, used = None, Counter()
    for epoch, whole in zip(epochs(labels, batch_size, world_size, options, 3), epochs(labels, batch_size, 1, options, 3), strict=True):
        # The batches of the ranks, dealt slot by slot, are those of one rank alone.
        batches = [batch for (batch,) in whole]
        assert [list(ranks) for ranks in epoch] == [[batch[rank::world_size] for rank in range(world_size)] for batch in batches]
        assert [len(batch) for batch in batches[:full]] == [batch_size] * full
        samples, in_full = sum(batches, []), count_labels(sum(batches[:full], []))
        drawn = count_labels(samples)
        assert drawn == (first := first or drawn)
        if options["drop_last"]:
            assert len(batches) == full
        else:
            oracle.assert_apportioned(drawn, exact)
        # Of draws that were rounded once: each is off by less than one more.
        assert all(abs(found - share) < 2 for found, share in zip(in_full, oracle.scaled(exact, full * batch_size), strict=True))
        for batch in batches[:full]:
            oracle.assert_apportioned(count_labels(batch), [Fraction(draws, full) for draws in in_full])
        for times in (Counter(samples), used + Counter(samples)):
            for label in set(labels):
                uses = [times[sample] for sample, of in enumerate(labels) if of == label]
                assert max(uses) - min(uses) <= 1
        used += Counter(samples)


@given(requests(), st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_another_number_of_ranks_goes_on_anywhere(request, cut, ranks_after):
    labels, _, batch_size, world_size, options = request
    assume(ranks_after <= batch_size)
    make = lambda rank, world: BalancedBatchSampler(labels, global_batch_size=batch_size, rank=rank, world_size=world, **options)
    try:
        after = [make(rank, ranks_after) for rank in range(ranks_after)]
    except ValueError:
        assume(False)
    one_rank = make(0, 1)
    alone = list(one_rank) + list(one_rank)
    before = make(world_size - 1, world_size)
    cut %= len(before) + 1
    batches = iter(before)
    for _ in range(cut):
        next(batches)
    state = json.loads(json.dumps(before.state_dict()))
    for sampler in after:
        sampler.load_state_dict(state)
    rest = [list(sampler) for sampler in after]
    expected = alone[cut : len(before)] or alone[len(before) :]
    assert [[batch[rank::ranks_after] for batch in expected] for rank in range(ranks_after)] == rest


def test_the_state_is_that_of_the_batch_drawn_last():
    sampler = BalancedBatchSampler(LABELS, 8)
    first, second = list(sampler), list(sampler)
    assert first != second and sampler.epoch == 2
    sampler = BalancedBatchSampler(LABELS, 8)
    batches = iter(sampler)
    assert sampler.state_dict()["step"] == 0
    assert [next(batches), next(batches)] == first[:2]
    state = sampler.state_dict()
    assert (state["epoch"], state["step"]) == (0, 2)
    resumed = BalancedBatchSampler(LABELS, 8)
    stale = iter(resumed)
    next(stale)
    resumed.load_state_dict(state)
    resumed.set_epoch(0)
    assert list(resumed) == first[2:] and len(resumed) == len(first)
    assert list(resumed) == second
    # An iteration of before does not move the state.
    next(stale)
    assert resumed.state_dict()["epoch"] == 2
    # After the last batch: a whole next epoch.
    assert list(batches) == first[2:]
    state = sampler.state_dict()
    assert (state["epoch"], state["step"]) == (1, 0)
    resumed.load_state_dict(state)
    assert list(resumed) == second


def test_an_epoch_is_chosen_and_one_left_early_is_over():
    sampler = BalancedBatchSampler(LABELS, 8)
    first, second, third = list(sampler), list(sampler), list(sampler)
    sampler.set_epoch(0)
    assert next(iter(sampler)) == first[0]
    iter(sampler)
    assert list(sampler) == second and list(sampler) == third
    for _ in range(2):
        sampler.set_epoch(1)
        assert next(iter(sampler)) == second[0]
    # An iteration begins with its first batch.
    batches = iter(sampler)
    sampler.set_epoch(2)
    assert next(batches) == third[0]
    sampler.set_epoch(2)
    assert next(batches) == third[1] and sampler.state_dict()["step"] == 2
    batches = iter(sampler)
    sampler.load_state_dict(sampler.state_dict() | {"epoch": 1, "step": 4})
    assert list(batches) == second[4:]


@pytest.mark.parametrize("labels", [LABELS, tuple(LABELS), numpy.array(LABELS), numpy.array(LABELS, "u1"), torch.tensor(LABELS), numpy.array(LABELS, "i4")[::-1][::-1]])
def test_labels_can_be_any_integers(labels):
    sampler = BalancedBatchSampler(labels, 8)
    assert list(sampler) == list(BalancedBatchSampler(LABELS, 8))
    assert (sampler.classes, sampler.class_counts, sampler.draws_per_class) == ([0, 1, 2, 3], [40, 7, 0, 12], [40, 40, 0, 40])


@pytest.mark.parametrize("array", [False, True])
def test_labels_can_be_names(array):
    names = ["flower"] * 40 + ["bird"] * 7
    sampler = BalancedBatchSampler(numpy.array(names) if array else names, 10, balance={"bird": 1, "flower": 4})
    assert sampler.classes == ["bird", "flower"]
    assert {sum(names[sample] == "bird" for sample in batch) for batch in sampler} == {2}


def test_copies_and_pickles_go_on_alike():
    sampler = BalancedBatchSampler(LABELS, 8, seed=3, balance={0: 1, 3: 2})
    batches = iter(sampler)
    next(batches)
    state = sampler.state_dict()
    copies = [pickle.loads(pickle.dumps(sampler)), copy.deepcopy(sampler)]
    rest = list(batches)
    for again in copies:
        assert again.state_dict() == state
        again.load_state_dict(state)
        assert list(again) == rest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 8, "global_batch_size": 8}, "batch_size .* or global_batch_size"),
        ({}, "batch_size .* or global_batch_size"),
        ({"batch_size": 8, "rank": 1}, "rank is 1 and world_size is None"),
        ({"batch_size": 8, "rank": 2, "world_size": 2}, "rank is 2 and world_size is 2"),
        ({"global_batch_size": 3, "rank": 0, "world_size": 4}, "a batch of 3 samples is too small for 4 ranks"),
        ({"batch_size": 8, "balance": "fair"}, 'balance is "fair": expected oversample'),
        ({"batch_size": 8, "balance": "weights:a=1"}, "as a mapping"),
        ({"batch_size": 8, "balance": {7: 1.0, -1: 2.0}}, r"weights for \[-1\]"),
        ({"batch_size": 8, "balance": {0: -1.0}}, "weight -1"),
        ({"batch_size": 500}, "batch of 500 from an epoch of 120 images"),
        ({"batch_size": 119, "drop_last": False, "rank": 0, "world_size": 1, "num_samples": 120, "balance": "natural"}, None),
        ({"global_batch_size": 59, "drop_last": False, "rank": 0, "world_size": 3}, "the last batch has 2 samples for 3 ranks"),
    ],
)
def test_errors_name_the_argument(arguments, message):
    if message is None:
        assert [len(batch) for batch in BalancedBatchSampler(LABELS, **arguments)] == [119, 1]
        return
    with pytest.raises(ValueError, match=message):
        BalancedBatchSampler(LABELS, **arguments)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([], ValueError, "without images"),
        ([0, -1], ValueError, "the label -1"),
        ([0, -5], ValueError, "the label -5"),
        ([0, 1 << 40], ValueError, "the label 1099511627776: integers must be from 0 to"),
        ([0.5, 1.0], TypeError, "integers"),
        (numpy.zeros((4, 2), "i8"), ValueError, "2 dimensions"),
        (numpy.zeros(4), TypeError, "integers"),
    ],
)
def test_labels_that_are_none_are_refused(labels, error, message):
    with pytest.raises(error, match=message):
        BalancedBatchSampler(labels, 1)


def test_a_state_of_another_order_is_refused():
    state = BalancedBatchSampler(LABELS, 8).state_dict()
    for other, name in [
        (BalancedBatchSampler(LABELS, 9), "global_batch_size"),
        (BalancedBatchSampler(LABELS, 8, seed=1), "seed"),
        (BalancedBatchSampler(LABELS, 8, balance="natural"), "balance"),
        (BalancedBatchSampler(LABELS, 8, drop_last=False), "drop_last"),
        (BalancedBatchSampler(LABELS, 8, num_samples=99), "num_samples"),
        (BalancedBatchSampler(LABELS[::-1], 8), "labels_crc32c"),
    ]:
        with pytest.raises(ValueError, match=f"saved with {name}="):
            other.load_state_dict(state)
    with pytest.raises(ValueError, match="version 2"):
        BalancedBatchSampler(LABELS, 8).load_state_dict(state | {"version": 2})
    with pytest.raises(ValueError, match="step is 16"):
        BalancedBatchSampler(LABELS, 8).state_dict(step=16)


def test_every_sample_is_used_where_drawing_with_replacement_leaves_a_third_out():
    labels = torch.arange(10).repeat_interleave(100)
    ours = {sample for batch in BalancedBatchSampler(labels, 50) for sample in batch}
    theirs = set(torch.utils.data.WeightedRandomSampler(torch.ones(1000), 1000, generator=torch.Generator().manual_seed(0)))
    assert len(ours) == 1000 and math.isclose(len(theirs), 632, abs_tol=40)


def drawn_in(sampler):
    """Draws of each class in the next epoch."""
    return numpy.bincount([LABELS[sample] for batch in sampler for sample in batch], minlength=4).tolist()


def test_a_schedule_goes_from_one_balance_to_the_other_over_the_epochs():
    counts = [40, 7, 0, 12]
    sampler = BalancedBatchSampler(LABELS, 59, balance="progressive", epochs=5)
    epochs = []
    for _ in range(7):
        epochs.append(sampler.draws_per_class)
        assert drawn_in(sampler) == epochs[-1]
    assert epochs[0] == counts
    oracle.assert_apportioned(epochs[4], oracle.scaled([1, 1, 0, 1], 59))
    assert epochs[5] == epochs[6] == epochs[4]
    for epoch, draws in enumerate(epochs[:5]):
        exact = [count + Fraction(last - count) * epoch / 4 for count, last in zip(counts, epochs[4], strict=True)]
        oracle.assert_apportioned(draws, exact)
    deferred = BalancedBatchSampler(LABELS, 59, balance="natural>oversample@0.6", epochs=5)
    assert [drawn_in(deferred) for _ in range(5)] == [counts] * 3 + [epochs[4]] * 2


def test_a_schedule_needs_its_epochs_and_keeps_them():
    with pytest.raises(ValueError, match="epochs"):
        BalancedBatchSampler(LABELS, 8, balance="progressive")
    sampler = BalancedBatchSampler(LABELS, 8, balance="progressive", epochs=3)
    state = sampler.state_dict()
    with pytest.raises(ValueError, match="saved with epochs=3"):
        BalancedBatchSampler(LABELS, 8, balance="progressive", epochs=4).load_state_dict(state)
    assert list(pickle.loads(pickle.dumps(sampler))) == list(sampler)
    # Without a schedule they change nothing.
    BalancedBatchSampler(LABELS, 8, epochs=4).load_state_dict(BalancedBatchSampler(LABELS, 8).state_dict())
