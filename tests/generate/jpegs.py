"""Compares our JPEG decoder with libjpeg-turbo, on drawn files of five encoders and on damaged ones, and writes tests/fixtures/jpeg-scans.

    pip install opencv-python-headless==5.0.0.93 pillow==13.0.0 mozjpeg-lossless-optimization==1.3.2 numpy
    apt install libjpeg-turbo-progs        # cjpeg and jpegtran, for scan scripts and sampling factors
    cargo build --release -p equibatch-engine --example pixels
    python tests/generate/jpegs.py --files 4000 --damaged 20000
    python tests/generate/jpegs.py --fixtures

libjpeg-turbo is Pillow's; pixels are those of `Image.convert("RGB")`. Each file must be decoded to the same pixels by both, or, damaged, be
refused by ours. Prints the differences, and ends with status 1 if there are any. Of what Pillow does not even give to libjpeg-turbo, because it
reads headers by itself, the program djpeg decides.
"""

import argparse
import hashlib
import io
import random
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import mozjpeg_lossless_optimization
import numpy as np
from PIL import Image, ImageFile

from pictures import hashes

ROOT = Path(__file__).parent.parent.parent
FIXTURES = ROOT / "tests/fixtures"
SAMPLINGS = [
    "1x1", "2x1", "2x2", "1x2", "4x1", "4x2", "1x4", "2x4", "2x2,2x2,2x2", "2x2,2x1,2x1", "2x2,1x2,2x1", "2x1,1x1,2x1",
    "1x1,2x2,1x1", "1x2,2x1,1x1", "2x2,1x1,2x1", "3x1", "1x3", "3x2,1x2,3x1", "4x1,2x1,1x1", "1x1,2x1,1x2",
]  # fmt: skip


def picture(rng: random.Random, width: int, height: int) -> np.ndarray:
    """Random gradients, edges and grain. Red, green, blue."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    image = np.stack(
        [128 + 110 * np.sin(x / numbers.uniform(2, 60) + numbers.uniform(0, 6)) * np.cos(y / numbers.uniform(2, 60)) for _ in range(3)],
        axis=-1,
    )
    for _ in range(rng.randrange(4)):
        left, top = numbers.uniform(0, width), numbers.uniform(0, height)
        image[(x - left) ** 2 + (y - top) ** 2 < numbers.uniform(0, width * height / 4)] = numbers.uniform(0, 255, 3)
    image += numbers.normal(0, rng.choice([0, 2, 10, 60]), image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def run(program: list[str], data: bytes) -> bytes:
    done = subprocess.run(program, input=data, capture_output=True)
    if done.returncode != 0 or not done.stdout:
        raise ValueError(f"{program}: {done.stderr.decode()}")
    return done.stdout


def with_scans(program: list[str], scans: str, data: bytes) -> bytes:
    """The same with a scan script."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(scans)
        file.flush()
        return run([*program, "-scans", file.name], data)


def ppm(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PPM")
    return buffer.getvalue()


def script(rng: random.Random, components: int, is_separate: bool = False) -> str:
    """A progressive scan script: levels first, each band of coefficients in one to four bits of approximation."""
    scans = []
    low = rng.choice([0, 0, 1, 2, 3])
    order = list(range(components))
    ways = [[order]] * 3 + [[order[:1], order[1:]]] * (components > 1) + [[[one] for one in order]]
    groups = ways[-1] if is_separate else rng.choice(ways)
    scans += [(group, 0, 0, 0, low) for group in groups]
    details = []
    for component in range(components):
        cuts = sorted({1, 64, *(rng.randrange(2, 64) for _ in range(rng.choice([0, 0, 1, 2, 4])))})
        for first, last in zip(cuts, cuts[1:]):
            bits = rng.choice([0, 0, 1, 1, 2, 3])
            band = [([component], first, last - 1, 0, bits)]
            band += [([component], first, last - 1, bit, bit - 1) for bit in range(bits, 0, -1)]
            details.append(band)
    details += [[(group, 0, 0, bit, bit - 1) for bit in range(low, 0, -1)] for group in groups]
    while any(details):
        band = rng.choice([band for band in details if band])
        scans.append(band.pop(0))
    return "".join(f"{','.join(map(str, group))}: {a}-{b}, {h}, {l};\n" for group, a, b, h, l in scans)


def sequential_script(rng: random.Random, components: int) -> str:
    order = list(range(components))
    groups = [order[:1], order[1:]] if rng.random() < 0.4 and components > 1 else [[one] for one in order]
    return "".join(f"{','.join(map(str, group))};\n" for group in groups)


def by_pillow(rng: random.Random, image: np.ndarray) -> bytes:
    kind = rng.choice(["RGB", "RGB", "RGB", "L", "CMYK", "keep"])
    options = {"quality": rng.randint(1, 100), "progressive": rng.random() < 0.6, "optimize": rng.random() < 0.3}
    if rng.random() < 0.3:
        options["restart_marker_blocks"] = rng.choice([1, 2, 7, 50])
    if kind == "keep":
        options["keep_rgb"] = True
    elif kind == "RGB":
        options["subsampling"] = rng.choice([0, 1, 2])
    drawn = Image.fromarray(image).convert("RGB" if kind == "keep" else kind)
    buffer = io.BytesIO()
    drawn.save(buffer, "JPEG", **options)
    data = buffer.getvalue()
    if kind == "CMYK" and rng.random() < 0.5:
        # The same inks, marked as luma and chroma.
        at = data.find(b"Adobe")
        data = data[: at + 11] + b"\x02" + data[at + 12 :]
    return data


def by_opencv(rng: random.Random, image: np.ndarray) -> bytes:
    factors = [getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{name}") for name in ("411", "420", "422", "440", "444")]
    options = [cv2.IMWRITE_JPEG_QUALITY, rng.randint(1, 100), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, rng.choice(factors)]
    options += [cv2.IMWRITE_JPEG_PROGRESSIVE, rng.randrange(2), cv2.IMWRITE_JPEG_OPTIMIZE, rng.randrange(2)]
    options += [cv2.IMWRITE_JPEG_RST_INTERVAL, rng.choice([0, 0, 1, 5])]
    drawn = image[..., 0] if rng.random() < 0.15 else image[..., ::-1]
    return cv2.imencode(".jpg", drawn, options)[1].tobytes()


def by_cjpeg(rng: random.Random, image: np.ndarray) -> bytes:
    options = ["-quality", str(rng.randint(1, 100))]
    kind = rng.choice(["colour", "colour", "colour", "grey", "rgb"])
    components = 1 if kind == "grey" else 3
    options += {"grey": ["-grayscale"], "rgb": ["-rgb"]}.get(kind, [])
    if rng.random() < 0.9:
        options += ["-sample", rng.choice(SAMPLINGS)]
    if rng.random() < 0.3:
        options += ["-restart", rng.choice(["1", "3B", "1B", "17B"])]
    if rng.random() < 0.3:
        options += ["-optimize"]
    way = rng.choice(["sequential", "progressive", "script", "script", "script", "several"])
    if way == "progressive":
        options += ["-progressive"]
    elif way in ("script", "several"):
        scans = script(rng, components) if way == "script" else sequential_script(rng, components)
        return with_scans(["cjpeg", *options], scans, ppm(image))
    return run(["cjpeg", *options], ppm(image))


def by_jpegtran(rng: random.Random, image: np.ndarray) -> bytes:
    """Another encoder's coefficients in other scans, CMYK included."""
    data = by_pillow(rng, image)
    components = Image.open(io.BytesIO(data)).layers
    scans = script(rng, components) if rng.random() < 0.8 else sequential_script(rng, components)
    return with_scans(["jpegtran", "-copy", "all"], scans, data)


def by_mozjpeg(rng: random.Random, image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    mode = rng.choice(["RGB", "RGB", "L"])
    Image.fromarray(image).convert(mode).save(buffer, "JPEG", quality=rng.randint(1, 100), subsampling=rng.choice([0, 1, 2]))
    return mozjpeg_lossless_optimization.optimize(buffer.getvalue())


ENCODERS = [by_pillow, by_opencv, by_cjpeg, by_jpegtran, by_mozjpeg]


def drawn(rng: random.Random) -> tuple[str, bytes]:
    """A file, and the name of its encoder."""
    largest = rng.choice([1, 4, 9, 17, 40, 100, 300])
    width, height = rng.randint(1, largest), rng.randint(1, largest)
    while True:
        encoder = rng.choice(ENCODERS)
        try:
            return encoder.__name__, encoder(rng, picture(rng, width, height))
        except (ValueError, OSError, cv2.error):
            continue  # A script or a factor that this encoder refuses.


def scans(data: bytes) -> list[int]:
    """Where the markers of scans are."""
    found, at = [], 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0x00, 0xFF, *range(0xD0, 0xD8)):
            at += 1
            continue
        if data[at + 1] == 0xD9:
            break
        if data[at + 1] == 0xDA:
            found.append(at)
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return found


def damaged(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    """The file with a part removed or changed."""
    kind = rng.choice(["scans", "scans", "cut", "cut", "bits", "bits", "header", "bytes", "hole", "echo", "marker"])
    starts = scans(data)
    first = starts[0] if starts else 20
    bytes_ = bytearray(data)
    if kind == "scans" and len(starts) > 1:
        # Without the last scans.
        return kind, data[: rng.choice(starts[1:])] + b"\xff\xd9"
    if kind == "cut":
        # The last remaining scan is truncated.
        at = rng.randrange(first + 10, len(data)) if len(data) > first + 11 else len(data)
        return kind, data[:at].rstrip(b"\xff") + b"\xff\xd9"
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(min(first, len(bytes_) - 1), len(bytes_))
        if kind == "header":
            at = rng.randrange(2, max(3, first + 14)) % len(bytes_)
            bytes_[at] = rng.choice([0, 1, 0xFF, 0x11, 0x22, 0x41, rng.randrange(256)])
        elif kind == "bits":
            bytes_[at] ^= 1 << rng.randrange(8)
        elif kind == "marker":
            bytes_[at : at + 2] = bytes([0xFF, rng.choice([0xD0, 0xD3, 0xD9, 0xDA, 0xC4, 0x00, 0xFF])])
        elif kind == "hole":
            del bytes_[at : at + rng.randrange(1, 60)]
        elif kind == "echo":
            bytes_[at:at] = bytes_[at : at + rng.randrange(1, 60)]
        else:
            bytes_[at] = rng.randrange(256)
    return kind, bytes(bytes_)


def digest(pixels: bytes) -> str:
    return hashlib.sha256(pixels).hexdigest()


def libjpeg(data: bytes) -> str:
    """The digest of libjpeg-turbo's pixels; "refused" if it refuses the file."""
    # In one piece, so that the size of Pillow's reads has no effect.
    ImageFile.MAXBLOCK = max(len(data), 65536)
    try:
        return digest(Image.open(io.BytesIO(data), formats=["JPEG"]).convert("RGB").tobytes())
    except Exception:  # noqa: BLE001, Pillow's are of many kinds
        return "refused"


def djpeg(data: bytes) -> str:
    """The same by the program djpeg."""
    done = subprocess.run(["djpeg", "-ppm"], input=data, capture_output=True)
    if done.returncode not in (0, 2):  # 2 is a warning
        return "refused"
    return digest(Image.open(io.BytesIO(done.stdout)).convert("RGB").tobytes())


class Ours:
    """The program that decodes as the server does."""

    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, data: bytes) -> str:
        """The digest of our pixels, or "refused: " and why."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode().strip()
        assert line, "our program ended"
        return line


def cases(seed: int, files: int, damages: int) -> Iterator[tuple[str, bytes, bool]]:
    rng = random.Random(seed)
    pool = []
    for _ in range(files):
        name, data = drawn(rng)
        pool = [*pool[-200:], data]
        yield name, data, True
        for _ in range(damages // max(files, 1)):
            kind, data = damaged(rng, rng.choice(pool))
            yield kind, data, False


def compare(arguments: argparse.Namespace) -> int:
    ours = Ours(arguments.program)
    counts: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    worst = 0
    for name, data, is_whole in cases(arguments.seed, arguments.files, arguments.damaged):
        theirs, own = libjpeg(data), ours(data)
        if theirs == "refused" and not own.startswith("refused"):
            theirs = djpeg(data)
        if own == theirs:
            outcome = "equal"
        elif own.startswith("refused"):
            outcome = "both refuse" if theirs == "refused" else "only ours refuses"
            reasons[f"{'whole' if is_whole else 'damaged'}: {own}"] += outcome == "only ours refuses"
            if is_whole and theirs != "refused":
                outcome = "DIFFERS"
        else:
            outcome = "DIFFERS"
        counts[name, outcome] += 1
        if outcome == "DIFFERS":
            worst += 1
            if arguments.keep:
                Path(arguments.keep).mkdir(exist_ok=True, parents=True)
                (Path(arguments.keep) / f"{name}-{worst}.jpg").write_bytes(data)
            print(f"{name}, {len(data)} bytes: libjpeg-turbo {theirs[:20]}, ours {own[:90]}")
    for (name, outcome), count in sorted(counts.items()):
        print(f"{name:14} {outcome:18} {count}")
    for reason, count in reasons.most_common():
        if count:
            print(f"only ours: {count:6} {reason}")
    return int(worst > 0)


def fixtures() -> None:
    """Small files of every kind, and the pixels that libjpeg-turbo decodes."""
    out = FIXTURES / "jpeg-scans"
    out.mkdir(exist_ok=True)
    rng = random.Random(13)

    def write(name: str, data: bytes) -> bytes:
        assert libjpeg(data) != "refused", name
        (out / f"{name}.jpg").write_bytes(data)
        return data

    def cjpeg(size: tuple[int, int], scans: str, *options: str) -> bytes:
        program = ["cjpeg", "-quality", str(rng.choice([30, 60, 85])), *options]
        image = ppm(picture(rng, *size))
        return with_scans(program, scans, image) if scans else run(program, image)

    def without_last(name: str, data: bytes) -> None:
        for number, start in enumerate(scans(data)[1:], 1):
            write(f"{name}-first-{number}", data[:start] + b"\xff\xd9")

    for number, sampling in enumerate(SAMPLINGS):
        # More blocks than an MCU may have.
        is_separate = sampling in ("2x2,2x2,2x2", "3x2,1x2,3x1")
        size = (17 + 5 * (number % 8), 50 - 4 * (number % 9))
        name = sampling.replace(",", "-")
        write(f"progressive-{name}", cjpeg(size, script(rng, 3, is_separate), "-sample", sampling))
        write(f"separate-{name}", cjpeg(size, "0;\n1;\n2;\n", "-sample", sampling))
    for size in [(1, 1), (2, 3), (3, 2), (7, 9), (16, 17), (33, 31), (50, 65)]:
        write(f"progressive-{size[0]}x{size[1]}", cjpeg(size, script(rng, 3), "-sample", "2x2"))
    for restart in ("1", "3B", "5B"):
        write(f"progressive-restart-{restart}", cjpeg((45, 37), "", "-progressive", "-restart", restart))
    write("progressive-rgb", cjpeg((40, 33), "", "-progressive", "-rgb"))
    write("progressive-grey", cjpeg((40, 33), "", "-progressive", "-grayscale"))
    inks = io.BytesIO()
    Image.fromarray(picture(rng, 40, 33)).convert("CMYK").save(inks, "JPEG", quality=70, progressive=True)
    at = inks.getvalue().find(b"Adobe") + 11
    write("progressive-cmyk", inks.getvalue())
    write("progressive-ycck", inks.getvalue()[:at] + b"\x02" + inks.getvalue()[at + 1 :])
    small = io.BytesIO()
    Image.fromarray(picture(rng, 60, 41)).save(small, "JPEG", quality=70)
    film = small.getvalue()
    while b"\xff\xc4" in film:
        at = film.find(b"\xff\xc4")
        film = film[:at] + film[at + 2 + struct.unpack(">H", film[at + 2 : at + 4])[0] :]
    write("film", film)
    write("mozjpeg", mozjpeg_lossless_optimization.optimize(small.getvalue()))

    # Files without their last scans: of three samplings, and of grey with two rows of blocks per MCU.
    without_last("420", cjpeg((61, 43), "", "-progressive"))
    without_last("444", cjpeg((35, 50), script(rng, 3), "-sample", "1x1"))
    without_last("grey", cjpeg((50, 41), "", "-progressive", "-grayscale", "-sample", "2x2"))
    without_last("levels-only", cjpeg((70, 25), "0,1,2: 0-0, 0, 1; 0: 1-63, 0, 0; 0,1,2: 0-0, 1, 0;", "-sample", "2x2"))
    # Truncated refinement scans.
    data = cjpeg((80, 90), "", "-progressive")
    for number, start in enumerate(scans(data)[1:], 1):
        begin = start + 2 + struct.unpack(">H", data[start + 2 : start + 4])[0]
        end = next(at for at in range(begin, len(data)) if data[at] == 0xFF and data[at + 1] != 0)
        write(f"short-{number}", data[: (begin + end) // 2].rstrip(b"\xff") + b"\xff\xd9")
    hashes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=str(ROOT / "target/release/examples/pixels"), help="our decoder (default: target/release/examples/pixels)")
    parser.add_argument("--files", type=int, default=1000, help="drawn files (default: 1000)")
    parser.add_argument("--damaged", type=int, default=4000, help="damaged files (default: 4000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="a folder for the files that differ")
    parser.add_argument("--fixtures", action="store_true", help="write the fixtures instead")
    arguments = parser.parse_args()
    if arguments.fixtures:
        fixtures()
    else:
        sys.exit(compare(arguments))


if __name__ == "__main__":
    main()
