"""Where batches come from, opened once in each process."""

import os
import re
from collections.abc import Sequence
from weakref import WeakValueDictionary

from ._native import Source
from .errors import RequestError

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


def open_source(where: Where, dataset: str) -> Source:
    """The engine or the servers, opened if this process has not opened them yet."""
    is_folder, place = parse(where)
    token = os.environ.get("EQUIBATCH_TOKEN") or None
    if is_folder:
        place = os.path.realpath(place)
        dataset = dataset or os.path.basename(place)
    key = ("folder", place, dataset) if is_folder else ("servers", place, token or "")
    source = _open.get(key)
    if source is None or not source.is_usable:
        source = Source.open_folder(place, dataset, _processes()) if is_folder else Source.open_servers(place, token)
        _open[key] = source
    return source


def _processes() -> int:
    """Ranks on this machine, which share its processors and memory; torchrun counts them."""
    given = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, int(given)) if given.isdecimal() else 1
