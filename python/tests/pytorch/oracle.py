"""What a plan must give, counted by brute force in exact fractions; shares no code with the engine."""

import math
from fractions import Fraction


def draws(counts, balance, num_samples):
    """Draws per class in an epoch before whole batches are made of them."""
    present = [count for count in counts if count]
    if isinstance(balance, dict):
        weights = [Fraction(balance.get(label, 0)) if count else Fraction(0) for label, count in enumerate(counts)]
        total = sum(count for count, weight in zip(counts, weights) if weight)
    else:
        each = {"oversample": max(present), "undersample": min(present)}
        weights = [Fraction(each.get(balance, count)) if count else Fraction(0) for count in counts]
        total = sum(weights)
    return largest_remainder(num_samples or int(total), weights)


def largest_remainder(total, weights):
    """Of equal remainders, the larger weight first, then the lower index."""
    exact = [total * weight / sum(weights) for weight in weights]
    shares = [math.floor(share) for share in exact]
    order = sorted((i for i, w in enumerate(weights) if w), key=lambda i: (-(exact[i] - shares[i]), -weights[i], i))
    for index in order[: total - sum(shares)]:
        shares[index] += 1
    return shares


def epoch_draws(counts, balance, num_samples, batch_size, drop_last):
    """Draws per class in an epoch, and its steps."""
    wanted = draws(counts, balance, num_samples)
    steps = sum(wanted) // batch_size
    if not drop_last:
        return wanted, -(-sum(wanted) // batch_size)
    return largest_remainder(steps * batch_size, [Fraction(count) for count in wanted]), steps
