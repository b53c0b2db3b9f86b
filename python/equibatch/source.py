"""Where batches come from, opened once in each process."""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from ._native import Source, __version__
from .errors import RequestError
from .progress import Progress

Where = str | os.PathLike[str] | Sequence[str]

# Loaders of the same folder share its engine, and so its cache; those of the same servers share their connections.
_open: WeakValueDictionary[tuple[str, ...], Source] = WeakValueDictionary()

_ADDRESS = re.compile(r"(https?://.+|unix:.+|[^/]+:\d+)")
_BUCKET = re.compile(r"(s3|gs|gcs|az|abfs)://")


def parse(where: Where) -> tuple[bool, str]:
    """Whether `where` is a folder, and its path; otherwise the addresses of servers, separated by commas."""
    if isinstance(where, os.PathLike):
        return True, os.fspath(where)
    if not isinstance(where, str):
        addresses = list(where)
        if not addresses:
            raise RequestError("where is an empty list: expected the addresses of servers")
        for address in addresses:
            if not _ADDRESS.fullmatch(address):
                raise RequestError(f"where contains {address!r}: expected HOST:PORT, https://HOST:PORT or unix:PATH")
        return False, ",".join(addresses)
    if _BUCKET.match(where):
        raise RequestError(f"where is {where!r}: buckets cannot be read yet; expected a folder or the address of a server")
    if os.path.isdir(where):
        return True, where
    parts = [part.strip() for part in where.split(",")]
    if all(_ADDRESS.fullmatch(part) for part in parts):
        return False, ",".join(parts)
    return True, where


def open_source(where: Where, dataset: str, cache_bytes: int | None, timeout: float | None) -> Source:
    """The engine or the servers, opened if this process has not opened them yet; servers are waited for for at most ``timeout`` seconds."""
    is_folder, place = parse(where)
    token = os.environ.get("EQUIBATCH_TOKEN") or None
    if is_folder:
        place = os.path.realpath(place)
        dataset = dataset or os.path.basename(place)
    key = ("folder", place, dataset, str(cache_bytes)) if is_folder else ("servers", place, token or "")
    source = _open.get(key)
    if source is None or not source.is_usable:
        source = _open_folder(place, dataset, cache_bytes) if is_folder else Source.open_servers(place, token, timeout)
        _open[key] = source
    return source


def forget(source: Source) -> None:
    """Opens another one the next time, because the process whose engine it was has ended."""
    for key, opened in list(_open.items()):
        if opened is source:
            del _open[key]


def _open_folder(folder: str, dataset: str, cache_bytes: int | None) -> Source:
    processes = _processes()
    socket = _socket(folder, dataset, cache_bytes)
    with Progress(f"reading {dataset}", "files") as progress:
        if socket is None:
            return Source.open_folder(folder, dataset, processes, cache_bytes, progress)
        while True:
            source = Source.open_shared(
                folder,
                dataset,
                socket=socket,
                may_serve=not _is_worker(),
                engines=_engines(processes),
                processes=processes,
                cache_bytes=cache_bytes,
                progress=progress,
            )
            if source is not None:
                return source
            # Another process scans the folder. The system says if it has ended meanwhile.
            time.sleep(0.05)


def _processes() -> int:
    """Ranks on this machine, which share its processors and memory; torchrun counts them."""
    given = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, int(given)) if given.isdecimal() else 1


# What torchrun tells every rank of a run, and only those. Other launchers set some of it.
_RUN = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT")


def _socket(folder: str, dataset: str, cache_bytes: int | None = None) -> str | None:
    """Name of the socket over which the ranks of a run on this machine, and on the same processors, share an engine. `None` if there is one
    rank, or if it cannot be told from those of other runs."""
    environment = os.environ
    several = _processes() > 1 or ("LOCAL_RANK" in environment and "LOCAL_WORLD_SIZE" not in environment)
    if not several or not ("TORCHELASTIC_RUN_ID" in environment or "MASTER_PORT" in environment):
        return None
    run = [environment.get(name) for name in _RUN]
    of = [__version__, os.geteuid(), run, sorted(os.sched_getaffinity(0)), folder, dataset, cache_bytes]
    return "equibatch-" + hashlib.sha256(json.dumps(of).encode()).hexdigest()


def _engines(processes: int) -> int:
    """Engines of a run on this machine: several if its ranks are bound to processors, as those of their launcher are not."""
    bound = len(os.sched_getaffinity(0))
    try:
        unbound = len(os.sched_getaffinity(os.getppid()))
    except OSError:
        return 1
    return max(1, min(processes, unbound // bound))


def _is_worker() -> bool:
    """Whether this is a worker of a PyTorch `DataLoader`, which may end with an epoch."""
    data: Any = sys.modules.get("torch.utils.data")
    return data is not None and data.get_worker_info() is not None
