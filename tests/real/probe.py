"""A linear layer on the frozen features of EfficientNet-Lite0, trained to convergence in NumPy: a reference for what a head can reach.

    python tests/real/probe.py --data data/real/elpv
"""

import argparse
import itertools
import pathlib

import numpy as np
from PIL import Image

STEPS, RATE, DECAY, BATCH = 400, 10.0, 1e-4, 32


def features(model, images):
    """f32[N, 1280]: of square images."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    tensor = lambda image: ((np.asarray(image, np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)
    images = iter(images)
    batches = iter(lambda: list(itertools.islice(images, BATCH)), [])
    return np.concatenate([session.run(None, {"images": np.stack([tensor(image) for image in batch])})[0] for batch in batches])


def fit(x, labels, classes, weights, added):
    """Weights and bias of a softmax layer: gradient descent with momentum on the mean weighted cross-entropy of its logits plus `added`."""
    x = np.hstack([x, np.ones((len(x), 1), np.float32)])
    each = (weights[labels] / weights[labels].sum())[:, None].astype(np.float32)
    added = np.float32(added)
    target = np.eye(classes, dtype=np.float32)[labels]
    w, speed = np.zeros((x.shape[1], classes), np.float32), 0
    for _ in range(STEPS):
        z = x @ w + added
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        speed = 0.9 * speed - RATE * (x.T @ ((p - target) * each) + DECAY * w)
        w = w + speed
    return w[:-1], w[-1]


def normalised(train, test):
    """Both centred by the mean of the first, and of unit length."""
    mean = train.mean(0)
    unit = lambda x: (x - mean) / np.linalg.norm(x - mean, axis=1, keepdims=True)
    return unit(train), unit(test)


def recalls(train, train_labels, test, test_labels, classes):
    """Recall of each class, for each arm."""
    train, test = normalised(train, test)
    share = np.bincount(train_labels, minlength=classes) / len(train_labels)
    natural = fit(train, train_labels, classes, np.ones(classes), 0)
    arms = {
        "natural": (natural, 0),
        "natural, prior taken out afterwards": (natural, -np.log(share)),
        "inverse weights": (fit(train, train_labels, classes, 1 / share, 0), 0),
        "balanced softmax": (fit(train, train_labels, classes, np.ones(classes), np.log(share)), 0),
    }
    result = {}
    for name, ((w, bias), added) in arms.items():
        found = (test @ w + bias + added).argmax(1)
        result[name] = np.array([(found == test_labels)[test_labels == label].mean() for label in range(classes)])
    return result


def show(title, classes, results):
    print(f"\n| linear probe, {title} | balanced accuracy | " + " | ".join(classes) + " |")
    print("|---|--:|" + "--:|" * len(classes))
    for name in results[0]:
        each = np.mean([result[name] for result in results], axis=0)
        print(f"| {name} | {100 * each.mean():.1f} | " + " | ".join(f"{100 * recall:.0f}" for recall in each) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default="data/real/elpv")
    parser.add_argument("--model", type=pathlib.Path, default="data/real/lite0.features.onnx")
    parser.add_argument("--size", type=int, default=224, help="height and width of the images, a multiple of 32")
    parser.add_argument("--seeds", type=int, default=3, help="of the random split")
    options = parser.parse_args()
    classes = sorted(path.name for path in options.data.iterdir() if path.is_dir() and path.name != "test")
    listed = lambda folder: [(path, label) for label, name in enumerate(classes) for path in sorted((folder / name).iterdir())]
    train, test = listed(options.data), listed(options.data / "test")
    square = lambda path: Image.open(path).convert("RGB").resize((options.size, options.size), Image.Resampling.BILINEAR)
    x = features(options.model, (square(path) for path, _ in train + test))
    labels = np.array([label for _, label in train + test])
    learn = len(train)
    show("the folder `test`", classes, [recalls(x[:learn], labels[:learn], x[learn:], labels[learn:], len(classes))])
    random = []
    for seed in range(options.seeds):
        order = np.random.default_rng(seed).permutation(len(labels))
        cut = len(order) * 3 // 4
        some, rest = order[:cut], order[cut:]
        random.append(recalls(x[some], labels[some], x[rest], labels[rest], len(classes)))
    show(f"three quarters at random, {options.seeds} times", classes, random)


if __name__ == "__main__":
    main()
