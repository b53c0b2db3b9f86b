"""Writes tests/fixtures/imbalance_losses.json: losses for imbalanced classes and their gradients, and optimizers with schedules, as PyTorch
computes them.

Made with torch 1.13.1 (Debian's, which calls itself 1.13.0a0), on the CPU, in float64:

    python tests/generate/imbalance_losses.py

Margins and normalised layer are written as in the code of Cao et al. (LDAM-DRW), smoothing as in that of Zhong et al. (MiSLAS); cross entropies,
normalisation, optimizers, parameter groups and schedulers are PyTorch's.
"""

import json
import math
import pathlib

import torch
from torch.nn import functional as F
from torch.optim import lr_scheduler

ROWS, FEATURES, CLASSES = 6, 5, 4
torch.manual_seed(5)
X = torch.randn(ROWS, FEATURES, dtype=torch.float64).float().double()
WEIGHT = torch.randn(CLASSES, FEATURES, dtype=torch.float64).float().double()
LABELS = torch.tensor([0, 3, 1, 2, 0, 0])
OTHERS = torch.tensor([1, 3, 0, 0, 2, 1])
PARTS = torch.tensor([0.25, 0.5, 0.0, 0.125, 0.375, 0.5], dtype=torch.float64)
IMAGES = torch.tensor([500.0, 20.0, 120.0, 7.0], dtype=torch.float64)
SCALE = 16.0


def linear(x, w):
    return x @ w.T


def cosines(x, w):
    return SCALE * F.normalize(x, dim=1) @ F.normalize(w, dim=1).T


def cross_entropy(z, weight=None):
    return F.cross_entropy(z, LABELS, weight=weight)


def ldam(z, largest, weight=None, smoothing=0.0):
    margins = 1.0 / IMAGES.sqrt().sqrt()
    margins = margins * (largest / margins.max())
    reduced = z - SCALE * F.one_hot(LABELS, CLASSES) * margins[LABELS][:, None]
    return F.cross_entropy(reduced, LABELS, weight=weight, label_smoothing=smoothing)


def effective(beta):
    weights = (1.0 - beta) / (1.0 - beta**IMAGES)
    return weights / weights.sum() * CLASSES


def power(gamma):
    weights = (IMAGES.min() / IMAGES) ** gamma
    return weights / weights.mean()


def label_aware(head, tail, mixed=False):
    least, most = IMAGES.min(), IMAGES.max()
    smooth = tail + (head - tail) * torch.sin((IMAGES - least) * math.pi / (2 * (most - least)))

    def of(z, labels):
        log_p = F.log_softmax(z, 1)
        of_label = -log_p.gather(1, labels[:, None])[:, 0]
        return (1 - smooth[labels]) * of_label - smooth[labels] * log_p.mean(1)

    def loss(z):
        if mixed:
            return ((1 - PARTS) * of(z, LABELS) + PARTS * of(z, OTHERS)).mean()
        return of(z, LABELS).mean()

    return loss


def losses():
    weights = effective(0.99)
    for name, settings, head, loss in [
        ("cosine head", {}, cosines, cross_entropy),
        ("margins", {"ldam": 0.5}, cosines, lambda z: ldam(z, 0.5)),
        ("margins, weighted", {"ldam": 0.25, "weights": weights.tolist()}, cosines, lambda z: ldam(z, 0.25, weights)),
        ("margins, smoothed", {"ldam": 0.5, "label_smoothing": 0.1}, cosines, lambda z: ldam(z, 0.5, None, 0.1)),
        ("weights to a power", {"class_weights": "power:0.5"}, linear, lambda z: cross_entropy(z, power(0.5))),
        ("label-aware smoothing", {"label_smoothing": 0.4, "tail_smoothing": 0.1}, linear, label_aware(0.4, 0.1)),
        (
            "label-aware smoothing, mixed",
            {"label_smoothing": 0.3, "tail_smoothing": 0.0, "mixed": True},
            linear,
            label_aware(0.3, 0.0, True),
        ),
    ]:
        x, w = X.clone().requires_grad_(), WEIGHT.clone().requires_grad_()
        value = loss(head(x, w))
        value.backward()
        yield {
            "name": name,
            "settings": settings,
            "is_cosine": head is cosines,
            "loss": value.item(),
            "x": x.grad.tolist(),
            "weight": w.grad.tolist(),
        }


GRADIENTS = [[0.5, -1.0], [0.25, 2.0], [-1.5, 0.0], [1.0, 1.0]] * 3


def optimizers():
    """A parameter after 12 steps, of 4 epochs of 3 steps."""
    steps = len(GRADIENTS)

    def cosine(optimizer):
        warmup = lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=3)
        cosine = lr_scheduler.CosineAnnealingLR(optimizer, steps - 3)
        return lr_scheduler.SequentialLR(optimizer, [warmup, cosine], [3])

    def step(optimizer):
        return lr_scheduler.StepLR(optimizer, 6, 0.5)

    def constant(optimizer):
        return lr_scheduler.ConstantLR(optimizer, 1.0, steps)

    warm = {"schedule": "cosine", "warmup_epochs": 1.0}
    adamw, sgd = torch.optim.AdamW, torch.optim.SGD
    for settings, make, schedule in [
        ({"name": "sgd", **warm}, lambda p: sgd(p, 0.1, momentum=0.9, weight_decay=0.25), cosine),
        (
            {"name": "sgd", "momentum": 0.8, "nesterov": True, "schedule": "step:2:0.5"},
            lambda p: sgd(p, 0.1, momentum=0.8, nesterov=True, weight_decay=0.25),
            step,
        ),
        ({"name": "sgd", "momentum": 0.0, "schedule": "constant"}, lambda p: sgd(p, 0.1, weight_decay=0.25), constant),
        (
            {"name": "adamw", "betas": [0.5, 0.75], **warm},
            lambda p: adamw(p, 0.1, betas=(0.5, 0.75), weight_decay=0.25),
            cosine,
        ),
    ]:
        parameter = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
        optimizer = make([parameter])
        scheduler = schedule(optimizer)
        for gradient in GRADIENTS:
            parameter.grad = torch.tensor(gradient, dtype=torch.float64)
            optimizer.step()
            scheduler.step()
        yield {"settings": settings, "parameter": parameter.tolist()}


def main():
    stored = {
        "made by": "tests/generate/imbalance_losses.py",
        "torch": torch.__version__.split("+")[0],
        "x": X.tolist(),
        "weight": WEIGHT.tolist(),
        "scale": SCALE,
        "labels": LABELS.tolist(),
        "others": OTHERS.tolist(),
        "parts": PARTS.tolist(),
        "images": [int(images) for images in IMAGES],
        "losses": list(losses()),
        "gradients": GRADIENTS,
        "optimizers": list(optimizers()),
    }
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "imbalance_losses.json"
    path.write_text(json.dumps(stored, separators=(",", ":")) + "\n")
    for case in stored["losses"]:
        print(case["name"], case["loss"])
    for case in stored["optimizers"]:
        print(case["settings"], case["parameter"])


if __name__ == "__main__":
    main()
