"""These tests need PyTorch: `make python-torch` installs it. Where it is missing, none is collected."""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
