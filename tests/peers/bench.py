"""Compares Equibatch with its alternatives: the same images, the same augmentation, the same machine, one after another.

Prints a Markdown table; with --json, also one JSON object as the last line.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from datetime import date
from importlib.metadata import distributions, version
from pathlib import Path

HERE = Path(__file__).parent
CASES = ("warm", "decode")
SERVER = HERE.parent.parent / "target/release/server"
PEERS = {
    "python": ("Equibatch, `Loader` in Python", "peer_equibatch"),
    "python-u8": ("Equibatch, `Loader` in Python, u8", "peer_equibatch:batches_of_bytes"),
    "python-torch": ("Equibatch, `Loader` in Python, u8 normalised by PyTorch", "peer_equibatch:batches_normalised_by_torch"),
    "opencv": ("OpenCV, threads", "peer_opencv"),
    "dali": ("DALI on the CPU", "peer_dali"),
    "ffcv": ("FFCV, without rotation and perspective", "peer_ffcv"),
    "ffcv-plain": ("FFCV, crop and flip alone", "peer_ffcv:batches_without_colours"),
    "albumentations": ("albumentations, DataLoader", "peer_albumentations"),
    "torchvision": ("torchvision v2 on tensors, DataLoader", "peer_torchvision"),
    "torchvision-pillow": ("torchvision v2 on Pillow images, DataLoader", "peer_torchvision:batches_by_pillow"),
    "fastai": ("fastai", "peer_fastai"),
    "tfdata": ("tf.data service", "peer_tfdata"),
    "tfdata-uncompressed": ("tf.data service, uncompressed", "peer_tfdata:batches_uncompressed"),
}
OURS = {
    # Name: prefixes of the figures with decoded images kept, and without.
    "Equibatch, engine alone": ("engine_f32", "engine_uncached_f32"),
    "Equibatch, shared memory": ("shared_f32", "uncached_shared_f32"),
    "Equibatch, Unix socket": ("unix_f32", None),
    "Equibatch, TCP": ("stream_f32", "uncached_f32"),
    "Equibatch, TCP, u8": ("stream_u8", "uncached_u8"),
}
PACKAGES = (
    "fastai",
    "opencv-python-headless",
    "nvidia-dali-cuda120",
    "ffcv",
    "numba",
    "albumentations",
    "torch",
    "torchvision",
    "pillow",
    "tensorflow-cpu",
    "numpy",
)


def last_json_line(command: list[str], limit: float) -> dict | str:
    """The JSON object that a command prints last, or the error."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = result.stdout.strip().splitlines()
    if result.returncode == 0 and lines:
        try:
            return json.loads(lines[-1])
        except json.JSONDecodeError:
            pass
    return (result.stderr.strip().splitlines() or lines or ["no output"])[-1]


def cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def ours_of(figures: dict, prefix: str | None) -> dict:
    """One of our cases in a peer's form; empty if it was not measured."""
    names = ("cpu_ms", "images_per_second")
    return {name: figures[f"{prefix}_{name}"] for name in names if f"{prefix}_{name}" in figures}


def processor() -> str:
    with open("/proc/cpuinfo") as file:
        return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), platform.machine())


def row(name: str, warm: dict, decode: dict) -> str:
    values = [cell(case.get("cpu_ms"), 2) + " | " + cell(case.get("images_per_second"), 0) for case in (warm, decode)]
    return f"| {name} | {' | '.join(values)} |"


def measured(args: argparse.Namespace, wanted: list[str]) -> tuple[dict, dict[str, dict[str, dict]]]:
    """The figures of one turn: ours, and those of each peer by case."""
    ours = {}
    if "equibatch" in wanted:
        command = [str(args.server), "bench", "--json", "--only", "engine,decode,stream", "--data", args.data]
        ours = outcome_of("equibatch", command + ["--threads", str(args.workers)], 900)
    peers: dict[str, dict[str, dict]] = {}
    for key in (key for key in PEERS if key in wanted):
        peers[key] = {}
        for case in CASES:
            command = [sys.executable, str(HERE / "measure.py"), PEERS[key][1], "--data", args.data]
            command += ["--seconds", str(args.seconds), "--workers", str(args.workers)]
            command += ["--decode"] * (case == "decode") + ["--touch"] * args.touch
            peers[key][case] = outcome_of(f"{key}, {case}", command, 300 + 5 * args.seconds)
    return ours, peers


def outcome_of(name: str, command: list[str], limit: float) -> dict:
    outcome = last_json_line(command, limit)
    if isinstance(outcome, str):
        print(f"skipped {name}: {outcome}", file=sys.stderr)
        return {"skipped": outcome}
    return outcome


def medians(turns: list[dict]) -> dict:
    """The medians of the figures of the turns that were not skipped; all CPU times of a peer together."""
    turns = [turn for turn in turns if "skipped" not in turn] or turns[:1]
    if "skipped" in turns[0]:
        return turns[0]
    figures = {name: value for name, value in turns[0].items() if isinstance(value, int | float)}
    found = {name: statistics.median(turn[name] for turn in turns) for name in figures}
    every = [value for turn in turns for value in turn.get("cpu_ms_all", [])]
    return turns[0] | found | ({"cpu_ms_all": every, "cpu_ms": statistics.median(every)} if every else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="a folder of class folders with JPEG files")
    parser.add_argument("--seconds", type=float, default=6, help="measured time of each case (default: 6)")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="threads or processes (default: one per core)")
    parser.add_argument("--server", type=Path, default=SERVER, help="the program (default: target/release/server)")
    parser.add_argument("--only", nargs="+", choices=[*PEERS, "equibatch"], help="measure these alone")
    parser.add_argument("--touch", action="store_true", help="read each byte of each batch of a loader in Python, as a training step does")
    parser.add_argument("--turns", type=int, default=1, metavar="N", help="measure everything N times by turns, and print medians")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add what is measured to this file, and print all that it holds")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    args = parser.parse_args()
    wanted = args.only or [*PEERS, "equibatch"]
    kept = json.loads(args.keep.read_text()) if args.keep and args.keep.exists() else {}

    turns = [measured(args, wanted) for _ in range(args.turns)]
    ours: dict | str = medians([ours for ours, _ in turns]) if "equibatch" in wanted else kept.get("equibatch", "not asked for")
    peers: dict[str, dict[str, dict]] = kept.get("peers", {})
    for key in (key for key in PEERS if key in wanted):
        peers[key] = {case: medians([found[key][case] for _, found in turns]) for case in CASES}

    if args.keep:
        args.keep.write_text(json.dumps({"equibatch": ours, "peers": peers}))
    installed = {found.name for found in distributions()}
    versions = {name: version(name) for name in PACKAGES if name in installed}
    load = os.getloadavg()[0]
    print(f"{date.today()}, {processor()}, {args.workers} workers on {len(os.sched_getaffinity(0))} cores, load average at the end {load:.1f};")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {number}" for name, number in versions.items()))
    print()
    print(f"    {shlex.join(['python', 'tests/peers/bench.py', *sys.argv[1:]])}")
    print()
    print("| | decoded images kept: CPU-ms per image | images/s | decoding each time: CPU-ms per image | images/s |")
    print("|---|--:|--:|--:|--:|")
    if isinstance(ours, dict) and "skipped" not in ours:
        for name, prefixes in OURS.items():
            warm, decode = (ours_of(ours, prefix) for prefix in prefixes)
            if warm:
                print(row(name, warm, decode))
    for key in (key for key in PEERS if key in peers):
        cases = peers[key]
        print(row(PEERS[key][0], cases["warm"], cases["decode"]))
    if args.json:
        ours = ours if isinstance(ours, dict) else {"skipped": ours}
        print(json.dumps({"workers": args.workers, "load_average": load, "versions": versions, "equibatch": ours, "peers": peers}))


if __name__ == "__main__":
    main()
