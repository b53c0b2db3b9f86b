"""Prints the learning rates that the tests of crates/training/src/schedule/learning_rate.rs expect.

They are computed as PyTorch's schedulers compute them, each from the one before (`LinearLR`, `CosineAnnealingLR` and `StepLR`, one after the
other as in `SequentialLR`), and not by the closed forms that the crate uses. Needs Python's standard library.
"""

import math


def linear(start, steps):
    """`LinearLR`: factors of `steps` steps, from `start` towards 1."""
    factor = start
    for step in range(steps):
        if step > 0:
            factor *= 1 + (1 - start) / (steps * start + (step - 1) * (1 - start))
        yield factor


def cosine(steps, end):
    """`CosineAnnealingLR`: `steps + 1` factors from 1 to `end`."""
    factor = 1.0
    for step in range(steps + 1):
        if step > 0:
            last = 1 + math.cos(math.pi * (step - 1) / steps)
            factor = end + (1 + math.cos(math.pi * step / steps)) / last * (factor - end)
        yield factor


def steps(size, gamma, count):
    """`StepLR`."""
    factor = 1.0
    for step in range(count):
        if step > 0 and step % size == 0:
            factor *= gamma
        yield factor


def show(name, rates, at):
    rates = list(rates)
    print(name, [(step, float(f"{rates[step]:.10g}")) for step in at])


show("cosine(100)", (1e-3 * f for f in cosine(100, 0.0)), (0, 1, 25, 50, 99))
warm = [*linear(0.01, 20), *cosine(80, 0.1)]
show("cosine(100).warmup(20).end_factor(0.1).max_lr(2e-3)", (2e-3 * f for f in warm), (0, 1, 10, 19, 20, 40, 60, 99, 100))
show("step(30, 0.1).max_lr(0.1)", (0.1 * f for f in steps(30, 0.1, 100)), (0, 29, 30, 59, 60, 90))
show("step(3, 0.5).warmup(4).max_lr(1.0)", [*linear(0.01, 4), *steps(3, 0.5, 9)], (0, 1, 3, 4, 6, 7, 10))
