"""Trains an ImageNet network on rare classes of real photographs, each arm with several seeds, and prints its recall on images never seen.

Runs the programs as a user would: `server serve` over a folder, `client train` and `client evaluate --split test`. All arms of a data set
take equally many steps. Each finished run is a line of runs/real/DATA.jsonl; runs that are there already are not repeated.

    make real
    python tests/real/experiment.py --data birds-5 --arms natural,adjusted --minutes 30
    python tests/real/experiment.py --data birds-5 --table         # of the runs so far
"""

import argparse
import dataclasses
import itertools
import json
import math
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import time


@dataclasses.dataclass
class Arm:
    name: str
    train: str
    evaluate: str = ""
    epochs: int = 1  # that the steps are divided into
    then: str = ""  # a second stage, from the model of the first


ARMS = [
    Arm("natural", "--balance natural"),
    Arm("natural+prior", "--balance natural", evaluate="--prior uniform"),
    Arm("oversample", "--balance oversample"),
    Arm("repeat-factor", "--balance repeat-factor"),
    Arm("deferred", "--balance natural>oversample@0.8", epochs=5),
    Arm("weighted", "--balance natural --class-weights inverse"),
    Arm("adjusted", "--balance natural --logit-adjust 1"),
    Arm("natural+tta", "--balance natural", evaluate="--tta"),
    Arm("natural+prior+tta", "--balance natural", evaluate="--prior uniform --tta"),
    Arm("adjusted+tta", "--balance natural --logit-adjust 1", evaluate="--tta"),
    Arm("ldam", "--balance natural --head cosine --ldam --class-weights effective:0.9999 --class-weights-from 5", epochs=5),
    Arm("mixup", "--balance oversample --recipe 'fastai mixup(0.4)'"),
    Arm("adjusted+mixup", "--balance natural --logit-adjust 1 --recipe 'fastai mixup(0.4)'"),
    Arm("smoothed", "--balance oversample --label-smoothing 0.1"),
    Arm("adjusted+smoothed", "--balance natural --logit-adjust 1 --label-smoothing 0.1"),
    Arm("adjusted+cosine", "--balance natural --logit-adjust 1 --head cosine"),
    Arm("adjusted+cosine15+class-means", "--balance natural --logit-adjust 1 --head cosine:15 --head-init class-means"),
    Arm("adjusted+class-means", "--balance natural --logit-adjust 1 --head-init class-means"),
    Arm("crt", "--balance natural", then="--experiment crt --stage head"),
    Arm("lws", "--balance natural", then="--experiment lws --stage head"),
    Arm("tau-norm", "--balance natural", then="--experiment tau-norm --stage normalised"),
]
# What of the network is trained, with the rate of each.
BODIES = {
    "fitted": "",  # the default: frozen, and the head fitted to kept features
    "frozen": "--freeze=all --head-steps none",
    "norms": "--freeze=but-norms",
    "norms-reestimated": "--freeze=but-norms --reestimate-norms",
    "head": "--freeze=all --head-steps auto",
    "fine-tuned": "--freeze=false --freeze-norms --max-lr ..1e-3",
    "fine-tuned-3e-3": "--freeze=false --freeze-norms --max-lr ..3e-3",
    "fine-tuned+norms": "--freeze=false --max-lr ..1e-3",
    "trained": "--freeze=false",  # everything at the default rate
    "trained+decay+ema": "--freeze=false --weight-decay 0.1 --ema 0.99",
    "trained+decay+ema-2e-3": "--freeze=false --weight-decay 0.1 --ema 0.99 --max-lr 2e-3",
    "averaged": "--freeze=false --weight-decay 0.1 --max-lr 2e-3 --schedule constant --warmup-epochs 1 --ema 0.998 --reestimate-norms",
}


@dataclasses.dataclass
class Data:
    name: str
    folder: str  # {draw}: another draw of the images for each seed
    rare: str
    steps: int
    size: int
    valid: float  # share that is held out of training, as a user would
    views: int  # of each image, with body `head`
    split: str = "test"  # that the results are of
    batch: int = 16
    epochs: int = 1  # that the steps are divided into
    recipe: str = ""  # instead of the default


DATA = [
    Data("birds-5", "birds-5/{draw}", "birds", 40, 224, 0.2, 4),
    Data("birds-10", "birds-10/{draw}", "birds", 40, 224, 0.2, 4),
    Data("birds-20", "birds-20/{draw}", "birds", 40, 224, 0.2, 4),
    Data("natural", "natural", "mushrooms", 80, 224, 0.3, 4, "valid"),
    Data("elpv", "elpv", "2-of-3", 120, 224, 0.05, 1),
    Data("elpv-24", "elpv", "2-of-3", 24 * 57, 128, 0.05, 1, batch=32, epochs=24, recipe="dihedral lighting(0.1)"),
    Data("elpv-folds", "elpv-folds/{draw}", "2-of-3", 24 * 62, 128, 0.05, 1, batch=32, epochs=24, recipe="dihedral lighting(0.1)"),
    Data("elpv-folds-2", "elpv-folds/{draw}", "2-of-3", 2 * 62, 320, 0.05, 1, batch=32, epochs=2, recipe="dihedral lighting(0.1)"),
]
DRAWS = 5
# Of Student's distribution: 97.5 % by degrees of freedom.
T = [math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


class Server:
    def __init__(self, options, data, seed):
        folder = options.photographs / data.folder.format(draw=(seed - 1) % DRAWS + 1)
        command = [options.bin / "server", "serve", "--data", f"real={folder}", "--listen", "127.0.0.1:0", "--log", "warn"]
        command += ["--split-seed", str(seed), "--valid-fraction", str(data.valid)]
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
    views = data.views if body == "head" else 1
    recipe = f"--recipe '{data.recipe}'" if data.recipe else ""
    return shlex.split(f"{of_network} {of_steps(data, views, arm.epochs)} --seed {seed} {recipe} {arm.train}")


def of_steps(data, times, epochs=1):
    epochs = max(epochs, data.epochs)
    return f"--batch-size {data.batch} --images-per-epoch {data.batch * data.steps // epochs} --epochs {times * epochs} --no-tensorboard"


def run(options, network, data, arm, body, seed):
    """One line of results."""
    first, out = folders(options, network, data, arm, body, seed)
    arguments = training(options, network, data, arm, body, seed)
    with Server(options, data, seed) as server:
        seconds = train(options, server, first, arguments)
        if arm.then:
            then = f"{arm.then} {of_steps(data, data.views)} --seed {seed}"
            seconds += train(options, server, out, ["--load", first, *shlex.split(then)])
        printed = client(options, "evaluate", "--server", server.address, "--split", data.split, "--json", *arm.evaluate.split(), out)
    result = json.loads(printed)["models"][out.name]
    epoch = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    return {
        "network": network, "data": data.name, "arm": arm.name, "body": body, "seed": seed, "steps": data.steps, "size": data.size,
        "balanced_accuracy": result["balanced_accuracy"], "accuracy": result["accuracy"], "auroc": result.get("auroc"),
        "recall": {of["name"]: of["recall"] for of in result["classes"]}, "confusion_matrix": result["confusion_matrix"],
        "seconds": round(seconds), "images_per_second": epoch["images_per_second"],
        "train": " ".join(arguments[2:]), "then": arm.then, "evaluate": arm.evaluate,
    }


def train(options, server, out, arguments):
    """Seconds that the run `out` takes, or took if it is there already."""
    note = seconds_of(out)
    if not note.exists():
        shutil.rmtree(out, ignore_errors=True)
        began = time.monotonic()
        client(options, "train", "--server", server.address, *arguments, "--out", out)
        note.write_text(str(time.monotonic() - began))
    return float(note.read_text())


def seconds_of(out):
    """The file with the seconds of the run `out`, written at its end."""
    return out.with_name(f"{out.name}.seconds")


def folders(options, network, data, arm, body, seed):
    """Of the runs of the arm's first stage, which arms share if they train alike, and of its last."""
    like = next(other.name for other in ARMS if (other.train, other.epochs) == (arm.train, arm.epochs))
    first = models(options, seed) / f"{network}-{data.name}-{like}-{body}"
    return first, first.with_name(f"{first.name}-{arm.name}") if arm.then else first


def models(options, seed):
    """Where runs are kept until all arms of their seed are finished."""
    return options.runs / "models" / str(seed)


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
    parser.add_argument("--data", default="birds-5,birds-20")
    parser.add_argument("--arms", default="natural,natural+prior,oversample,adjusted")
    parser.add_argument("--networks", default="lite0", help="comma-separated: lite0, lite1, lite2")
    parser.add_argument("--bodies", default="frozen", help=f"comma-separated: {', '.join(BODIES)}")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="instead of those of each data set")
    parser.add_argument("--size", type=int, help="height and width of the images, a multiple of 32, instead of those of each data set")
    parser.add_argument("--minutes", type=float, default=60, help="no training begins later than this")
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
                if options.table or (network, label(arm), body, seed, data.steps, data.size) in done:
                    continue
                is_trained = seconds_of(folders(options, network, data, arm, body, seed)[1]).exists()
                if time.monotonic() > end and not is_trained:
                    continue
                line = run(network, data, arm, body, seed)
                with open(options.runs / f"{data.name}.jsonl", "a") as file:
                    file.write(json.dumps(line) + "\n")
                print(f"{data.name}, {network}, {body}, {line['arm']}, seed {seed}: balanced accuracy "
                      f"{100 * line['balanced_accuracy']:.1f} %, {data.rare} {100 * line['recall'][data.rare]:.0f} %, "
                      f"{line['seconds']} s", file=sys.stderr, flush=True)
            if not options.table:
                shutil.rmtree(models(options, seed), ignore_errors=True)
    table(options, datas)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    options = parser.parse_args()
    every_run(options, lambda *which: run(options, *which))


if __name__ == "__main__":
    main()
