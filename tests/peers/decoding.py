"""Compares what decoding alone takes: libjpeg-turbo, as it is in OpenCV and in Pillow, and our decoder, by turns on the same files.

Prints processor time per image in milliseconds: of each turn, and the medians.
"""

import argparse
import io
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from PIL import Image

from bench import SERVER
from images import Images, pixels


def measured(decode: Callable[[bytes], object], files: list[bytes], seconds: float) -> float:
    """Milliseconds of processor time per image of at least so many seconds' work."""
    start = time.process_time()
    count = 0
    while (taken := time.process_time() - start) < seconds:
        for file in files:
            decode(file)
        count += len(files)
    return 1000 * taken / count


def by_pillow(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def by_us(data: str, seconds: float) -> float:
    command = [SERVER, "bench", "--json", "--only", "decode", "--rounds", "1", "--threads", "1"]
    command += ["--seconds", str(seconds), "--data", data]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(result.stdout.splitlines()[-1])["decode_cpu_ms"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="a folder of class folders with JPEG files")
    parser.add_argument("--turns", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="measured time of a turn (default: 1.5)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    files = [Path(path).read_bytes() for path in Images.find(args.data, warm=False).paths]
    ways: dict[str, Callable[[], float]] = {
        "OpenCV": lambda: measured(pixels, files, args.seconds),
        "Pillow": lambda: measured(by_pillow, files, args.seconds),
        "Equibatch": lambda: by_us(args.data, args.seconds),
    }
    turns = [{name: way() for name, way in ways.items()} for _ in range(args.turns)]
    print("| | CPU-ms per image | turns |\n|---|--:|---|")
    for name in ways:
        values = [turn[name] for turn in turns]
        print(f"| {name} | {median(values):.2f} | {', '.join(f'{value:.2f}' for value in values)} |")


if __name__ == "__main__":
    main()
