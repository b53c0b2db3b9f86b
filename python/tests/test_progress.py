"""Progress of the scan and of the first images decoded, where a person sees it."""

import io
import sys
import types

import equibatch
import pytest
from equibatch import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(params=["tqdm", "text"])
def bars(request, monkeypatch):
    """What is written to standard error, a terminal, by waits of any length."""
    if request.param == "tqdm":
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setattr(progress, "find_spec", lambda name: None)
    monkeypatch.setattr(progress, "DELAY", 0)
    terminal = Terminal()
    # Not that of `sys`, which pytest replaces after the fixtures.
    monkeypatch.setattr(progress, "sys", types.SimpleNamespace(stderr=terminal, modules=sys.modules))
    return terminal


def read_a_batch(where, dataset="shown"):
    with equibatch.Loader(where, dataset=dataset, batch_size=4, image_size=24) as loader:
        next(iter(loader))


def test_a_terminal_shows_the_scan_and_the_images_decoded_first(folder, bars):
    read_a_batch(folder)
    shown = bars.getvalue()
    assert "reading shown" in shown and ("28 of 28 files" in shown or "28/28" in shown), shown
    assert "decoding" in shown and "images" in shown, shown


def test_nothing_is_shown_elsewhere(folder, server, bars, monkeypatch):
    read_a_batch(server.address, dataset=None)
    monkeypatch.setenv("LOCAL_RANK", "1")
    read_a_batch(folder)
    monkeypatch.delenv("LOCAL_RANK")
    monkeypatch.setattr(bars, "isatty", lambda: False)
    read_a_batch(folder)
    assert bars.getvalue() == ""


def test_a_notebook_counts_as_seen(folder, bars, monkeypatch):
    monkeypatch.setattr(bars, "isatty", lambda: False)
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    with progress.Progress("reading", "files") as shown:
        shown(3, 7)
    assert "3 of 7 files" in bars.getvalue() or "3/7" in bars.getvalue()


def test_a_short_wait_shows_nothing(folder, bars, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 600)
    read_a_batch(folder)
    assert bars.getvalue() == ""
