"""The programs of the pages about PyTorch run as they stand."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["how-to/pytorch.md"])
def test_the_programs_of_the_page_run(page, folder):
    programs = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert programs
    for program in programs:
        exec(compile(program, page, "exec"), {"folder": folder})
