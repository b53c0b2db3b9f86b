"""Measures one peer in a process of its own; the last line is a JSON object."""

import argparse
import importlib
import json
import os
import statistics
import time
from collections.abc import Iterator

import cv2
import numpy as np

from images import BATCH, MEAN, SIZE, STD, Images, plain_statistics

REPETITIONS = 5
AT_LEAST = 4 * BATCH  # images in each, because a kernel tick is coarse
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def tree_cpu_ms(root: int) -> float:
    """User and system time of a process and all below it, with those children that have ended and been waited for (/proc/PID/stat)."""
    spent, parents = {}, {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(entry)] = int(fields[1])
        spent[int(entry)] = sum(map(int, fields[11:15]))
    return TICK_MS * sum(ticks for process, ticks in spent.items() if descends(process, root, parents))


def descends(process: int, root: int, parents: dict[int, int]) -> bool:
    while process != root and process in parents:
        process = parents[process]
    return process == root


def check(stream: Iterator[np.ndarray], images: Images) -> np.ndarray:
    """The first batch, after a check of its shape, type and range, so that no peer is fast because it does less."""
    mean, deviation = plain_statistics(images)
    first = next(stream).copy()
    sampled = [normalized(first[..., ::4, ::4])]
    for batch in (next(stream) for _ in range(3)):
        assert batch.shape == (BATCH, 3, SIZE, SIZE) and batch.dtype in (np.float32, np.uint8), (batch.shape, batch.dtype)
        assert batch.flags.c_contiguous, "a batch is not in one piece"
        sampled.append(normalized(batch[..., ::4, ::4]))
    assert np.isfinite(sampled).all()
    assert abs(np.mean(sampled) - mean) < 0.3, f"mean {np.mean(sampled):.3f}, of the plain images {mean:.3f}"
    assert 0.7 < np.std(sampled) / deviation < 1.3, f"deviation {np.std(sampled):.3f}, of the plain images {deviation:.3f}"
    assert not np.array_equal(sampled[0], sampled[1]), "two batches are the same"
    return first


def normalized(batch: np.ndarray) -> np.ndarray:
    """A copy, normalised if it is bytes."""
    if batch.dtype == np.float32:
        return batch.copy()
    mean, deviation = (np.array(values, np.float32).reshape(3, 1, 1) for values in (MEAN, STD))
    return (batch / np.float32(255) - mean) / deviation


def measure(stream: Iterator[np.ndarray], seconds: float, touch: bool) -> dict[str, float]:
    """Medians over repetitions. The consumer waits, and with `touch` reads each byte; what was prefetched is used up before the first that counts."""
    rates, costs = [], []
    for repetition in range(REPETITIONS + 1):
        count, cpu, start = 0, tree_cpu_ms(os.getpid()), time.perf_counter()
        length = seconds / REPETITIONS if repetition else seconds / 2  # the first warms caches, worker processes and tuners
        while (elapsed := time.perf_counter() - start) < length or count < AT_LEAST:
            batch = next(stream)
            if touch:
                batch.reshape(-1).view(np.int64).max()
            count += BATCH
        if repetition:
            rates.append(count / elapsed)
            costs.append((tree_cpu_ms(os.getpid()) - cpu) / count)
    return {"images_per_second": statistics.median(rates), "cpu_ms": statistics.median(costs), "cpu_ms_all": costs}


def save_grid(path: str, batch: np.ndarray) -> None:
    """Writes the first images of a batch as one picture."""
    pictures = np.clip((normalized(batch[:16]).transpose(0, 2, 3, 1) * STD + MEAN) * 255, 0, 255).astype(np.uint8)
    rows = [np.hstack(pictures[row : row + 4]) for row in range(0, 16, 4)]
    cv2.imwrite(path, cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", help="MODULE or MODULE:FUNCTION")
    parser.add_argument("--data", required=True)
    parser.add_argument("--decode", action="store_true", help="decode each time instead of keeping decoded images")
    parser.add_argument("--touch", action="store_true", help="read each byte of each batch")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--grid", help="write sixteen images of a batch to this file")
    args = parser.parse_args()
    module, _, function = args.peer.partition(":")
    cv2.setNumThreads(0)  # before any work: a forked worker has none of the threads of its parent
    images = Images.find(args.data, warm=not args.decode)
    stream = getattr(importlib.import_module(module), function or "batches")(images, args.workers)
    first = check(stream, images)
    if args.grid:
        save_grid(args.grid, first)
    result = measure(stream, args.seconds, args.touch)
    print(json.dumps(result), flush=True)
    os._exit(0)  # threads and workers of an endless stream need no farewell; children notice that their parent has gone


if __name__ == "__main__":
    main()
