"""Compares decoding alone: libjpeg-turbo in OpenCV and in Pillow, and our decoder, by turns on the same files, and on
the same images as progressive files.

Prints processor time per image in milliseconds: of each turn, and the medians.
"""

import argparse
import io
import json
import subprocess
import tempfile
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
    """Milliseconds of CPU time per image, measured for at least so many seconds."""
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


def progressive(data: str, out: str) -> None:
    """Copies of the files with the same quantization and sampling, in libjpeg-turbo's progressive scans."""
    for path in map(Path, Images.find(data, warm=False).paths):
        target = Path(out) / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        Image.open(path).save(target, "JPEG", quality="keep", progressive=True)


def compare(data: str, turns: int, seconds: float) -> None:
    files = [Path(path).read_bytes() for path in Images.find(data, warm=False).paths]
    ways: dict[str, Callable[[], float]] = {
        "OpenCV": lambda: measured(pixels, files, seconds),
        "Pillow": lambda: measured(by_pillow, files, seconds),
        "Equibatch": lambda: by_us(data, seconds),
    }
    taken = [{name: way() for name, way in ways.items()} for _ in range(turns)]
    print("| | CPU-ms per image | turns |\n|---|--:|---|")
    for name in ways:
        values = [turn[name] for turn in taken]
        print(f"| {name} | {median(values):.2f} | {', '.join(f'{value:.2f}' for value in values)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="a folder of class folders with JPEG files")
    parser.add_argument("--turns", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="measured time of a turn (default: 1.5)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print("As they are:\n")
    compare(args.data, args.turns, args.seconds)
    with tempfile.TemporaryDirectory() as folder:
        progressive(args.data, folder)
        print("\nProgressive:\n")
        compare(folder, args.turns, args.seconds)


if __name__ == "__main__":
    main()
