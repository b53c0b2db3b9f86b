"""Runs the Python of docs/how-to/own-trainer.md against two servers: `python tests/trainer/snippets.py ADDRESS SECOND FOLDER`.

FOLDER is where protoc's modules go.
"""

import importlib.util
import re
import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs/how-to/own-trainer.md"


def main(address, second, folder):
    out = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    code = protoc.main(["protoc", f"-I{ROOT / 'proto'}", *out, "equibatch/v1/equibatch.proto"])
    assert code == 0, "protoc"
    sys.path[:0] = [folder, str(ROOT / "docs/how-to")]
    if importlib.util.find_spec("torch") is None:
        sys.path.append(str(Path(__file__).parent))
    page = PAGE.read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(snippets) == page.count("```python") > 0
    names = {"address": address, "second": second}
    for snippet in snippets:
        line = page[: page.index(snippet)].count("\n")
        # Errors name the line of the page.
        exec(compile("\n" * line + snippet, str(PAGE), "exec"), names)
    check(names)
    print(f"{len(snippets)} snippets run")


def check(names):
    """The results that the page shows."""
    assert names["images"].shape == (8, 3, 64, 64)
    assert float(names["loss"]) > 0
    assert names["total"] > 0
    labels = names["of_all"]
    assert len(set(labels)) > 1 and abs(labels.count(0) - labels.count(1)) <= 1, f"not balanced: {labels}"


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file, where a stand-in for torch lies
    main(*sys.argv[1:])
