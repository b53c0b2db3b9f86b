"""Batches and states of a loader, in process."""

import json

import equibatch
import numpy as np
import pytest
from conftest import COUNTS
from equibatch.errors import RequestError

BATCH = 4


def loader_of(folder, **arguments):
    return equibatch.Loader(folder, **{"batch_size": BATCH, "image_size": 24, **arguments})


def contents(batches):
    return [(b.epoch, b.step, b.sample_ids.tolist(), b.labels.tolist(), np.array(b.images).tobytes()) for b in batches]


def test_an_epoch_is_balanced_and_has_as_many_batches_as_the_loader_is_long(folder):
    loader = loader_of(folder)
    batches = list(loader)
    assert len(batches) == len(loader) > 2
    for step, batch in enumerate(batches):
        images, labels = batch
        assert np.asarray(images).shape == (BATCH, 3, 24, 24)
        assert np.asarray(images).dtype == np.uint8
        assert sorted(np.asarray(labels).tolist()) == [0, 0, 1, 1]
        assert (batch.epoch, batch.step) == (0, step)


def test_every_iteration_is_another_epoch(folder):
    loader = loader_of(folder)
    first, second = contents(loader), contents(loader)
    assert {batch[0] for batch in first} == {0} and {batch[0] for batch in second} == {1}
    assert len(first) == len(second)
    assert [batch[2] for batch in first] != [batch[2] for batch in second]
    loader.set_epoch(0)
    assert contents(loader) == first
    loader.sampler.set_epoch(1)
    assert contents(loader) == second


def test_an_epoch_left_early_is_over(folder):
    loader = loader_of(folder)
    for _ in loader:
        break
    assert {batch.epoch for batch in loader} == {1}
    assert len(list(loader)) == len(loader)


def test_an_iterator_that_yielded_nothing_changes_nothing(folder):
    loader = loader_of(folder)
    iter(loader)
    assert {batch.epoch for batch in loader} == {0}


def test_the_number_of_epochs_ends_the_loader(folder):
    loader = loader_of(folder, epochs=2)
    assert [len(list(loader)), len(list(loader))] == [len(loader)] * 2
    with pytest.raises(RequestError, match="all 2 epochs are over"):
        iter(loader)


def test_a_stream_goes_on_over_many_epochs(folder, monkeypatch):
    monkeypatch.setattr("equibatch.loader._EPOCHS_AHEAD", 2)
    loader = loader_of(folder)
    epochs = [[batch.epoch for batch in loader] for _ in range(5)]
    assert epochs == [[epoch] * len(loader) for epoch in range(5)]


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_state_continues_where_it_was_taken(folder, taken):
    whole = loader_of(folder, seed=3)
    expected = contents(whole) + contents(whole)
    loader = loader_of(folder, seed=3)
    iteration = iter(loader)
    seen = contents([next(iteration) for _ in range(taken)])
    state = json.loads(json.dumps(loader.state_dict()))
    assert (state["epoch"], state["step"]) == (0, taken)
    resumed = loader_of(folder, seed=3)
    resumed.load_state_dict(state)
    assert len(resumed) == len(whole), "the length is that of a whole epoch"
    assert seen + contents(resumed) + contents(resumed) == expected


def test_the_state_is_that_of_the_batch_yielded_last_and_after_the_last_one_the_next_epoch(folder):
    loader = loader_of(folder)
    for step, batch in enumerate(loader):
        state = loader.state_dict()
        assert state["token"] == batch.token
        at = (state["epoch"], state["step"])
        assert at == ((0, step + 1) if step + 1 < len(loader) else (1, 0))


def test_a_state_takes_effect_at_the_next_iteration_also_after_one_began(folder):
    loader = loader_of(folder)
    iteration = iter(loader)
    next(iteration)
    state = loader.state_dict()
    other = loader_of(folder)
    old = iter(other)
    next(old)
    next(old)
    other.load_state_dict(state)
    next(old)
    assert other.state_dict() == state, "an iteration from before the state does not change it"
    assert next(iter(other)).step == 1


def test_the_epoch_of_a_state_may_be_set_again(folder):
    loader = loader_of(folder)
    next(iter(loader))
    state = loader.state_dict()
    loader.load_state_dict(state)
    loader.set_epoch(0)
    assert next(iter(loader)).step == 1
    loader.load_state_dict(state)
    loader.set_epoch(1)
    assert next(iter(loader)).token["epoch"] == 1
    loader.load_state_dict({})
    assert loader.state_dict()["epoch"] == 1, "an empty state is none"


def test_a_state_of_other_batches_is_refused_with_the_field(folder):
    state = loader_of(folder).state_dict()
    for name, value in {"image_size": 32, "seed": 9, "recipe": "none", "dtype": "float32"}.items():
        with pytest.raises(RequestError, match=f"{name}="):
            loader_of(folder, **{name: value}).load_state_dict(state)
    with pytest.raises(RequestError, match="global batch size of 4"):
        loader_of(folder, batch_size=8).load_state_dict(state)
    with pytest.raises(RequestError, match="epoch is -1"):
        loader_of(folder).set_epoch(-1)
    with pytest.raises(RequestError, match="version"):
        loader_of(folder).load_state_dict({**state, "version": 99})


def test_ranks_have_disjoint_parts_whose_union_is_the_batch_also_after_another_number_of_ranks_resumes(folder):
    whole = contents(loader_of(folder, batch_size=6))

    def interleaved(parts):
        """The batches of all ranks: rank r has the images r, r + world, ..."""
        for shards in zip(*parts, strict=True):
            ids = [None] * sum(len(shard[2]) for shard in shards)
            for rank, shard in enumerate(shards):
                ids[rank :: len(shards)] = shard[2]
            yield (shards[0][0], shards[0][1], ids)

    iterations = [iter(loader_of(folder, batch_size=3, rank=rank, world_size=2)) for rank in range(2)]
    begun = list(interleaved([contents([next(iteration)]) for iteration in iterations]))
    states = [iteration._loader.state_dict() for iteration in iterations]
    assert states[0] == states[1] and states[0]["global_batch_size"] == 6
    parts = []
    for rank in range(3):
        loader = loader_of(folder, batch_size=3, rank=rank, world_size=3)
        loader.load_state_dict(states[0])
        assert loader.batch_size == 2
        parts.append(contents(loader))
    assert begun + list(interleaved(parts)) == [batch[:3] for batch in whole]


def test_a_rank_without_images_gets_an_empty_last_batch(folder):
    whole = list(loader_of(folder, split="valid", batch_size=1, world_size=1, rank=0))
    world = len(whole) + 1 if len(whole) % 2 == 0 else len(whole) + 2
    loaders = [loader_of(folder, split="valid", batch_size=1, rank=rank, world_size=world) for rank in range(world)]
    parts = [list(loader) for loader in loaders]
    assert {len(part) for part in parts} == {len(loader) for loader in loaders} == {1}
    assert [len(part[0].labels) for part in parts] == [1] * len(whole) + [0] * (world - len(whole))
    assert np.asarray(parts[-1][0].images).shape == (0, 3, 24, 24)


def test_rank_and_world_are_given_or_those_of_the_environment(folder, monkeypatch):
    assert "rank 0 of 1 (by default)" in repr(loader_of(folder))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    loader = loader_of(folder)
    assert (loader.rank, loader.world_size, loader.global_batch_size) == (1, 3, 3 * BATCH)
    assert "rank 1 of 3 (by RANK and WORLD_SIZE)" in repr(loader)
    given = loader_of(folder, rank=0, world_size=2)
    assert "rank 0 of 2 (by argument)" in repr(given)
    steps = len(loader)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert len(loader) > steps, "the length follows the number of ranks"
    monkeypatch.setenv("RANK", "three")
    with pytest.raises(RequestError, match="RANK is 'three'"):
        loader_of(folder)
    with pytest.raises(RequestError, match="give both or none"):
        loader_of(folder, rank=1)
    with pytest.raises(RequestError, match="from 0 to world_size - 1"):
        loader_of(folder, rank=2, world_size=2)


def test_a_dataset_describes_itself(folder):
    (folder / "birds" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    try:
        described = equibatch.Loader(folder, dataset="with-a-broken-file")
        assert described.classes == ["birds", "flowers"]
        (file,) = described.quarantined
        assert file.path == "birds/broken.png" and file.reason
    finally:
        (folder / "birds" / "broken.png").unlink()
    train, valid = loader_of(folder), loader_of(folder, split="valid")
    both = {name: train.class_counts[name] + valid.class_counts[name] for name in COUNTS}
    assert both == COUNTS
    birds, flowers = train.class_counts.values()
    weights = train.class_weights("inverse")
    assert weights[0] / weights[1] == pytest.approx(flowers / birds)
    by_beta = train.class_weights("effective", beta=0.9)
    expected = (1 - 0.9**flowers) / (1 - 0.9**birds)
    assert by_beta[0] / by_beta[1] == pytest.approx(expected)
    with pytest.raises(RequestError, match="beta is 1"):
        train.class_weights("effective", beta=1)


def test_a_whole_epoch_has_a_bottleneck(folder):
    loader = loader_of(folder)
    assert loader.bottleneck() is None
    list(loader)
    name, share = loader.bottleneck()
    assert name in {"trainer", "network", "server CPU", "disk", "decoding", "cache too small"}
    assert 0 < share <= 1


def test_a_batch_is_a_tuple_and_a_dict(folder):
    batch = next(iter(loader_of(folder, recipe="mixup(0.4)")))
    images, labels = batch
    assert images is batch["images"] is batch[0] and labels is batch.labels is batch[-1]
    assert set(dict(batch)) == {
        *("images", "labels", "sample_ids", "epoch", "step"),
        *("token", "replacements", "mixed_labels", "mixed_weights"),
    }
    assert batch.mixed_labels.shape == batch.mixed_weights.shape == (BATCH,)
    assert next(iter(loader_of(folder))).mixed_labels is None
    with pytest.raises(KeyError):
        batch["other"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"layout": "chwn"}, "layout is 'chwn'"),
        ({"split": "eval"}, "unknown split `eval`"),
        ({"balance": "equal"}, "invalid balance `equal`"),
        ({"seed": -1}, "seed is -1"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 2, "global_batch_size": 4}, "give one of them"),
        ({"batch_size": -1}, "batch_size is -1"),
    ],
)
def test_invalid_arguments_are_refused_at_once(folder, arguments, words):
    with pytest.raises(RequestError, match=words):
        loader_of(folder, **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"image_size": 0}, "image_size is 0: it must be from 1"),
        ({"recipe": "spin"}, "spin"),
        ({"balance": {"trees": 1.0}}, "has no class \"trees\""),
        ({"split": "test"}, "the test split of dataset .* has no images"),
        ({"batch_size": 1_000_000}, "batch_size is 1000000"),
    ],
)
def test_what_the_engine_refuses_is_refused_in_its_words(folder, arguments, words):
    with pytest.raises(RequestError, match=words):
        len(loader_of(folder, **arguments))


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(equibatch.errors.DataError, match="no such folder"):
        len(equibatch.Loader(tmp_path / "absent"))
    with pytest.raises(RequestError, match="buckets cannot be read yet"):
        equibatch.Loader("s3://bucket/images")
    with pytest.raises(RequestError, match="expected HOST:PORT"):
        equibatch.Loader(["a:1", "no address"])


def labels_of(batches):
    return [label for batch in batches for label in batch.labels.tolist()]


def test_a_schedule_changes_over_the_epochs_of_the_loader(folder):
    arguments = {"balance": "natural>oversample@0.6", "epochs": 5}
    loader = loader_of(folder, **arguments)
    epochs = [contents(loader) for _ in range(5)]
    shares = [sum(sum(batch[3]) for batch in epoch) / (BATCH * len(epoch)) for epoch in epochs]
    # Label 1 has most of the images, and later half of them.
    assert min(shares[:3]) > 0.7 and shares[3:] == [0.5, 0.5]
    again = loader_of(folder, **arguments)
    again.set_epoch(3)
    assert contents(again) == epochs[3], "wherever a stream begins"


def test_a_schedule_needs_the_number_of_epochs(folder):
    with pytest.raises(RequestError, match="balance is progressive, which changes over the epochs: give their number, epochs="):
        loader_of(folder, balance="progressive")


def test_without_a_cache_images_are_decoded_each_time(folder):
    kept, decoded = loader_of(folder), loader_of(folder, cache_bytes=0)
    assert contents(kept) + contents(kept) == contents(decoded) + contents(decoded)
    assert kept._source.decoded <= sum(COUNTS.values()) < 2 * BATCH * len(decoded) <= decoded._source.decoded
