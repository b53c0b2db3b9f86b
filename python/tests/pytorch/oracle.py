"""What a plan must give, counted by brute force in exact fractions; shares no code with the engine."""

from fractions import Fraction


def shares(counts, balance, num_samples):
    """Exact draws per class in an epoch, before they are rounded."""
    present = [count for count in counts if count]
    if isinstance(balance, dict):
        weights = [Fraction(balance.get(label, 0)) if count else Fraction(0) for label, count in enumerate(counts)]
        total = sum(count for count, weight in zip(counts, weights, strict=True) if weight)
    else:
        each = {"oversample": max(present), "undersample": min(present)}
        weights = [Fraction(each.get(balance, count)) if count else Fraction(0) for count in counts]
        total = sum(weights)
    return [(num_samples or total) * weight / sum(weights) for weight in weights]


def assert_apportioned(found, exact):
    """Each is its exact share rounded up or down, and none is lost."""
    assert sum(found) == round(sum(exact))
    assert all(abs(count - share) < 1 for count, share in zip(found, exact, strict=True)), (found, exact)


def scaled(counts, total):
    """Exact shares of `total` in the proportions of `counts`."""
    return [total * Fraction(count) / sum(counts) for count in counts]
