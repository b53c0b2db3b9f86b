"""Writes tests/fixtures/losses.json: losses and their gradients as PyTorch computes them.

Made with torch 2.15.0 (pip install torch==2.15.0 numpy), on the CPU, in float64:

    python tests/generate/losses.py

The cross entropies are PyTorch's own (with `weight` and `label_smoothing`), mixed labels are fastai's mixup (a mean of the losses of both
labels), and the focal loss is its formula, which PyTorch differentiates.
"""

import json
import pathlib

import torch
from torch.nn import functional as F

ROWS, CLASSES = 6, 4
torch.manual_seed(3)
LOGITS = (2 * torch.randn(ROWS, CLASSES, dtype=torch.float64)).float().double()
# One image certainly right and one certainly wrong: a naive formula overflows.
LOGITS[4] = torch.tensor([30.0, -5.0, 0.0, 1.0])
LOGITS[5] = torch.tensor([-40.0, 20.0, 0.0, 1.0])
LABELS = torch.tensor([0, 3, 1, 2, 0, 0])
OTHERS = torch.tensor([1, 3, 0, 0, 2, 1])
PARTS = torch.tensor([0.25, 0.5, 0.0, 0.125, 0.375, 0.5], dtype=torch.float64)
WEIGHTS = torch.tensor([2.5, 0.5, 0.75, 0.25], dtype=torch.float64)


def cross_entropy(smoothing=0.0, weights=None):
    return lambda x: F.cross_entropy(x, LABELS, weight=weights, label_smoothing=smoothing)


def mixup(smoothing=0.0):
    def loss(x):
        both = [F.cross_entropy(x, y, reduction="none", label_smoothing=smoothing) for y in (LABELS, OTHERS)]
        return ((1 - PARTS) * both[0] + PARTS * both[1]).mean()

    return loss


def focal(gamma, weights=None):
    """Of class labels: (1 - p)^gamma (-ln p) of the label's class, a weighted mean."""

    def loss(x):
        log_p = F.log_softmax(x, 1).gather(1, LABELS[:, None])[:, 0]
        # 1 - p without cancellation: the sum of the others.
        others = F.one_hot(LABELS, CLASSES) == 0
        missing = (F.softmax(x, 1) * others).sum(1)
        terms = -(missing**gamma) * log_p
        weight = torch.ones(ROWS, dtype=torch.float64) if weights is None else weights[LABELS]
        return (weight * terms).sum() / weight.sum()

    return loss


def main():
    cases = []
    for name, settings, loss in [
        ("cross entropy", {}, cross_entropy()),
        ("smoothed", {"label_smoothing": 0.1}, cross_entropy(0.1)),
        ("weighted", {"weights": WEIGHTS.tolist()}, cross_entropy(0.0, WEIGHTS)),
        (
            "smoothed and weighted",
            {"label_smoothing": 0.3, "weights": WEIGHTS.tolist()},
            cross_entropy(0.3, WEIGHTS),
        ),
        ("mixed", {"mixed": True}, mixup()),
        ("mixed and smoothed", {"mixed": True, "label_smoothing": 0.1}, mixup(0.1)),
        ("focal 2", {"focal": 2.0}, focal(2.0)),
        ("focal 0.5", {"focal": 0.5}, focal(0.5)),
        ("focal 1.5, weighted", {"focal": 1.5, "weights": WEIGHTS.tolist()}, focal(1.5, WEIGHTS)),
    ]:
        x = LOGITS.clone().requires_grad_()
        value = loss(x)
        value.backward()
        cases.append({"name": name, "settings": settings, "loss": value.item(), "gradient": x.grad.tolist()})
    stored = {
        "made by": "tests/generate/losses.py",
        "torch": torch.__version__.split("+")[0],
        "logits": LOGITS.tolist(),
        "labels": LABELS.tolist(),
        "others": OTHERS.tolist(),
        "parts": PARTS.tolist(),
        "cases": cases,
    }
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "losses.json"
    path.write_text(json.dumps(stored, separators=(",", ":")) + "\n")
    for case in cases:
        print(case["name"], case["loss"])


if __name__ == "__main__":
    main()
