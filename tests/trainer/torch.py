"""As much of PyTorch as docs/how-to/own-trainer.md uses, on NumPy: PyTorch itself takes gigabytes. Used if PyTorch is not installed."""

import types

import numpy as np


class Tensor:
    def __init__(self, array, parents=()):
        self.array, self.parents, self.grad = np.asarray(array), parents, None

    def __getattr__(self, name):
        if name in {"dtype", "shape"}:
            return getattr(self.array, name)
        raise AttributeError(f"torch.Tensor.{name} is not in the stand-in tests/trainer/torch.py")

    def flatten(self, start):
        return Tensor(self.array.reshape(*self.shape[:start], -1))

    def view(self, *shape):
        return Tensor(self.array.reshape(shape))

    def float(self):
        return Tensor(self.array.astype(np.float32))

    def argmax(self, axis):
        return Tensor(self.array.argmax(axis))

    def sum(self):
        return Tensor(self.array.sum())

    def mean(self):
        return Tensor(self.array.mean())

    def __int__(self):
        return int(self.array)

    def __float__(self):
        return float(self.array)

    def __eq__(self, other):
        return Tensor(self.array == value(other))

    def __add__(self, other):
        return Tensor(self.array + value(other))

    def __sub__(self, other):
        return Tensor(self.array - value(other))

    def __rsub__(self, other):
        return Tensor(value(other) - self.array)

    def __mul__(self, other):
        return Tensor(self.array * value(other))

    def __truediv__(self, other):
        return Tensor(self.array / value(other))

    def backward(self):
        for tensor, gradient in self.parents:
            tensor.grad = gradient


def value(other):
    return other.array if isinstance(other, Tensor) else other


def tensor(data):
    return Tensor(np.array(data if isinstance(data, np.ndarray) else list(data)))


class Linear:
    def __init__(self, inputs, outputs):
        self.weight = Tensor(np.random.default_rng(0).normal(0, 0.01, (outputs, inputs)).astype(np.float32))

    def parameters(self):
        return [self.weight]

    def __call__(self, images):
        logits = Tensor(images.array @ self.weight.array.T)
        logits.parents = (images, self.weight)
        return logits


class SGD:
    def __init__(self, parameters, lr):
        self.parameters, self.lr = list(parameters), lr

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None

    def step(self):
        for parameter in self.parameters:
            parameter.array = parameter.array - self.lr * parameter.grad


def cross_entropy(logits, labels, reduction="mean"):
    shifted = logits.array - logits.array.max(1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(labels.array))
    each = -log[rows, labels.array]
    if reduction == "none":
        return Tensor(each)
    upstream = np.exp(log)
    upstream[rows, labels.array] -= 1
    images, weight = logits.parents
    return Tensor(each.mean(), [(weight, upstream.T @ images.array / len(rows))])


nn = types.SimpleNamespace(Linear=Linear, functional=types.SimpleNamespace(cross_entropy=cross_entropy))
optim = types.SimpleNamespace(SGD=SGD)
