"""These tests need PyTorch: `make python-torch` installs it. Where it is missing, none is collected."""

import importlib.util
import struct

import pytest

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]


def write_bitmap(path, side, pixel):
    """A 24-bit bitmap; `pixel(x, y)` is blue, green, red."""
    rows = b"".join(bytes(pixel(x, y)) for y in range(side) for x in range(side))
    header = struct.pack("<2sIHHI", b"BM", 54 + len(rows), 0, 0, 54)
    path.write_bytes(header + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, len(rows), 0, 0, 0, 0) + rows)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """30 flowers and 9 birds of 32 x 32 pixels; those of a class are alike, and no two are equal."""
    root = tmp_path_factory.mktemp("flowers-birds")
    for channel, (name, count) in enumerate({"birds": 9, "flowers": 30}.items()):
        (root / name).mkdir()
        for number in range(count):
            pixel = lambda x, y: [(x * 7 + y * number) % 64 + (180 if channel == c else 0) for c in range(3)]
            write_bitmap(root / name / f"{number:02}.bmp", 32, pixel)
    return root
