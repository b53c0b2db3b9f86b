"""Writes tests/fixtures/train_step.safetensors: three training steps of a narrow ResNet18 in PyTorch.

Made with torch 2.15.0, numpy and safetensors (pip install torch==2.15.0 numpy safetensors), on the CPU:

    python tests/generate/train_step.py

The body is written as torchvision names and wires it, the head as fastai does; the optimizer is torch.optim.Adam behind fastai's
decoupled decay. All numbers are computed in float64 and stored rounded to float32. For every tensor `T` that is compared there is a
scalar `error/T`: the largest deviation of the same computation in float32, relative to the tensor's largest element, from which tests
derive their tolerance.
"""

import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

WIDTH, HIDDEN, CLASSES, BATCH, SIZE, STEPS = 4, 16, 3, 6, 64, 3
LEARNING_RATES = [1e-3, 3e-3, 1e-2]
BETA1 = [0.95, 0.9, 0.85]
BETA2, EPSILON, WEIGHT_DECAY = 0.99, 1e-8, 0.01


class Basic(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or inputs != width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + shortcut)


class Masked(nn.Module):
    """Dropout with a given mask."""

    mask = None

    def forward(self, x):
        return x * self.mask


class ConcatPool(nn.Module):
    def forward(self, x):
        return torch.cat([F.adaptive_max_pool2d(x, 1), F.adaptive_avg_pool2d(x, 1)], 1)


class Network(nn.Module):
    def __init__(self, width, hidden, classes, depths=(2, 2, 2, 2)):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for stage, depth in enumerate(depths):
            blocks = []
            for position in range(depth):
                stride = 2 if stage > 0 and position == 0 else 1
                blocks.append(Basic(inputs, width << stage, stride))
                inputs = width << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.head = nn.Sequential(
            ConcatPool(), nn.Flatten(), nn.BatchNorm1d(2 * inputs), Masked(), nn.Linear(2 * inputs, hidden), nn.ReLU(),
            nn.BatchNorm1d(hidden), Masked(), nn.Linear(hidden, classes),
        )

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.head(self.layer4(self.layer3(self.layer2(self.layer1(x)))))


def group(name):
    if name.startswith("head"):
        return 2
    return 1 if name.startswith(("layer3", "layer4")) else 0


def mask(generator, shape, probability):
    keep = torch.rand(shape, generator=generator) >= probability
    return keep.float() / (1 - probability)


def batches():
    """The same float32 numbers for every precision. Images are smooth, as photos are."""
    generator = torch.Generator().manual_seed(20)
    for _ in range(STEPS):
        coarse = torch.randn(BATCH, 3, SIZE // 8, SIZE // 8, generator=generator)
        images = F.interpolate(coarse, size=SIZE, mode="bilinear") + 0.1 * torch.randn(
            BATCH, 3, SIZE, SIZE, generator=generator
        )
        # Half precision keeps the file small.
        yield {
            "images": images.half().float(),
            "labels": torch.randint(CLASSES, (BATCH,), generator=generator),
            "head.3.mask": mask(generator, (BATCH, 16 * WIDTH), 0.25),
            "head.7.mask": mask(generator, (BATCH, HIDDEN), 0.5),
        }


def initial():
    torch.manual_seed(10)
    network = Network(WIDTH, HIDDEN, CLASSES)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            # No initial value that could hide an error: norms are not the identity, biases and statistics not zero or one.
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.dim() == 1 and name.endswith("weight"):
                tensor.uniform_(0.6, 1.4)
            elif tensor.dim() == 1:
                tensor.normal_(0, 0.2)
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def adam(network):
    """Adam over the trainable parameters of each layer group."""
    groups = [[], [], []]
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups[group(name)].append(parameter)
    return torch.optim.Adam([{"params": g} for g in groups], betas=(BETA1[0], BETA2), eps=EPSILON)


def update(optimizer, step):
    """One step of Adam, after fastai's decoupled weight decay."""
    for settings, rate in zip(optimizer.param_groups, LEARNING_RATES):
        settings["lr"], settings["betas"] = rate, (BETA1[step], BETA2)
        with torch.no_grad():
            for parameter in settings["params"]:
                parameter.mul_(1 - rate * WEIGHT_DECAY)
    optimizer.step()


def add(stored, exact, single, prefix=""):
    """Adds float64 results, rounded to float32, and the errors of the float32 results."""
    for name, tensor in exact.items():
        scale = tensor.abs().max().item()
        error = (single[name].double() - tensor).abs().max().item() / scale if scale > 0 else 0.0
        stored[f"{prefix}{name}"] = tensor.float().numpy()
        stored[f"error/{prefix}{name}"] = np.array(error, np.float32)


def save(stored, name):
    """Writes the fixture NAME.safetensors of the program NAME.py."""
    path = pathlib.Path(__file__).parent.parent / "fixtures" / f"{name}.safetensors"
    path.parent.mkdir(exist_ok=True)
    metadata = {"torch": torch.__version__.split("+")[0], "made by": f"tests/generate/{name}.py"}
    save_file({name: np.array(array, order="C") for name, array in stored.items()}, path, metadata)
    print(path.stat().st_size, "bytes,", len(stored), "tensors")


def train(dtype):
    network = Network(WIDTH, HIDDEN, CLASSES)
    network.load_state_dict(initial())
    network.to(dtype).train()
    optimizer = adam(network)
    results = {}
    for step, batch in enumerate(batches()):
        network.head[3].mask = batch["head.3.mask"].to(dtype)
        network.head[7].mask = batch["head.7.mask"].to(dtype)
        logits = network(batch["images"].to(dtype))
        loss = F.cross_entropy(logits, batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        results[f"loss.{step}"] = loss.detach()
        results[f"logits.{step}"] = logits.detach().clone()
        if step == 0:
            for name, parameter in network.named_parameters():
                results[f"gradient/{name}"] = parameter.grad.clone()
        update(optimizer, step)
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            results[f"final/{name}"] = tensor.clone()
    network.eval()
    with torch.no_grad():
        results["inference"] = network_eval(network, next(iter(batches()))["images"].to(dtype))
    return results


def network_eval(network, images):
    network.head[3].mask = network.head[7].mask = 1.0
    return network(images)


def main():
    torch.set_num_threads(1)
    exact, single = train(torch.float64), train(torch.float32)
    stored = {}
    for name, tensor in initial().items():
        if not name.endswith("num_batches_tracked"):
            stored[f"initial/{name}"] = tensor.numpy()
    for step, batch in enumerate(batches()):
        for name, tensor in batch.items():
            stored[f"batch/{step}/{name}"] = (tensor.half() if name == "images" else tensor).numpy()
    add(stored, exact, single)
    save(stored, "train_step")
    for name in ("loss.0", "loss.1", "loss.2"):
        print(name, exact[name].item(), single[name].item())
    worst = sorted(((float(v), k) for k, v in stored.items() if k.startswith("error/")), reverse=True)[:8]
    print(worst)


if __name__ == "__main__":
    main()
