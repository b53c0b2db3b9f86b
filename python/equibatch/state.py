"""The state of a loader: a position, and what must be the same where it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import RequestError

VERSION = 1


def token(hashes: tuple[str, str], seed: int, at: tuple[int, int], world_size: int) -> dict[str, Any]:
    """A position token, of a request's hash and a dataset's fingerprint, and of an epoch and a step."""
    spec_hash, fingerprint = hashes
    epoch, step = at
    return {"spec_hash": spec_hash, "fingerprint": fingerprint, "seed": seed, "epoch": epoch, "step": step, "world": world_size}


def check(state: Mapping[str, Any], spec: Mapping[str, Any], *, global_batch_size: int, world_size: int) -> None:
    """Refuses a state that a loader with these arguments cannot go on from."""
    if state.get("version") != VERSION:
        raise RequestError(f"state_dict has version {state.get('version')!r}: expected {VERSION}")
    for name, here in spec.items():
        if state["spec"].get(name) != here:
            raise RequestError(f"state_dict was taken with {name}={state['spec'].get(name)!r}, and this loader has {name}={here!r}")
    taken = state["global_batch_size"]
    if taken != global_batch_size and state["world_size"] == world_size:
        raise RequestError(
            f"state_dict was taken with a global batch size of {taken}, and this loader has {global_batch_size} on as many ranks"
        )
