"""Trains ResNet34 in PyTorch, once on `equibatch.Loader` in this process and once on torchvision's DataLoader, by turns.

    .tools/peers/bin/python tests/peers/training.py --data data/flowers-birds

224x224, batches of 16, AdamW, all cores; the augmentation of the other comparisons. Each loader as its users have it: `Loader` keeps decoded images, the
DataLoader decodes each time, in as many workers as cores. A step's wait is the time until `next` returns the batch. What a loader has read ahead when its turn
begins is used up by steps that are not counted.
"""

import argparse
import os
import time
from collections.abc import Iterator

import equibatch
import torch
from measure import tree_cpu_ms
from peer_torchvision import Augmented
from torch.utils.data import DataLoader, RandomSampler
from torchvision.models import resnet34

from images import Images

SIZE, BATCH = 224, 16
Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


def ours(images: Images, folder: str) -> Batches:
    loader = equibatch.Loader(folder, batch_size=BATCH, image_size=SIZE, dtype="float32", device="cpu", rank=0, world_size=1)
    while True:
        yield from loader


def theirs(images: Images, folder: str) -> Batches:
    dataset = Augmented(images, pillow=False)
    sampler = RandomSampler(dataset, replacement=True, num_samples=1 << 40)
    yield from DataLoader(dataset, batch_size=BATCH, sampler=sampler, num_workers=len(os.sched_getaffinity(0)), persistent_workers=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder of class folders with JPEG files")
    parser.add_argument("--steps", type=int, default=10, help="counted steps of a turn (default: 10)")
    parser.add_argument("--ahead", type=int, default=4, help="steps before them (default: 4)")
    parser.add_argument("--turns", type=int, default=2, help="turns of each loader (default: 2)")
    args = parser.parse_args()
    images = Images.find(args.data, warm=False)
    model = resnet34(num_classes=1 + max(images.labels)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    names = {"equibatch.Loader": ours, "torchvision v2, DataLoader": theirs}
    streams = {name: make(images, args.data) for name, make in names.items()}
    # Seconds, seconds waited, CPU-ms.
    totals = {name: [0.0, 0.0, 0.0] for name in names}
    for _ in range(args.turns):
        for name, stream in streams.items():
            for step in range(args.ahead + args.steps):
                if step == args.ahead:
                    began, cpu = time.perf_counter(), tree_cpu_ms(os.getpid())
                asked = time.perf_counter()
                batch = next(stream)
                waited = time.perf_counter() - asked
                loss = torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if step >= args.ahead:
                    totals[name][1] += waited
            totals[name][0] += time.perf_counter() - began
            totals[name][2] += tree_cpu_ms(os.getpid()) - cpu
    print("| | images/s | share of the time waited | CPU-ms per image, training included |")
    print("|---|--:|--:|--:|")
    count = args.turns * args.steps * BATCH
    for name, (seconds, waited, cpu) in totals.items():
        print(f"| {name} | {count / seconds:.1f} | {waited / seconds:.1%} | {cpu / count:.1f} |")
    os._exit(0)  # Workers of an endless stream end when their parent has gone.


if __name__ == "__main__":
    main()
