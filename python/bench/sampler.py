"""`BalancedBatchSampler` beside `WeightedRandomSampler`: time to make them, and for an epoch, and how many samples an epoch shows.

    PYTHONPATH=python .tools/pytorch/bin/python python/bench/sampler.py

1.3 million labels of 1,000 classes of 2 to 10,500 images (class `c` in proportion to 1 / c), batches of 256; both draw as many samples as there are labels, each class
equally often.
"""

import time

import torch
from torch.utils.data import BatchSampler, WeightedRandomSampler

from equibatch.torch import BalancedBatchSampler

SAMPLES, CLASSES, BATCH = 1_300_000, 1_000, 256


def labels():
    shares = 1.0 / torch.arange(1, CLASSES + 1, dtype=torch.float64)
    counts = (shares / shares.sum() * SAMPLES).round().clamp(min=1).long()
    counts[0] += SAMPLES - counts.sum()
    return torch.arange(CLASSES).repeat_interleave(counts)[torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(0))]


def weighted(labels):
    counts = labels.bincount(minlength=CLASSES)
    return BatchSampler(WeightedRandomSampler(1.0 / counts[labels].double(), SAMPLES), BATCH, drop_last=True)


def balanced(labels):
    return BalancedBatchSampler(labels, BATCH, num_samples=SAMPLES, rank=0, world_size=1)


def coverage(batches, labels):
    """Share of the samples that are used, of those that an exact epoch can use; range of the uses of a class."""
    used = torch.zeros(SAMPLES, dtype=torch.long)
    for batch in batches:
        used[torch.tensor(batch)] += 1
    draws = torch.zeros(CLASSES, dtype=torch.long).index_add_(0, labels, used)
    possible = labels.bincount(minlength=CLASSES).clamp(max=SAMPLES // CLASSES).sum()
    return (used > 0).sum() / possible, draws.min(), draws.max()


def main():
    these = labels()
    print(f"{'':22} {'make':>8} {'first batch':>12} {'epoch':>8}   coverage   draws per class")
    for name, make in [("WeightedRandomSampler", weighted), ("BalancedBatchSampler", balanced)]:
        started = time.process_time()
        sampler = make(these)
        made = time.process_time()
        next(iter(sampler))
        first = time.process_time()
        batches = list(sampler)
        epoch = time.process_time()
        share, least, most = coverage(batches, these)
        print(f"{name:22} {made - started:6.2f} s {first - made:10.3f} s {epoch - first:6.2f} s {share:10.1%}   {least} to {most}")


if __name__ == "__main__":
    main()
