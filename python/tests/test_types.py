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
