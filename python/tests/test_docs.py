"""The first page of the documentation runs."""

import re
import subprocess

import pytest
from conftest import ROOT, TARGET


def test_the_first_script_of_the_documentation_trains(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    page = (ROOT / "docs" / "python.md").read_text()
    script = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    assert len([line for line in script.splitlines() if line.strip()]) == 12
    subprocess.run([TARGET / "server", "sample-data", tmp_path / "data"], check=True, capture_output=True)
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "docs/python.md", "exec"), {"__name__": "__main__"})
    lines = capsys.readouterr().out.splitlines()
    losses = [float(re.search(r"loss ([\d.]+)", line).group(1)) for line in lines]
    assert len(losses) == 2 and losses[1] < 0.9
