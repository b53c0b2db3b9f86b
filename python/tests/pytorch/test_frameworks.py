"""`Loader` with fastai, JAX and Ray, which `make python-frameworks` installs; skipped without them."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy
import pytest
import torch

import equibatch


def needs(package):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed: make python-frameworks")


def make(folder, **options):
    return equibatch.Loader(folder, **{"batch_size": 8, "image_size": 16, "dtype": "float32"} | options)


@needs("fastai")
@pytest.mark.filterwarnings("ignore")
def test_fastai_trains_and_finds_the_classes(folder):
    import fastai.callback.schedule  # Adds `fit_one_cycle`.
    from fastai.callback.core import Callback
    from fastai.callback.progress import ProgressCallback
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat
    from fastai.metrics import error_rate

    from equibatch.fastai import data_loaders

    seen = []

    class Record(Callback):
        def before_batch(self):
            if self.training:
                seen.append((self.xb[0].clone(), self.yb[0].clone()))

    dls = data_loaders(make(folder), make(folder, split="valid"), device="cpu")
    assert (dls.vocab, dls.c, len(dls.train), dls.device) == (["birds", "flowers"], 2, 6, torch.device("cpu"))
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, dls.c))
    learner = Learner(dls, model, loss_func=CrossEntropyLossFlat(), metrics=error_rate, cbs=Record())
    learner.remove_cbs([ProgressCallback])
    with learner.no_logging():
        learner.fit_one_cycle(4, 0.3)
    expected = make(folder)
    expected = [batch.to("cpu") for _ in range(4) for batch in expected]
    assert len(seen) == len(expected) == 24
    for (images, labels), batch in zip(seen, expected, strict=True):
        assert torch.equal(images, batch.images) and torch.equal(labels, batch.labels)
    # The classes differ in their colour.
    assert learner.validate()[1] == 0.0


@needs("jax")
def test_jax_gets_sharded_arrays(folder):
    import jax

    from equibatch.jax import arrays

    devices = jax.sharding.Mesh(numpy.array(jax.devices()), ("batch",))
    sharding = jax.sharding.NamedSharding(devices, jax.sharding.PartitionSpec("batch"))
    loader = make(folder, rank="jax")
    assert "(by jax)" in repr(loader)
    found = list(arrays(loader, sharding))
    expected = list(make(folder, rank=0, world_size=1))
    assert len(found) == len(expected) == 6
    for (images, labels), batch in zip(found, expected, strict=True):
        assert images.sharding == sharding and images.dtype == "float32"
        assert (numpy.asarray(images) == numpy.asarray(batch.images)).all()
        assert labels.tolist() == batch.labels.tolist()
    step = jax.jit(lambda images, labels: images.mean() * labels.sum())
    assert numpy.isfinite(step(*found[0]))


def train_in_ray(config):
    """A training function of Ray Train: the loader as it is."""
    import torch.distributed

    loader = equibatch.Loader(config["folder"], batch_size=4, image_size=16)
    assert "(by torch.distributed)" in repr(loader)
    assert torch.distributed.get_world_size() == 2
    batches = [(batch.sample_ids.tolist(), batch.labels.tolist()) for batch in loader]
    with open(f"{config['results']}/{loader.rank}.json", "w") as file:
        json.dump(batches, file)


@needs("ray")
@pytest.mark.filterwarnings("ignore")
def test_ray_workers_take_their_ranks(folder, tmp_path, monkeypatch):
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    # The workers import this test module and the package, as they are here.
    monkeypatch.setenv("RAY_TRAIN_V2_ENABLED", "1")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    paths = f"{Path(equibatch.__file__).parents[1]}:{Path(__file__).parents[1]}"
    ray.init(num_cpus=3, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": paths}})
    try:
        TorchTrainer(
            train_in_ray,
            train_loop_config={"folder": str(folder), "results": str(tmp_path)},
            scaling_config=ScalingConfig(num_workers=2, use_gpu=False),
            run_config=RunConfig(storage_path=str(tmp_path / "storage")),
        ).fit()
    finally:
        ray.shutdown()
    whole = [(batch.sample_ids.tolist(), batch.labels.tolist()) for batch in make(folder, rank=0, world_size=1)]
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found == [[ids[rank::2], labels[rank::2]] for ids, labels in whole]
