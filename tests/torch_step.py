"""Compares training steps on ONNX Runtime (`client bench`) with the same steps in PyTorch, on the CPU: ResNet34 with fastai's head, and
networks of torchvision and timm, which the client gets as the ONNX files that torch.onnx.export writes.

The two take turns, so that both meet the same noise of the machine; what counts is the median of the ratios of neighbouring turns. Both
get the same number of threads. The PyTorch side is what its documentation recommends for eager training: contiguous and channels-last
both take their turns, and the one that is faster in the median counts; a row may add torch.compile. CPU time is what all threads of a process computed, waiting for one
another included.

Then inference: as validation computes it, beside plain onnxruntime with the exported model (`--inference`).

Then `client train` trains an epoch from a server on the same machine: the share of the time that it waits for batches. Last, the whole experiment, wall
clock, beside fastai (fastai_experiment.py): from the start of the client to its end, and of fastai without its imports.

    make bench-torch
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import fastai_experiment


# Network, batch size, body, and how PyTorch runs it.
ROWS = {
    "resnet34_16": ("resnet34", 16, "trained", "eager"),
    "resnet34_32": ("resnet34", 32, "trained", "eager"),
    "frozen_32": ("resnet34", 32, "frozen", "eager"),
    "compile": ("resnet34", 16, "trained", "compile"),
    "efficientnet_lite0": ("timm.efficientnet_lite0", 16, "trained", "eager"),
    "mobilenet_v2": ("torchvision.mobilenet_v2", 16, "trained", "eager"),
    "convnext_tiny": ("torchvision.convnext_tiny", 16, "trained", "eager"),
    "vit_small": ("timm.vit_small_patch16_224", 16, "trained", "eager"),
}

# Networks whose inference is compared.
INFERENCE = {"resnet34": "resnet34", "efficientnet_lite0": "timm.efficientnet_lite0"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", default="target/release/client")
    parser.add_argument("--server", default="target/release/server", help="what to train an epoch from; nothing for no training")
    parser.add_argument("--rows", default=",".join(ROWS), help="comma-separated names of rows")
    parser.add_argument("--inference", default=",".join(INFERENCE), help="comma-separated networks of which inference is compared with onnxruntime")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=2, help="steps a turn, after one step to warm up")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--layout", default="channels_last", choices=("contiguous", "channels_last"), help="of fastai's experiment; elsewhere both take their turns")
    parser.add_argument("--experiments", type=int, default=1, help="turns of the whole experiment, minutes each; 0 for none")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--export", help=argparse.SUPPRESS)
    parser.add_argument("--onnx", help=argparse.SUPPRESS)
    return parser.parse_args()


def resnet34(classes):
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

        def forward(self, x):
            identity = x if self.downsample is None else self.downsample(x)
            return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + identity)

    class ConcatPool(nn.Module):
        def forward(self, x):
            return torch.cat([nn.functional.adaptive_max_pool2d(x, 1), nn.functional.adaptive_avg_pool2d(x, 1)], 1)

    body = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for outputs, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for index in range(count):
            body.append(Block(inputs, outputs, 2 if index == 0 and outputs > 64 else 1))
            inputs = outputs
    head = [ConcatPool(), nn.Flatten(), nn.BatchNorm1d(1024), nn.Dropout(0.25), nn.Linear(1024, 512), nn.ReLU(inplace=True),
            nn.BatchNorm1d(512), nn.Dropout(0.5), nn.Linear(512, classes)]
    return nn.Sequential(*body), nn.Sequential(*head)


def body_and_head(name):
    """The parts of a network for two classes. Networks of libraries are all body."""
    from torch import nn

    if name == "resnet34":
        return resnet34(2)
    library, name = name.split(".")
    if library == "timm":
        import timm

        return timm.create_model(name, num_classes=2), nn.Identity()
    import torchvision

    return torchvision.models.get_model(name, weights=None, num_classes=2), nn.Identity()


def export(name, size, path):
    """Writes a network of a library as an ONNX file, batch norms as they are in training. Runs in a process of its own."""
    import torch

    torch.manual_seed(0)
    network, _ = body_and_head(name)
    torch.onnx.export(network.eval(), (torch.zeros(2, 3, size, size),), path, dynamo=False, opset_version=17, do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE, keep_initializers_as_inputs=False, input_names=["images"],
                      output_names=["logits"], dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}})


def torch_worker(options):
    """Runs in a process of its own: one line of step times in milliseconds for each line read."""
    import torch

    name, layout, frozen, mode, batch = options.worker.split(",")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    body, head = body_and_head(name)
    model = torch.nn.Sequential(body, head).to(memory_format=memory_format).train()
    if frozen == "frozen":
        for module in body.modules():
            if not isinstance(module, torch.nn.BatchNorm2d):
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(False)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-3, betas=(0.95, 0.99), weight_decay=0.01)
    if mode == "compile":
        model = torch.compile(model)
    images = torch.randn(int(batch), 3, options.size, options.size).to(memory_format=memory_format)
    labels = torch.arange(int(batch)) % 2

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    answer(options, step)


def onnx_worker(options):
    """Infers the logits of noise with the model of a file, a turn for each line read."""
    sys.path.insert(0, ".runtime")
    import numpy
    import onnxruntime

    file, batch = options.onnx.split(",")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
    images = numpy.random.default_rng(0).standard_normal((int(batch), 3, options.size, options.size), numpy.float32)
    answer(options, lambda: session.run(["logits"], {"images": images}))


def answer(options, step):
    for _ in sys.stdin:
        step()
        times, cpu = [], time.process_time()
        for _ in range(options.steps):
            start = time.perf_counter()
            step()
            times.append((time.perf_counter() - start) * 1000)
        cpu = (time.process_time() - cpu) * 1000 / options.steps
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(json.dumps({"step_ms": times, "cpu_ms_per_step": cpu, "peak_rss_mb": peak}), flush=True)


class Worker:
    def __init__(self, options, kind, *row):
        command = [sys.executable, __file__, kind, ",".join(map(str, row)), "--size", str(options.size),
                   "--steps", str(options.steps), "--threads", str(options.threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def turn(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        # Libraries print notices, too.
        return next(json.loads(line) for line in self.process.stdout if line.startswith("{"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def client_turn(options, file, frozen, batch, inference=None):
    command = [options.client, "bench", "--json", "--batch-size", str(batch), "--size", str(options.size),
               "--steps", str(options.steps), "--threads", str(options.threads)]
    if frozen == "frozen":
        command.append("--frozen")
    if file:
        command += ["--model", file]
    if inference:
        command += ["--inference", inference]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def median_of(turns, key):
    return statistics.median(statistics.median(turn[key]) if key == "step_ms" else turn[key] for turn in turns)


def file_of(options, name, folder):
    """The ONNX file of a network; of the client's own none."""
    if name == "resnet34":
        return None
    file = f"{folder}/{name}.onnx"
    subprocess.run([sys.executable, __file__, "--export", f"{name},{file}", "--size", str(options.size)], check=True,
                   stdout=subprocess.DEVNULL)
    return file


def compare_inference(options, network, folder):
    name, batch, model = INFERENCE[network], 16, f"{folder}/{network}-inference.onnx"
    file = file_of(options, name, folder)
    client_turn(options, file, "trained", batch, model)
    side, ours, theirs = Worker(options, "--onnx", model, batch), [], []
    for _ in range(options.pairs):
        ours.append(client_turn(options, file, "trained", batch, model))
        theirs.append(side.turn())
    side.close()
    ratios = [median_of([mine], "step_ms") / median_of([other], "step_ms") for mine, other in zip(ours, theirs)]
    step, cpu = ([median_of(turns, key) for turns in (ours, theirs)] for key in ("step_ms", "cpu_ms_per_step"))
    print(f"Inference of {name}, batch {batch}: validation {step[0]:.1f} ms ({cpu[0]:.0f} CPU-ms), onnxruntime {step[1]:.1f} ms ({cpu[1]:.0f} CPU-ms), "
          f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})", flush=True)
    return statistics.median(ratios)


def compare(options, row, folder):
    name, batch, frozen, mode = ROWS[row]
    file = file_of(options, name, folder)
    sides = {layout: Worker(options, "--worker", name, layout, frozen, mode, batch) for layout in ("contiguous", "channels_last")}
    ours, theirs = [], {layout: [] for layout in sides}
    for _ in range(options.pairs):
        ours.append(client_turn(options, file, frozen, batch))
        for layout, side in sides.items():
            theirs[layout].append(side.turn())
    for side in sides.values():
        side.close()
    layout = min(theirs, key=lambda layout: median_of(theirs[layout], "step_ms"))
    theirs = theirs[layout]
    ratios = [median_of([mine], "step_ms") / median_of([other], "step_ms") for mine, other in zip(ours, theirs)]
    ratio, memory = statistics.median(ratios), [max(turn["peak_rss_mb"] for turn in turns) for turns in (ours, theirs)]
    step, cpu = ([median_of(turns, key) for turns in (ours, theirs)] for key in ("step_ms", "cpu_ms_per_step"))
    print(f"| {name} | {batch} | {frozen} | {mode}, {layout.replace('_', ' ')} | {step[0]:.0f} | {step[1]:.0f} | {ratio:.2f} | {min(ratios):.2f}–{max(ratios):.2f} "
          f"| {cpu[0]:.0f} | {cpu[1]:.0f} | {cpu[0] / cpu[1]:.2f} | {memory[0]:.0f} | {memory[1]:.0f} |", flush=True)
    return ratio, memory[0] / memory[1]


@contextlib.contextmanager
def samples_served(options):
    """Sample data with folders train and valid, and the socket of a server of them."""
    with tempfile.TemporaryDirectory() as folder:
        drawn, data, socket = (pathlib.Path(folder) / name for name in ("drawn", "data", "socket"))
        subprocess.run([options.server, "sample-data", drawn], check=True, stdout=subprocess.DEVNULL)
        for name in ("flowers", "birds"):
            for number, file in enumerate(sorted((drawn / name).glob("*.jpg"))):
                target = data / ("train" if number % 5 else "valid") / name
                target.mkdir(parents=True, exist_ok=True)
                shutil.move(file, target)
        server = subprocess.Popen([options.server, "serve", "--data", f"samples={data}", "--listen", f"unix:{socket}"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not socket.exists() and server.poll() is None:
                time.sleep(0.1)
            yield data, socket
        finally:
            server.terminate()
            server.wait()


def train(options, socket, run, *arguments):
    command = [options.client, "train", "--server", f"unix:{socket}", "--threads", str(options.threads), "--out", run, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def wait_share(options, batch):
    """The share of an epoch that `client train` waits for batches, of a server on this machine that decodes, augments and normalises."""
    with samples_served(options) as (data, socket):
        run = data.parent / "run"
        train(options, socket, run, "--epochs", "1", "--batch-size", str(batch), "--size", str(options.size))
        return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


def whole_experiments(options, layout):
    """The median of the ratios of the client's time and fastai's, each with new files, so that neither finds them decoded."""
    ratios = []
    for turn in range(options.experiments):
        with samples_served(options) as (data, socket):
            experiment = data.parent / "experiment.toml"
            fastai_experiment.experiment_file(experiment)
            began = time.perf_counter()
            train(options, socket, data.parent / "run", "--experiment", experiment)
            ours = time.perf_counter() - began
            command = [sys.executable, fastai_experiment.__file__, "--data", data, "--threads", str(options.threads), "--layout", layout]
            theirs = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
        ratios.append(ours / theirs["seconds"])
        print(f"\nWhole experiment, turn {turn + 1}: client {ours:.0f} s, fastai ({layout}) {theirs['seconds']:.0f} s, ratio {ratios[-1]:.2f}", flush=True)
    return statistics.median(ratios)


def main():
    options = parse()
    if options.worker:
        return torch_worker(options)
    if options.onnx:
        return onnx_worker(options)
    if options.export:
        name, path = options.export.split(",")
        return export(name, options.size, path)
    print("| network | batch | body | torch | client, ms | torch, ms | ratio | range | client, CPU-ms | torch, CPU-ms | ratio | client, MB | torch, MB |")
    print("|---|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    result, memory = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for row in filter(None, options.rows.split(",")):
            result[f"ratio_{row}"], peak = compare(options, row, folder)
            if row in ("resnet34_16", "resnet34_32"):
                memory.append(peak)
        print(flush=True)
        for network in filter(None, options.inference.split(",")):
            result[f"ratio_inference_{network}"] = compare_inference(options, network, folder)
    if memory:
        result["peak_memory_ratio"] = max(memory)
    if options.server:
        epoch = wait_share(options, 16)
        result["wait_share"] = epoch["wait_share"]
        print(f"\nAn epoch of `client train`, batch 16: {epoch['steps']} steps in {epoch['seconds']:.0f} s, "
              f"{epoch['wait_share']:.2%} of it waiting for batches.")
        if options.experiments:
            result["ratio_fastai"] = whole_experiments(options, options.layout)
    print(json.dumps({key: round(value, 4) for key, value in result.items()}))


if __name__ == "__main__":
    main()
