"""Trains on the same batches as `client train`, in PyTorch, and compares the two step by step.

A server serves the sample data. `parity` (tests/src/bin/parity.rs) trains on it as `client train` does, and leaves its initial weights, its
dropout masks and the loss of every step. This program asks the same server for the same batches over gRPC, and trains the same network
from the same weights by the same schedule, all of it written here once more: the body as torchvision wires it, the head as fastai does
(tests/generate/train_step.py), AdamW as fastai wraps it, one cycle over all steps.

How far two correct programs may be apart is not a matter of taste: training amplifies the last bit of every sum. So the same training
is done in float64, and in float32 from several starts that differ by one rounding of every weight, in both memory layouts. What float32 costs
PyTorch itself, the largest deviation of these runs from the float64 run up to a step, is the band: the client may be off by no
more than `--slack` times that at any step.

Where training ends is a matter of these roundings, too, for both programs. So the client trains from as many starts as PyTorch does in
float32, and the two samples of final validation figures are compared: their means may be apart by no more than `--errors` standard errors of
their difference. Ends with 1 where anything is further off.

    make parity
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.numpy import load_file
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from train_step import Network  # noqa: E402

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
BETA2, EPSILON = 0.99, 1e-8
# Of the loss, where float32 itself is exact: the first step is off by the rounding of one forward pass.
FLOOR = 2e-5


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release", help="folder of the programs")
    parser.add_argument("--data", default="data/flowers-birds")
    parser.add_argument("--arch", default="resnet34@16", help="resnet18 or resnet34, @ width")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=3)
    # At the trainer's own 3e-3, PyTorch's float32 runs lose one another within ten steps.
    parser.add_argument("--max-lr", default="1e-4")
    parser.add_argument("--runs", type=int, default=8, help="float32 runs of each program")
    parser.add_argument("--slack", type=float, default=2.0)
    parser.add_argument("--errors", type=float, default=2.5, help="standard errors that the means of the final figures may be apart")
    return parser.parse_args()


class Server:
    def __init__(self, options):
        command = [f"{options.bin}/server", "serve", "--data", f"fb={options.data}", "--listen", "127.0.0.1:0", "--log", "warn"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip().rsplit(" on ", 1)[1]

    def close(self):
        self.process.terminate()
        self.process.wait()


def contract(folder):
    """The client side of the contract, generated from the protobuf file that the server is generated from."""
    from grpc_tools import protoc

    proto = pathlib.Path("proto")
    arguments = ["protoc", f"-I{proto}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main([*arguments, str(proto / "equibatch/v1/equibatch.proto")]) == 0
    sys.path.insert(0, str(folder))
    from equibatch.v1 import equibatch_pb2, equibatch_pb2_grpc

    return equibatch_pb2, equibatch_pb2_grpc


def batches(address, messages, stubs, config, split):
    """(images, labels) of a split: for training as the run's configuration says, for validation every image once."""
    import grpc

    request = messages.StreamBatchesRequest(
        dataset=config["dataset"], split=split, batch_size=config["batch_size"], image_size=config["image_size"])
    if split == "train":
        request.seed, request.epochs = config["seed"], config["epochs"]
        request.balance.oversample.SetInParent()
        request.recipe.text = config["recipe"]
    request.expected_fingerprint = bytes.fromhex(config["fingerprint"])
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address, options=options) as channel:
        for response in stubs.BatchLoaderStub(channel).StreamBatches(request):
            if response.WhichOneof("message") == "batch":
                batch = response.batch
                images = np.frombuffer(batch.tensor, "<f4").reshape(len(batch.labels), 3, config["image_size"], -1)
                yield torch.from_numpy(images.copy()), torch.tensor(list(batch.labels))


def one_cycle(step, steps):
    """Factor of the peak learning rate, and momentum. Source: fastai 1.0, callbacks/one_cycle.py with its defaults."""
    rising = max(int(steps * 0.3), 1)
    falling = steps - int(steps * 0.3)
    anneal = lambda start, end, share: end + (start - end) / 2 * (math.cos(math.pi * share) + 1)
    if step <= rising:
        share = step / rising
        return anneal(1 / 25, 1.0, share), anneal(0.95, 0.85, share)
    share = (step - rising) / falling
    return anneal(1.0, 1 / 250_000, share), anneal(0.85, 0.95, share)


def network(options, classes):
    name, _, width = options.arch.partition("@")
    return Network(int(width or 64), 512, classes, DEPTHS[name])


def train(options, start, masks, data, config, dtype, layout=torch.contiguous_format):
    model = network(options, len(config["classes"]))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in start.items()}, strict=False)
    model.to(dtype).to(memory_format=layout).train()
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, betas=(0.95, BETA2), eps=EPSILON)
    losses, steps = [], len(data)
    for step, (images, labels) in enumerate(data):
        for layer in (3, 7):
            model.head[layer].mask = torch.from_numpy(masks[f"head.{layer}.mask.{step}"]).to(dtype)
        loss = F.cross_entropy(model(images.to(dtype).to(memory_format=layout)), labels)
        optimizer.zero_grad()
        loss.backward()
        factor, momentum = one_cycle(step, steps)
        rate = float(config["max_lr"]) * factor
        optimizer.param_groups[0].update(lr=rate, betas=(momentum, BETA2))
        with torch.no_grad():
            for parameter in parameters:
                parameter.mul_(1 - rate * config["weight_decay"])
        optimizer.step()
        losses.append(loss.item())
    return model.eval(), losses


def judge(model, data, dtype):
    model.head[3].mask = model.head[7].mask = 1.0
    total, loss, matrix = 0, 0.0, None
    with torch.no_grad():
        for images, labels in data:
            logits = model(images.to(dtype)).double()
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            total += len(labels)
            if matrix is None:
                matrix = np.zeros((logits.shape[1],) * 2, int)
            np.add.at(matrix, (labels.numpy(), logits.argmax(1).numpy()), 1)
    return loss / total, matrix.tolist()


def right(matrix):
    """Images whose class was found."""
    return int(np.trace(np.array(matrix)))


def nudged(start, seed):
    """Every weight moved by one rounding, up or down."""
    random = np.random.default_rng(seed)
    move = lambda array: np.nextafter(array, np.where(random.random(array.shape) < 0.5, -np.inf, np.inf), dtype=np.float32)
    return {name: move(array) if seed and array.dtype == np.float32 else array for name, array in start.items()}


def main():
    options = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="equibatch-parity-"))
    messages, stubs = contract(folder)
    server = Server(options)
    try:
        ours = [f"{options.bin}/parity", server.address, str(folder), options.arch, options.size, options.batch, options.epochs, options.seed, options.max_lr, options.runs]
        subprocess.run([str(argument) for argument in ours], check=True)
        report = json.loads((folder / "report.json").read_text())
        config = report["config"]
        data = list(batches(server.address, messages, stubs, config, "train"))
        valid = list(batches(server.address, messages, stubs, config, "valid"))
    finally:
        server.close()
    start = {name: array for name, array in load_file(folder / "initial.safetensors").items() if "moment" not in name}
    masks = load_file(folder / "masks.safetensors")
    runs = report["runs"]
    assert all(len(data) == len(run["losses"]) for run in runs), "as many batches as steps"

    exact_model, exact = train(options, start, masks, data, config, torch.float64)
    exact_valid = judge(exact_model, valid, torch.float64)
    singles = []
    for run in range(options.runs):
        layout = torch.channels_last if run % 2 else torch.contiguous_format
        model, losses = train(options, nudged(start, run), masks, data, config, torch.float32, layout)
        singles.append((losses, judge(model, valid, torch.float32)))
        print(f"float32 run {run}: last loss {losses[-1]:.6f}, validation {singles[-1][1]}", flush=True)

    off = lambda losses: np.abs(np.array(losses) - np.array(exact))
    spread = np.maximum.accumulate(np.max([off(losses) for losses, _ in singles], axis=0))
    band = options.slack * spread + FLOOR
    mine = off(runs[0]["losses"])
    print(f"\n{options.arch} at {options.size}, batches of {options.batch}, {len(data)} steps at {options.max_lr}, seed {options.seed}; torch {torch.__version__.split('+')[0]}\n")
    print("| step | torch float64 | client | off by | torch float32 off by, at most so far | band |\n|--:|--:|--:|--:|--:|--:|")
    for step in range(len(data)):
        if step < 5 or (step + 1) % 5 == 0:
            print(f"| {step + 1} | {exact[step]:.6f} | {runs[0]['losses'][step]:.6f} | {mine[step]:.1e} | {spread[step]:.1e} | {band[step]:.1e} |")
    final = {
        "client": [(run["valid"]["loss"], run["valid"]["confusion_matrix"]) for run in runs],
        "torch float32": [judged for _, judged in singles],
    }
    print(f"\nat the end, float64: validation loss {exact_valid[0]:.4f}, right {right(exact_valid[1])} of {np.sum(exact_valid[1])}")
    samples = {}
    for name, outcomes in final.items():
        samples[name] = np.array([[loss, right(matrix)] for loss, matrix in outcomes])
        mean, spread = samples[name].mean(axis=0), samples[name].std(axis=0, ddof=1)
        print(f"{name}, {len(outcomes)} runs: validation loss {mean[0]:.4f} ± {spread[0]:.4f}, right {mean[1]:.1f} ± {spread[1]:.1f}: {[right(matrix) for _, matrix in outcomes]}")
    ours, theirs = samples["client"], samples["torch float32"]
    errors = np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) / np.sqrt(ours.var(axis=0, ddof=1) / len(ours) + theirs.var(axis=0, ddof=1) / len(theirs))
    agreed = {
        "losses": bool((mine <= band).all()),
        "validation_loss": bool(errors[0] <= options.errors),
        "right": bool(errors[1] <= options.errors),
    }
    worst = round(float((mine / band).max()), 3)
    print(json.dumps({"steps": len(data), "worst_share_of_band": worst, "standard_errors_apart": errors.round(2).tolist(), "agreed": agreed}))
    return 0 if all(agreed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
