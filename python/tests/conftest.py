"""Small folders of images, and servers of them."""

import os
import re
import shutil
import struct
import subprocess
import sys
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


OPEN = "import equibatch, sys; loader = equibatch.Loader(sys.argv[1]); loader.classes; print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def ranks(monkeypatch):
    """This process is one of two ranks of a run."""
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", f"test-{os.getpid()}")


@pytest.fixture
def shared(folder, ranks, tmp_path):
    """A folder whose engine is that of another rank."""
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    command = [sys.executable, "-c", OPEN, copy]
    with subprocess.Popen(command, cwd=ROOT / "python", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        yield copy
        other.kill()
