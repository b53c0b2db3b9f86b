"""The typed surface, by two type checkers."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PYTHON = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("checker", [["mypy"], ["pyright"]])
def test_the_package_is_typed_strictly(checker):
    program = shutil.which(checker[0], path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip(f"{checker[0]} is not installed: make python")
    checked = subprocess.run([program], cwd=PYTHON, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_stub_describes_the_extension(tmp_path):
    pytest.importorskip("mypy")
    allowed = tmp_path / "allowed"
    # The buffer protocol has no attribute before Python 3.12.
    allowed.write_text("equibatch._native.Tensor.__buffer__\n")
    command = [sys.executable, "-m", "mypy.stubtest", "equibatch._native", "--allowlist", allowed, "--ignore-unused-allowlist"]
    checked = subprocess.run(command, cwd=PYTHON, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
