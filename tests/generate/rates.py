"""Compares trainings at the learning rate that `client find-lr` finds with trainings at the default rate, and prints the table of BENCHMARKS.md.

Five networks on three data sets that `server sample-data` draws, with several seeds each: a sweep, a training at its `valley`, and one at 3e-3
that differs in nothing else; errors are those on new drawn images, equally many of each class. Needs Python's standard library and the programs:

    cargo build --release --locked --workspace
    python tests/generate/rates.py --programs target/release --folder data/rates

A folder of an earlier call is gone on with: what it has measured already is not measured again.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NETWORKS = ROOT / "tests" / "fixtures" / "networks"
DEFAULT = "3e-3"
LETTERS = "abcdefghijklmnop"
DATA = {
    "2 classes": ("flowers,birds", "200,20", 300),
    "5 classes": ("fish,trees,houses,boats,cats", "120,60,40,20,10", 120),
    "16 classes": (",".join(LETTERS), "82,60,45,35,28,22,18,14,11,9,7,6,5,4,3,3", 40),
}
NETS = {
    "resnet18@16": (["--arch", "resnet18@16"], 32),
    "resnet34@8": (["--arch", "resnet34@8"], 48),
    "cnn": (["--model", NETWORKS / "cnn.onnx", "--unfreeze"], 32),
    "mobile": (["--model", NETWORKS / "mobile.onnx", "--unfreeze"], 32),
    "mlp": (["--model", NETWORKS / "mlp.onnx", "--unfreeze"], 32),
}
STEPS = ["--batch-size", 32, "--images-per-epoch", 640]
EPOCHS = 8


class Bench:
    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder
        self.log = folder / "measured.jsonl"
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.known = {tuple(key): value for key, value in map(json.loads, lines)}
        self.servers, self.addresses = [], {}

    def run(self, program, *arguments):
        done = subprocess.run([self.programs / program, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{program} {' '.join(map(str, arguments))}\n{done.stderr}")
        return done.stdout

    def serve(self, data):
        classes, counts, new = DATA[data]
        folder = self.folder / data.replace(" ", "-")
        if not folder.exists():
            self.run("server", "sample-data", folder, "--classes", classes, "--counts", counts, "--test-count", new)
        command = [self.programs / "server", "serve", "--data", f"data={folder}", "--listen", "127.0.0.1:0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.servers.append(server)
        self.addresses[data] = server.stdout.readline().strip().rsplit(" on ", 1)[1]

    def measured(self, measure, *key):
        if key not in self.known:
            self.known[key] = measure(*key)
            with self.log.open("a") as log:
                log.write(json.dumps([key, self.known[key]]) + "\n")
        return self.known[key]

    def setup(self, data, net, seed):
        flags, size = NETS[net]
        return ["--server", self.addresses[data], *flags, "--size", size, *STEPS, "--threads", 1, "--seed", seed]

    def found(self, data, net, seed):
        """The suggestions of a sweep; None if it makes none."""
        out = self.run("client", "find-lr", *self.setup(data, net, seed), "--json", "--out", self.folder / "find")
        return json.loads(out)["suggestions"]

    def error(self, data, net, seed, rate):
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        setup = self.setup(data, net, seed)
        self.run("client", "train", *setup, "--epochs", EPOCHS, "--max-lr", rate, "--no-tensorboard", "--out", run)
        judge = ["--server", self.addresses[data], "--split", "test", "--threads", 1, "--json"]
        models = json.loads(self.run("client", "evaluate", run, *judge))["models"]
        return models["run"]["error_rate"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target" / "release")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=6)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("ORT_DYLIB_PATH", str(next((ROOT / ".runtime/onnxruntime/capi").glob("libonnxruntime.so.*"))))
    os.environ.setdefault("EQUIBATCH_LOG", "warn")
    bench = Bench(arguments.programs, arguments.folder)
    rows = {}
    try:
        for data in DATA:
            bench.serve(data)
        for seed in range(1, arguments.seeds + 1):
            for data in DATA:
                for net in NETS:
                    found = bench.measured(bench.found, data, net, seed)
                    if found is None:
                        rows.setdefault((data, net), []).append(None)
                        continue
                    rate = f"{found['valley']:.2e}"
                    errors = [bench.measured(bench.error, data, net, seed, rate) for rate in (DEFAULT, rate)]
                    rows.setdefault((data, net), []).append((found["valley"], *errors))
    finally:
        for server in bench.servers:
            server.terminate()
    print(f"| data | network | found | error at {DEFAULT} | error at what was found | difference | refused |")
    print("|---|---|---|---|---|---|---|")
    for (data, net), results in rows.items():
        runs = [run for run in results if run]
        refused = f"{len(results) - len(runs)} of {len(results)}"
        if not runs:
            print(f"| {data} | {net} | - | - | - | - | {refused} |")
            continue
        rates, usual, found = zip(*runs)
        gaps = [100 * (one - other) for other, one in zip(usual, found)]
        spread = f" ± {statistics.stdev(gaps) / math.sqrt(len(gaps)):.1f}" if len(gaps) > 1 else ""
        mean = [100 * statistics.mean(errors) for errors in (usual, found)]
        print(f"| {data} | {net} | {min(rates):.1e} to {max(rates):.1e} | {mean[0]:.1f} % | {mean[1]:.1f} % "
              f"| {statistics.mean(gaps):+.1f}{spread} | {refused} |")


if __name__ == "__main__":
    main()
