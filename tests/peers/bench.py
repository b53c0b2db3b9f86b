"""Compares Equibatch with its alternatives: the same images, the same augmentation, the same machine, one after another.

Prints a Markdown table; with --json, also one JSON object as the last line.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
SERVER = HERE.parent.parent / "target/release/server"
PEERS = {
    "opencv": ("OpenCV, threads", "peer_opencv"),
    "dali": ("DALI on the CPU", "peer_dali"),
    "albumentations": ("albumentations, DataLoader", "peer_albumentations"),
    "torchvision": ("torchvision v2 on tensors, DataLoader", "peer_torchvision"),
    "torchvision-pillow": ("torchvision v2 on Pillow images, DataLoader", "peer_torchvision:batches_by_pillow"),
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
PACKAGES = ("opencv-python-headless", "nvidia-dali-cuda120", "albumentations", "torch", "torchvision", "pillow", "tensorflow-cpu", "numpy")


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="a folder of class folders with JPEG files")
    parser.add_argument("--seconds", type=float, default=6, help="measured time of each case (default: 6)")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="threads or processes (default: one per core)")
    parser.add_argument("--only", nargs="+", choices=[*PEERS, "equibatch"], help="measure these alone")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add what is measured to this file, and print all that it holds")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    args = parser.parse_args()
    wanted = args.only or [*PEERS, "equibatch"]
    kept = json.loads(args.keep.read_text()) if args.keep and args.keep.exists() else {}

    ours: dict | str = kept.get("equibatch", "not asked for")
    if "equibatch" in wanted:
        command = [str(SERVER), "bench", "--json", "--only", "engine,decode,stream", "--data", args.data]
        ours = last_json_line(command + ["--threads", str(args.workers)], 900)
    peers: dict[str, dict[str, dict]] = kept.get("peers", {})
    for key in (key for key in PEERS if key in wanted):
        peers[key] = {}
        for case in ("warm", "decode"):
            command = [sys.executable, str(HERE / "measure.py"), PEERS[key][1], "--data", args.data]
            command += ["--seconds", str(args.seconds), "--workers", str(args.workers)]
            outcome = last_json_line(command + ["--decode"] * (case == "decode"), 300 + 5 * args.seconds)
            if isinstance(outcome, str):
                print(f"skipped {key}, {case}: {outcome}", file=sys.stderr)
                outcome = {"skipped": outcome}
            peers[key][case] = outcome

    if args.keep:
        args.keep.write_text(json.dumps({"equibatch": ours, "peers": peers}))
    versions = {name: version(name) for name in PACKAGES}
    load = os.getloadavg()[0]
    print(f"{date.today()}, {processor()}, {args.workers} workers on {len(os.sched_getaffinity(0))} cores, load average at the end {load:.1f};")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {number}" for name, number in versions.items()))
    print()
    print(f"    {shlex.join(['python', 'tests/peers/bench.py', *sys.argv[1:]])}")
    print()
    print("| | decoded images kept: CPU-ms per image | images/s | decoding each time: CPU-ms per image | images/s |")
    print("|---|--:|--:|--:|--:|")
    if isinstance(ours, dict):
        for name, prefixes in OURS.items():
            warm, decode = (ours_of(ours, prefix) for prefix in prefixes)
            if warm:
                print(row(name, warm, decode))
    else:
        print(f"skipped equibatch: {ours}", file=sys.stderr)
    for key in (key for key in PEERS if key in peers):
        cases = peers[key]
        print(row(PEERS[key][0], cases["warm"], cases["decode"]))
    if args.json:
        ours = ours if isinstance(ours, dict) else {"skipped": ours}
        print(json.dumps({"workers": args.workers, "load_average": load, "versions": versions, "equibatch": ours, "peers": peers}))


if __name__ == "__main__":
    main()
