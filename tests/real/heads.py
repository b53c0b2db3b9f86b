"""Heads on frozen features of real photographs, trained in NumPy as `client train` does: ways to handle a rare class, on many tasks.

A task is 5, 10 or 20 photographs of one class (of birds, or of six others) against 200 of everything else, of which a fifth is held out, as
in `birds-N` of photographs.py; or the 16 natural classes. 40 or 400 steps of 16 augmented images (twice as many of the 16 classes), AdamW,
one cycle; or a head that is fitted to its optimum. The features of each image are those of its centre, or of all of it on a black square, and of
four augmented views of either, computed once. So thousands of heads take
minutes, and a default can be chosen on other classes than the one that results are reported for.

    python tests/real/heads.py --networks lite0,lite1,lite2 --steps 40
"""

import argparse
import hashlib
import itertools
import math
import pathlib
import random

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

import experiment
import probe

SIZE, VIEWS, BATCH, SEEDS = 224, 4, 16, 5
OTHERS, HELD_OUT, TEST_IMAGES = 200, 0.2, 27
CLASSES = ["birds", "mammals", "monuments", "tools", "fish", "fruit", "flowers"]
COUNTS = [5, 10, 20]
RATE, DECAY, BETA2, EPSILON = 3e-3, 0.01, 0.99, 1e-8
PENALTY, FIT_STEPS = 6e-3, 500


def scaled(image, size=SIZE):
    """The short side is `size`."""
    scale = size / min(image.size)
    return image.resize([max(size, round(side * scale)) for side in image.size], Image.Resampling.BILINEAR)


def centre(image):
    return ImageOps.fit(image, (SIZE, SIZE), Image.Resampling.BILINEAR)


def augmented(image, rng):
    """About the default recipe: flip, rotation, zoom, lighting, crop."""
    image = scaled(image)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    if rng.random() < 0.75:
        edge = SIZE // 2
        padded = Image.fromarray(np.pad(np.asarray(image), ((edge, edge), (edge, edge), (0, 0)), mode="reflect"))
        turned = padded.rotate(rng.uniform(-25, 25), Image.Resampling.BILINEAR)
        image = turned.crop((edge, edge, edge + image.width, edge + image.height))
    side = SIZE / (rng.uniform(1, 1.1) if rng.random() < 0.75 else 1)
    left, top = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side)
    image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        if rng.random() < 0.75:
            image = kind(image).enhance(rng.uniform(0.8, 1.25))
    return image


def padded(image):
    """On a black square."""
    return ImageOps.pad(image, (max(image.size),) * 2)


def features(options, network):
    """Paths, and f32[1 + VIEWS, N, D]: of the centre and of augmented views; and the same of padded images."""
    kept = options.runs / f"{network}.heads.npz"
    if not kept.exists():
        paths = sorted((options.photographs / "natural").glob("*/*.jpg"))
        images = [Image.open(path).convert("RGB") for path in paths]
        rng, model = random.Random(1), options.photographs / f"{network}.features.onnx"
        views = [probe.features(model, map(centre, images))]
        views += [probe.features(model, (augmented(image, rng) for image in images)) for _ in range(VIEWS)]
        options.runs.mkdir(parents=True, exist_ok=True)
        squares = [padded(image) for image in images]
        of_squares = [probe.features(model, map(centre, squares))]
        of_squares += [probe.features(model, (augmented(image, rng) for image in squares)) for _ in range(VIEWS)]
        np.savez(kept, paths=[f"{path.parent.name}/{path.name}" for path in paths], views=views, padded=of_squares)
    loaded = np.load(kept)
    return [pathlib.PurePosixPath(path) for path in loaded["paths"]], (loaded["views"], loaded["padded"])


def one_against_rest(paths, name, count, seed):
    """Indices and labels to train on, and to test on; the class is label 0."""
    every = sorted(range(len(paths)), key=lambda index: hashlib.sha256(paths[index].name.encode()).digest())
    rare = [index for index in every if paths[index].parent.name == name]
    others = [index for index in every if paths[index].parent.name != name]
    tested = min(TEST_IMAGES, len(rare) - max(COUNTS))
    rng = random.Random(seed)
    rare_train = rng.sample(rare[tested:], round(count * (1 - HELD_OUT)))
    others_train = rng.sample(others[:OTHERS], round(OTHERS * (1 - HELD_OUT)))
    label = lambda rare, others: (np.array(rare + others), np.array([0] * len(rare) + [1] * len(others)))
    return label(rare_train, others_train), label(rare[:tested], others[OTHERS:])


def natural_classes(paths, seed):
    """70 % of every class to train on, the rest to test on."""
    names = sorted({path.parent.name for path in paths})
    rng, parts = random.Random(seed), ([], [])
    for label, name in enumerate(names):
        own = [index for index, path in enumerate(paths) if path.parent.name == name]
        rng.shuffle(own)
        cut = round(0.7 * len(own))
        for part, some in zip(parts, (own[:cut], own[cut:])):
            part.extend((index, label) for index in some)
    return [tuple(np.array(part).T) for part in parts]


def batches(labels, draws, steps, rng):
    """i64[steps, BATCH]: indices into `labels`. Each class is drawn in proportion to `draws`, evenly over the steps, every image before any again."""
    total = steps * BATCH
    quotas = np.floor(total * draws / draws.sum()).astype(int)
    quotas[np.argmax(draws)] += total - quotas.sum()
    order = []
    for label, quota in enumerate(quotas):
        own = np.flatnonzero(labels == label)
        passes = [rng.permutation(own) for _ in range(-(-quota // len(own)))]
        at = (np.arange(quota) + rng.random(quota)) / max(quota, 1)
        order += zip(at, np.concatenate(passes)[:quota] if passes else [])
    return np.array([index for _, index in sorted(order)]).reshape(steps, BATCH)


def one_cycle(step, steps):
    """Factor of the peak rate, and momentum: as in in_pytorch.py."""
    rising = max(int(steps * 0.3), 1)
    anneal = lambda start, end, share: end + (start - end) / 2 * (math.cos(math.pi * share) + 1)
    if step <= rising:
        return anneal(1 / 25, 1, step / rising), anneal(0.95, 0.85, step / rising)
    share = (step - rising) / (steps - int(steps * 0.3))
    return anneal(1, 1 / 250_000, share), anneal(0.85, 0.95, share)


def softmax(z):
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def unit(x, axis):
    return x / np.linalg.norm(x, axis=axis, keepdims=True)


def logits(x, parts, cosine):
    """Of a linear layer, or `cosine` times the cosines of features and weights."""
    return cosine * unit(x, 1) @ unit(parts[0], 0) if cosine else x @ parts[0] + parts[1]


def slopes(x, parts, cosine, gradient):
    """Gradients of weights and bias, from those of the logits."""
    if not cosine:
        return x.T @ gradient, gradient.sum(0)
    directions, slope = unit(parts[0], 0), cosine * unit(x, 1).T @ gradient
    return (slope - directions * (slope * directions).sum(0)) / np.linalg.norm(parts[0], axis=0), 0 * parts[1]


def drawn(counts, balance):
    """In proportion to which classes are drawn."""
    share = counts / counts.sum()
    return {
        "natural": counts, "oversample": np.ones_like(counts), "power:0.5": counts**0.5,
        "repeat-factor": counts * np.maximum(1, np.sqrt(np.median(share) / share)),
    }[balance]


def train(views, indices, labels, steps, seed, balance="natural", tau=0.0, inverse=0.0, smoothing=0.0, cosine=0.0, margin=0.0):
    """Weights and bias, and the share of each class in the stream. `FROM>TO` is another balance in the last fifth of the steps."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(labels).astype(float)
    classes, width = len(counts), views.shape[2]
    *before, last = (drawn(counts, name) for name in balance.split(">"))
    late = steps // 5 if before else steps
    stream = np.concatenate([batches(labels, draws, length, rng) for draws, length in zip([*before, last], [steps - late] * len(before) + [late])])
    share = last / last.sum()
    weight = counts**-inverse
    margins = margin * (counts.min() / counts) ** 0.25
    parts = [rng.uniform(-1, 1, shape) / math.sqrt(width) for shape in ((width, classes), classes)]
    first, second = ([np.zeros_like(part) for part in parts] for _ in range(2))
    for step, chosen in enumerate(stream):
        x = views[1 + rng.integers(VIEWS, size=BATCH), indices[chosen]].astype(float)
        target = np.eye(classes)[labels[chosen]] * (1 - smoothing) + smoothing / classes
        each = weight[labels[chosen]]
        z = logits(x, parts, cosine) + tau * np.log(share) - cosine * margins * np.eye(classes)[labels[chosen]]
        gradient = (softmax(z) - target) * (each / each.sum())[:, None]
        factor, beta1 = one_cycle(step, steps)
        for part, m, v, slope in zip(parts, first, second, slopes(x, parts, cosine, gradient)):
            m += (1 - beta1) * (slope - m)
            v += (1 - BETA2) * (slope**2 - v)
            part *= 1 - RATE * factor * DECAY
            part -= RATE * factor * m / (1 - beta1 ** (step + 1)) / (np.sqrt(v / (1 - BETA2 ** (step + 1))) + EPSILON)
    return *parts, share


def fit(views, indices, labels, tau=1.0):
    """Weights, bias and shares of `client train --head-steps auto`: the optimum of an L2-regularised logistic regression on all augmented views."""
    x = views[1:, indices].reshape(-1, views.shape[2]).astype(float)
    truth = np.tile(labels, len(views) - 1)
    mean = x.mean(0)
    scale = np.sqrt(((x - mean) ** 2).sum(1).mean())
    x = (x - mean) / scale
    images = np.bincount(labels)
    share, penalty = images / len(labels), PENALTY * (1 / images).mean()
    target = np.eye(len(share))[truth]
    w, bias = np.zeros((x.shape[1], len(share))), np.zeros(len(share))
    before, momentum = (w, bias), 1.0
    for _ in range(FIT_STEPS):
        # Nesterov's accelerated gradient: half the largest squared feature bounds the curvature.
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = [now + (momentum - 1) / following * (now - old) for now, old in zip((w, bias), before)]
        gradient = (softmax(x @ ahead[0] + ahead[1] + tau * np.log(share)) - target) / len(x)
        rate = 1 / (0.5 * ((x**2).sum(1).max() + 1) + penalty)
        before, momentum = (w, bias), following
        w, bias = ahead[0] - rate * (x.T @ gradient + penalty * ahead[0]), ahead[1] - rate * gradient.sum(0)
    return w / scale, bias - mean / scale @ w, share


# Arguments of `train`, and the factor of the prior that is taken out afterwards; of `FITTED` there are none.
FITTED = {"adjusted, fitted": 0, "adjusted, padded": 1, "adjusted, padded, fitted": 1}
ARMS = {
    "natural": ({}, 0),
    "natural+prior": ({}, 1),
    "power:0.5": ({"balance": "power:0.5"}, 0),
    "repeat-factor": ({"balance": "repeat-factor"}, 0),
    "oversample": ({"balance": "oversample"}, 0),
    "deferred": ({"balance": "natural>oversample"}, 0),
    "weighted": ({"inverse": 1}, 0),
    "ldam": ({"cosine": 30, "margin": 0.5}, 0),
    "adjusted": ({"tau": 1}, 0),
    "adjusted+cosine": ({"tau": 1, "cosine": 10}, 0),
    "adjusted+smoothed": ({"tau": 1, "smoothing": 0.1}, 0),
}


def score(task, views, steps, seed, arm):
    """Balanced accuracy."""
    (indices, labels), (test, truth) = task
    arguments, prior = ARMS.get(arm, ARMS["adjusted"])
    views = views[FITTED.get(arm, 0)]
    if arm.endswith("fitted"):
        w, bias, share = fit(views, indices, labels)
    else:
        w, bias, share = train(views, indices, labels, steps, seed, **arguments)
    found = (logits(views[0, test], (w, bias), arguments.get("cosine", 0)) - prior * np.log(share)).argmax(1)
    return np.mean([(found == truth)[truth == label].mean() for label in np.unique(truth)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=pathlib.Path, default="data/real", help="what photographs.py and efficientnet_lite.py have written")
    parser.add_argument("--runs", type=pathlib.Path, default="runs/real", help="where features are kept")
    parser.add_argument("--networks", default="lite0")
    parser.add_argument("--steps", default="40,400", help="comma-separated")
    options = parser.parse_args()
    print("| network | task | steps | " + " | ".join([*ARMS, *FITTED]) + " | adjusted above oversample |")
    print("|---|---|" + "--:|" * (len(ARMS) + len(FITTED) + 2))
    for network in options.networks.split(","):
        paths, views = features(options, network)
        tasks = {"16 classes": [[natural_classes(paths, seed) for seed in range(SEEDS)]]}
        for count in COUNTS:
            of = lambda name: [one_against_rest(paths, name, count, seed) for seed in range(SEEDS)]
            tasks[f"{count} birds"] = [of("birds")]
            tasks[f"{count} of another class"] = [of(name) for name in CLASSES[1:]]
        for steps, (name, groups) in itertools.product(map(int, options.steps.split(",")), tasks.items()):
            steps *= 2 if name == "16 classes" else 1
            scores = {arm: [[score(task, views, steps, seed, arm) for seed, task in enumerate(group)] for group in groups] for arm in [*ARMS, *FITTED]}
            # Of several classes a value is one class's mean over its seeds.
            values = {arm: [np.mean(group) for group in of] if len(of) > 1 else of[0] for arm, of in scores.items()}
            above = [adjusted - oversampled for adjusted, oversampled in zip(values["adjusted"], values["oversample"])]
            print(f"| {network} | {name} | {steps} |", " | ".join(experiment.interval(each) for each in [*values.values(), above]), "|", flush=True)


if __name__ == "__main__":
    main()
