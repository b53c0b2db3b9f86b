"""ResNet18 learns the same from the loader as from the gRPC client of docs/how-to/own-trainer.md, which shares no code with it."""

import subprocess
import sys
from collections.abc import Iterator

import numpy
import pytest
import torch
from conftest import ROOT, serving

import equibatch

sys.path.append(str(ROOT / "tests" / "generate"))
from train_step import Network  # noqa: E402

# With gRPC, and without `equibatch`, which is also the name of the generated modules.
PYTHON = ROOT / ".tools" / "python" / "bin" / "python"
BATCH, SIZE, SEED = 8, 32, 3
PROGRAM = f"""
import os, sys
from grpc_tools import protoc
proto, page, address = sys.argv[1:]
assert protoc.main(["protoc", f"-I{{proto}}", "--python_out=.", "--grpc_python_out=.", f"{{proto}}/equibatch/v1/equibatch.proto"]) == 0
sys.path[:0] = [os.getcwd(), page]
from own_trainer import Stream, np
with Stream(address, split="train", batch_size={BATCH}, image_size={SIZE}, seed={SEED}, epochs=1) as stream:
    for images, batch in stream:
        sys.stdout.buffer.write(images.tobytes() + np.array(batch.labels, np.int64).tobytes())
"""

Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


def plain_grpc(address, folder) -> Batches:
    command = [PYTHON, "-c", PROGRAM, ROOT / "proto", ROOT / "docs" / "how-to", address]
    received = subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout
    pixels = BATCH * 3 * SIZE * SIZE * 4
    for start in range(0, len(received), pixels + BATCH * 8):
        images = numpy.frombuffer(received, numpy.float32, pixels // 4, start).reshape(BATCH, 3, SIZE, SIZE)
        labels = numpy.frombuffer(received, numpy.int64, BATCH, start + pixels)
        yield torch.from_numpy(images.copy()), torch.from_numpy(labels.copy())


def loader(where) -> Batches:
    return iter(equibatch.Loader(where, batch_size=BATCH, image_size=SIZE, seed=SEED, dtype="float32", device="cpu", rank=0, world_size=1))


def losses(batches):
    torch.manual_seed(0)
    model = Network(64, 512, 2).train()
    for masked in (model.head[3], model.head[7]):
        masked.mask = 1.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    found = []
    for images, labels in batches:
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.skipif(not PYTHON.exists(), reason="gRPC is not installed: make python-tools")
def test_resnet18_reaches_the_losses_of_the_plain_grpc_client(folder, tmp_path):
    with serving(folder) as server:
        expected = losses(plain_grpc(server.address, tmp_path))
        assert len(expected) == 6 and expected[-1] < expected[0]
        assert losses(loader(server.address)) == expected
        assert losses(loader(folder)) == expected
