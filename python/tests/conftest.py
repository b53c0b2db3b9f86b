"""Small folders of images, and servers of them."""

import os
import re
import struct
import subprocess
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"
COUNTS = {"birds": 5, "flowers": 23}


def png(width, height, seed):
    """An RGB image with a pattern that differs by seed."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(
        b"\0" + bytes((x * seed + y * channel * 3 + seed * 7) % 256 for x in range(width) for channel in range(3))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write_images(root, counts):
    seed = 0
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            seed += 1
            (root / name / f"{number}.png").write_bytes(png(40, 32, seed))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images") / "pictures"
    write_images(root, COUNTS)
    return root


class Server:
    def __init__(self, process, address):
        self.process = process
        self.address = address

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(folder, *options, listen="127.0.0.1:0"):
    command = [TARGET / "server", "serve", "--data", f"pictures={folder}", "--listen", listen, *options]
    environment = {**os.environ, "EQUIBATCH_LOG": "warn"}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, text=True)
    try:
        line = process.stdout.readline()
        if listen.startswith("unix:"):
            address = listen
        else:
            found = re.search(r"127\.0\.0\.1:\d+", line)
            assert found, line
            address = found.group()
        yield Server(process, address)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def server(folder):
    with serving(folder) as server:
        yield server


@pytest.fixture(scope="session")
def socket(folder, tmp_path_factory):
    """A server on a Unix socket, which offers shared memory."""
    path = tmp_path_factory.mktemp("socket") / "s"
    with serving(folder, listen=f"unix:{path}") as server:
        yield server
