"""The checks of cuda.sh, which sets up the libraries.

On the device as on the CPU: the losses of a short training in each precision, with gradients of convolutions by cuDNN and by standard operators, and the loss
of models trained on either. On the device parameters are updated as vectors, on the CPU one by one. No node may run on the CPU: the client refuses that
itself. Batches of the Python package, if it can be imported, are on the device what they are on the CPU. Then one table with medians of training steps of ResNet34 at 224x224, networks from ONNX files, operators by time, and an epoch's wait.
"""

import argparse
import importlib.util
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch_step

# Relative difference of the mean loss of an epoch of 11 steps from the CPU's in single precision, at a rate at which training does not amplify
# the last bit of every sum (BENCHMARKS, "Parity with PyTorch over a run").
TOLERANCES = {"f32": 1e-3, "tf32": 2e-2, "f16": 5e-2, "bf16": 5e-2}
# `fast`: gradients of convolutions by cuDNN; an error if it cannot be loaded.
OPERATORS = ["fast", "standard"]
NETWORKS = "tests/fixtures/networks"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", default="target/release/client")
    parser.add_argument("--server", default="target/release/server")
    parser.add_argument("--device", default="cuda", help="cpu tries the script itself, in single precision only")
    parser.add_argument("--batches", default="64,256")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=7, help="nothing begins later than this")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


class Checks:
    def __init__(self, options):
        self.options, self.failed, self.until = options, 0, time.monotonic() + 60 * options.minutes
        self.precisions = ["f32"] if options.device == "cpu" else list(TOLERANCES)

    def client(self, *arguments):
        """What it prints; raises if it fails, or after the time is up."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time was up")
        command = [self.options.client, *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=left + 30)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-600:]}")
        return done.stdout

    def check(self, name, run):
        began = time.monotonic()
        try:
            print(f"ok    {name}: {run()} [{time.monotonic() - began:.0f} s]", flush=True)
        except Exception as error:  # Each check stands alone.
            self.failed += 1
            print(f"FAILED {name}: {error}", flush=True)

    def losses(self, socket, folder):
        """Trains an epoch on the CPU, then in each precision on the device."""
        common = ["train", "--server", f"unix:{socket}", "--arch", "resnet18", "--size", "64", "--batch-size", "16", "--epochs", "1", "--images-per-epoch", "176",
                  "--seed", "1", "--max-lr", "1e-5", "--no-tensorboard"]
        loss = lambda run: json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["train_loss"]
        self.client(*common, "--operators", "standard", "--out", folder / "cpu")
        expected = loss(folder / "cpu")
        for precision in self.precisions:
            for operators in OPERATORS:
                run = folder / f"{precision}-{operators}"
                def trained():
                    self.client(*common, "--device", self.options.device, "--precision", precision, "--operators", operators, "--out", run)
                    difference = abs(loss(run) - expected) / expected
                    assert difference <= TOLERANCES[precision], f"loss {loss(run)}, on the CPU {expected}"
                    return f"relative difference of the loss {difference:.1e}"
                self.check(f"training, {precision}, {operators} operators", trained)
        first = folder / f"{self.precisions[0]}-{OPERATORS[0]}"
        again = folder / "again"
        def repeated():
            self.client(*common, "--device", self.options.device, "--precision", self.precisions[0], "--operators", OPERATORS[0], "--out", again)
            difference = abs(loss(again) - loss(first)) / expected
            assert difference <= TOLERANCES[self.precisions[0]], f"losses {loss(first)} and {loss(again)}"
            return f"relative difference of the loss {difference:.1e}" if difference else "the same loss, bit for bit"
        self.check("training again", repeated)

    def inference(self, socket, folder):
        for run in ("cpu", f"{self.precisions[0]}-{OPERATORS[0]}"):
            def evaluated():
                on = [json.loads(self.client("evaluate", "--json", "--server", f"unix:{socket}", "--device", device, folder / run))["models"][run]["loss"]
                      for device in ("cpu", self.options.device)]
                assert abs(on[0] - on[1]) <= 1e-3 * on[0], f"loss {on[1]}, on the CPU {on[0]}"
                return f"loss {on[1]:.5f}, on the CPU {on[0]:.5f}"
            self.check(f"evaluation of the run {run}", evaluated)

    def networks(self):
        for file in sorted(pathlib.Path(NETWORKS).glob("*.onnx")):
            self.check(f"a step of {file.name}", lambda: f"{self.bench('--model', file, '--size', 32, '--batch-size', 4, '--steps', 2)['median_ms']:.1f} ms")

    def bench(self, *arguments):
        line = json.loads(self.client("bench", "--json", "--device", self.options.device, *arguments).splitlines()[-1])
        return {**line, "median_ms": statistics.median(line["step_ms"])}

    def table(self):
        print("\n| batch | precision | client, ms | standard operators, ms | PyTorch eager, ms | ratio | PyTorch precision |\n|--:|---|--:|--:|--:|--:|---|",
              flush=True)
        for batch in map(int, self.options.batches.split(",")):
            for precision in self.precisions:
                ours, standard = [self.step(operators, batch, precision) for operators in OPERATORS]
                theirs = self.torch(batch, precision)
                cells = [f"{time:.1f}" if time else "-" for time in (ours, standard, theirs)]
                print(f"| {batch} | {precision} | {' | '.join(cells)} | {f'{ours / theirs:.2f}' if ours and theirs else '-'} "
                      f"| {'AMP ' if precision in ('f16', 'bf16') else ''}{precision}, channels last |", flush=True)
        print(flush=True)

    def step(self, operators, batch, precision):
        """The median of the milliseconds of a step, or None if it failed."""
        try:
            return self.bench("--batch-size", batch, "--size", self.options.size, "--steps", self.options.steps, "--precision", precision, "--operators",
                              operators)["median_ms"]
        except Exception as error:
            self.failed += 1
            print(f"FAILED step of batch {batch}, {precision}, {operators} operators: {error}", flush=True)

    def torch(self, batch, precision):
        """The median in milliseconds, or None without PyTorch."""
        command = [sys.executable, __file__, "--device", self.options.device, "--size", str(self.options.size), "--steps", str(self.options.steps),
                   "--worker", f"{batch},{precision}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=180)
        return float(done.stdout) if done.returncode == 0 else None

    def loader(self, socket):
        """Compares the batches of three epochs on the device, which take turns in pinned memory, with those on the CPU."""
        import equibatch
        import torch

        def batches(**options):
            loader = equibatch.Loader(f"unix:{socket}", batch_size=16, image_size=64, seed=1, rank=0, world_size=1, epochs=3, **options)
            return [batch for _ in range(3) for batch in loader]

        expected = batches(dtype="float32", device="cpu")
        on_cuda = self.options.device.startswith("cuda")
        ways = {"float32": {"dtype": "float32", "device": self.options.device}, "uint8": {"dtype": "uint8", "device": self.options.device}}
        if on_cuda:
            ways["pinned"] = {"dtype": "float32", "pin_memory": True}
        for name, options in ways.items():
            found = batches(**options)
            assert len(found) == len(expected), f"{name}: {len(found)} batches"
            # Pixels are rounded to bytes before PyTorch normalises them.
            tolerance = 0.01 if name == "uint8" else 0
            for one, other in zip(found, expected):
                assert one.images.device.type == ("cpu" if name == "pinned" else torch.device(self.options.device).type), one.images.device
                assert one.images.is_pinned() == (name == "pinned"), name
                difference = (one.images.cpu() - other.images).abs().max().item()
                assert difference <= tolerance and one.labels.cpu().equal(other.labels), f"{name}: difference {difference}"
        return f"{', '.join(ways)}: {len(expected)} batches each"

    def operators(self):
        batch = self.options.batches.split(",")[0]
        with tempfile.TemporaryDirectory() as folder:
            print(f"\nOperators by time, batch {batch}:")
            print(self.client("bench", "--device", self.options.device, "--batch-size", batch, "--size", self.options.size, "--steps", 3, "--profile", f"{folder}/profile"))

    def waiting(self, socket, folder):
        def trained():
            self.client("train", "--server", f"unix:{socket}", "--epochs", "2", "--batch-size", "32", "--size", self.options.size, "--device", self.options.device,
                        "--precision", self.precisions[-1], "--out", folder / "waiting", "--no-tensorboard")
            epoch = json.loads((folder / "waiting/metrics.jsonl").read_text().splitlines()[-1])
            return f"{epoch['images_per_second']:.0f} images/s, {epoch['wait_share']:.1%} of the time waiting for batches"
        self.check("a whole training, batch 32", trained)


def torch_worker(options):
    """Prints the median of the milliseconds of a step in PyTorch, eager, channels last."""
    import torch

    batch, precision = options.worker.split(",")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    device = torch.device(options.device)
    model = torch.nn.Sequential(*torch_step.resnet34(2)).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.95, 0.99), weight_decay=0.01, fused=device.type == "cuda")
    images = torch.randn(int(batch), 3, options.size, options.size, device=device).to(memory_format=torch.channels_last)
    labels = torch.arange(int(batch), device=device) % 2
    half = {"f16": torch.float16, "bf16": torch.bfloat16}.get(precision)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "f16")

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, half, enabled=half is not None):
            loss = torch.nn.functional.cross_entropy(model(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.item()

    for _ in range(3 if device.type == "cuda" else 1):
        step()
    times = []
    for _ in range(options.steps):
        began = time.perf_counter()
        step()
        times.append((time.perf_counter() - began) * 1000)
    print(statistics.median(times))


def main():
    options = parse()
    if options.worker:
        return torch_worker(options)
    checks = Checks(options)
    with torch_step.samples_served(options) as (data, socket):
        folder = data.parent
        checks.check("training on the CPU, to compare with", lambda: checks.losses(socket, folder) or "done")
        checks.inference(socket, folder)
        checks.table()
        checks.networks()
        checks.check("operators", lambda: checks.operators() or "above")
        if importlib.util.find_spec("torch") and importlib.util.find_spec("equibatch"):
            checks.check("the loader of the Python package", lambda: checks.loader(socket))
        checks.waiting(socket, folder)
    print(f"\n{checks.failed} checks failed." if checks.failed else "\nEvery check passed.")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
