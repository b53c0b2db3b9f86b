"""Progress of long waits, where a person sees it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from time import monotonic
from typing import Any

DELAY = 0.5
"""Seconds that a wait is not worth a bar."""


class Progress:
    """A bar on standard error in a terminal or a notebook, by tqdm if it is installed, else as a line of text; elsewhere nothing."""

    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self._since = monotonic()
        self._is_watched = _is_watched()
        self._bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` units; 0 if their number is not known."""
        if not self._is_watched or monotonic() - self._since < DELAY:
            return
        if self._bar is None:
            self._bar = _bar(self._label, self._unit)
        self._bar.total, self._bar.n = total or None, done
        self._bar.refresh()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


class _Line:
    """What is used of tqdm's bar, as text."""

    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self.total: int | None = None
        self.n = 0

    def refresh(self) -> None:
        of = f" of {self.total:,}" if self.total else ""
        print(f"\r{self._label}: {self.n:,}{of} {self._unit}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        print(file=sys.stderr, flush=True)


def _bar(label: str, unit: str) -> Any:
    if find_spec("tqdm") is None:
        return _Line(label, unit)
    return import_module("tqdm.auto").tqdm(desc=label, unit=f" {unit}", file=sys.stderr)


def _is_watched() -> bool:
    """Whether standard error is a terminal or a notebook; of several ranks, that of the first one on a machine."""
    if os.environ.get("LOCAL_RANK", "0") != "0" or multiprocessing.parent_process() is not None:
        return False
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return "IPKernelApp" in getattr(shell, "config", {}) or (sys.stderr is not None and sys.stderr.isatty())
