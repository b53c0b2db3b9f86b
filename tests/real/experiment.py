"""Trains an ImageNet network on rare classes of real photographs, each arm with several seeds, and prints its recall on images never seen.

Runs the programs as a user would: `server serve` over a folder, `client train` and `client evaluate --split test`. All arms of a data set
take equally many steps. Each finished run is a line of runs/real/DATA.jsonl; runs that are there already are not repeated.

    make real
    python tests/real/experiment.py --data birds-5 --arms natural,oversample --seeds 3 --minutes 30
    python tests/real/experiment.py --data elpv --table            # of the runs so far
"""

import argparse
import dataclasses
import itertools
import json
import math
import pathlib
import shutil
import statistics
import subprocess
import sys
import time


@dataclasses.dataclass
class Arm:
    name: str
    train: str
    serve: str = ""
    evaluate: str = ""


ARMS = [
    Arm("natural", "--balance natural"),
    Arm("oversample", "--balance oversample"),
    Arm("power", "--balance power:0.5"),
    Arm("weighted", "--balance natural --class-weights inverse"),
    Arm("smoothed", "--balance oversample --label-smoothing 0.1"),
    Arm("adjusted", "--balance natural --logit-adjust 1"),
    Arm("natural+prior", "--balance natural", evaluate="--prior uniform"),
    # Of body `stages` only: each stage has a balance of its own.
    Arm("crt", "--experiment crt"),
    Arm("lws", "--experiment lws"),
    Arm("tau-norm", "--experiment tau-norm"),
]
# What of the network is trained, with the rate of each.
BODIES = {
    "frozen": "--freeze=but-norms --max-lr 3e-3",
    "all-frozen": "--freeze=all --max-lr 3e-3",
    "all": "--freeze=false --max-lr ..1e-3",
    "frozen-reestimated": "--freeze=but-norms --max-lr 3e-3 --reestimate-norms",
    "head": "--freeze=all --max-lr 3e-3 --head-steps auto",
    "stages": "--max-lr ..1e-3",
}
# Of `head`, the images of several epochs are seen once each.
EPOCHS = {"head": 4}


@dataclasses.dataclass
class Data:
    name: str
    folder: str  # {draw}: another draw of the images for each seed
    rare: str
    steps: int
    size: int
    valid: float  # share that is held out of training, as a user would
    split: str = "test"  # that the results are of


DATA = [
    Data("birds-5", "birds-5/{draw}", "birds", 40, 128, 0.2),
    Data("birds-10", "birds-10/{draw}", "birds", 40, 128, 0.2),
    Data("birds-20", "birds-20/{draw}", "birds", 40, 128, 0.2),
    Data("natural", "natural", "mushrooms", 80, 128, 0.3, "valid"),
    Data("elpv", "elpv", "2-of-3", 120, 96, 0.05),
]
BATCH, DRAWS = 16, 5
# Of Student's distribution: 97.5 % by degrees of freedom.
T = [math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


class Server:
    def __init__(self, options, data, seed, flags):
        folder = options.photographs / data.folder.format(draw=(seed - 1) % DRAWS + 1)
        command = [options.bin / "server", "serve", "--data", f"real={folder}", "--listen", "127.0.0.1:0", "--log", "warn"]
        command += ["--split-seed", str(seed), "--valid-fraction", str(data.valid), *flags.split()]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip().rsplit(" on ", 1)[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def client(options, *arguments):
    command = [str(options.bin / "client"), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def training(options, network, data, arm, body, seed):
    """The arguments of `client train`, but for server and folder."""
    model = options.photographs / f"{network}.onnx"
    of_network = f"--model {model} --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 --size {data.size} {BODIES[body]}"
    of_steps = f"--batch-size {BATCH} --images-per-epoch {BATCH * data.steps} --epochs {EPOCHS.get(body, 1)} --seed {seed} --no-tensorboard"
    return f"{of_network} {of_steps} {arm.train}".split()


def run(options, network, data, arm, body, seed):
    """One line of results."""
    out = folder = options.runs / f"{network}-{data.name}-{arm.name}-{body}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    arguments = training(options, network, data, arm, body, seed)
    began = time.monotonic()
    with Server(options, data, seed, arm.serve) as server:
        client(options, "train", "--server", server.address, *arguments, "--out", out)
        trained = time.monotonic() - began
        # The last stage of an experiment.
        if (plan := out / "experiment.json").exists():
            out = out / json.loads(plan.read_text())[-1]["name"]
        printed = client(options, "evaluate", "--server", server.address, "--split", data.split, "--json", *arm.evaluate.split(), out)
    result = json.loads(printed)["models"][out.name]
    epoch = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    if not options.keep:
        shutil.rmtree(folder)
    return {
        "network": network, "data": data.name, "arm": arm.name, "body": body, "seed": seed, "steps": data.steps, "size": data.size,
        "balanced_accuracy": result["balanced_accuracy"], "accuracy": result["accuracy"], "auroc": result.get("auroc"),
        "recall": {of["name"]: of["recall"] for of in result["classes"]}, "confusion_matrix": result["confusion_matrix"],
        "seconds": round(trained), "images_per_second": epoch["images_per_second"],
        "train": " ".join(arguments[2:]), "serve": arm.serve, "evaluate": arm.evaluate,
    }


def key(line):
    return line["network"], line["arm"], line["body"], line["seed"], line["steps"], line["size"]


def finished(options, data):
    path = options.runs / f"{data.name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def interval(values):
    """Mean and half of the 95 % interval of the mean, in percent; of fewer than three values the mean alone."""
    mean = 100 * statistics.mean(values)
    if len(values) < 3 or len(values) > len(T):
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {100 * T[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values)):.1f}"


def table(options, datas):
    """As Markdown: means over the seeds with 95 % intervals (Student's t); differences are of runs with the same seed."""
    print("| data | network | body | arm | seeds | balanced accuracy | above natural | recall, rarest | recall, largest | seconds a run |")
    print("|---|---|---|---|--:|--:|--:|--:|--:|--:|")
    for data in datas:
        lines = [line for line in finished(options, data) if (line["steps"], line["size"]) == (data.steps, data.size)]
        names = dict.fromkeys([*(arm.name for arm in ARMS), *(line["arm"] for line in lines)])
        for network, body in dict.fromkeys((line["network"], line["body"]) for line in lines):
            for name in names:
                at = lambda name: [line for line in lines if (line["network"], line["body"], line["arm"]) == (network, body, name)]
                runs = at(name)
                if not runs:
                    continue
                natural = "natural, PyTorch" if "PyTorch" in name else "natural"
                base = {line["seed"]: line for line in at(natural)}
                balanced = lambda line: line["balanced_accuracy"]
                above = [balanced(line) - balanced(base[line["seed"]]) for line in runs if name != natural and line["seed"] in base]
                sizes = dict(zip(runs[0]["recall"], map(sum, runs[0]["confusion_matrix"])))
                largest = max(sizes, key=sizes.get)
                seconds = statistics.mean(line["seconds"] for line in runs)
                recall = lambda name: interval([line["recall"][name] for line in runs])
                cells = [data.name, network, body, name, len(runs), interval(list(map(balanced, runs))), interval(above) if above else "",
                         recall(data.rare), recall(largest), f"{seconds:.0f}"]
                print("|", " | ".join(map(str, cells)), "|")


def chosen(text, of):
    """The members of `of` with the comma-separated names."""
    by_name = {each.name: each for each in of}
    if unknown := [name for name in text.split(",") if name not in by_name]:
        raise SystemExit(f"{', '.join(unknown)}: expected some of {', '.join(by_name)}")
    return [by_name[name] for name in text.split(",")]


def add_options(parser):
    parser.add_argument("--bin", type=pathlib.Path, default="target/release", help="folder of the programs")
    parser.add_argument("--photographs", type=pathlib.Path, default="data/real", help="what photographs.py and efficientnet_lite.py have written")
    parser.add_argument("--runs", type=pathlib.Path, default="runs/real")
    parser.add_argument("--data", default="birds-5,birds-20,elpv")
    parser.add_argument("--arms", default="natural,oversample,weighted")
    parser.add_argument("--networks", default="lite0", help="comma-separated: lite0, lite1, lite2")
    parser.add_argument("--bodies", default="frozen", help=f"comma-separated: {', '.join(BODIES)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="instead of those of each data set")
    parser.add_argument("--size", type=int, help="height and width of the images, a multiple of 32, instead of those of each data set")
    parser.add_argument("--minutes", type=float, default=60, help="no run begins later than this")
    parser.add_argument("--table", action="store_true", help="only print the table of the finished runs")


def every_run(options, run, label=lambda arm: arm.name):
    """Adds what `run` returns for each data set, arm, body and seed to the results, unless a result has the arm's `label`."""
    datas, arms, bodies = chosen(options.data, DATA), chosen(options.arms, ARMS), options.bodies.split(",")
    datas = [dataclasses.replace(data, steps=options.steps or data.steps, size=options.size or data.size) for data in datas]
    options.runs.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * options.minutes
    # All arms of a seed before the next seed, so that a run that is cut short can be read.
    for seed in range(1, options.seeds + 1):
        for data in datas:
            done = {key(line) for line in finished(options, data)}
            for network, body, arm in itertools.product(options.networks.split(","), bodies, arms):
                if options.table or time.monotonic() > end or (network, label(arm), body, seed, data.steps, data.size) in done:
                    continue
                line = run(network, data, arm, body, seed)
                with open(options.runs / f"{data.name}.jsonl", "a") as file:
                    file.write(json.dumps(line) + "\n")
                print(f"{data.name}, {network}, {body}, {line['arm']}, seed {seed}: balanced accuracy "
                      f"{100 * line['balanced_accuracy']:.1f} %, {data.rare} {100 * line['recall'][data.rare]:.0f} %, "
                      f"{line['seconds']} s", file=sys.stderr, flush=True)
    table(options, datas)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--keep", action="store_true", help="keep the folders of the runs, 40 MB each")
    options = parser.parse_args()
    every_run(options, lambda *which: run(options, *which))


if __name__ == "__main__":
    main()
