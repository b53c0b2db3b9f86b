"""Batches as labelled pictures, in notebooks and by Matplotlib."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .batch import Batch


class Grid:
    """Images with captions: shown by a notebook as they are, and by Matplotlib with `figure`."""

    def __init__(self, images: Sequence[tuple[str, bytes]], side: int) -> None:
        self.images = images
        """Captions, and pixels in the order height, width, channel."""
        self.side = side
        """Height and width."""

    def _repr_html_(self) -> str:
        cells = (
            f'<figure style="display:inline-block;margin:4px"><img src="data:image/png;base64,{b64encode(png(pixels, self.side)).decode()}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
            for caption, pixels in self.images
        )
        return f"<div>{''.join(cells)}</div>"

    def figure(self) -> Any:
        """A Matplotlib figure."""
        numpy: Any = import_module("numpy")
        figure: Any = import_module("matplotlib.figure").Figure()
        columns = max(1, round(len(self.images) ** 0.5))
        rows = -(-len(self.images) // columns)
        for number, (caption, pixels) in enumerate(self.images, 1):
            axes = figure.add_subplot(rows, columns, number)
            axes.imshow(numpy.frombuffer(pixels, numpy.uint8).reshape(self.side, self.side, 3))
            axes.set_title(caption)
            axes.set_axis_off()
        return figure


def has_matplotlib() -> bool:
    """Whether `Grid.figure` has what it needs."""
    return find_spec("matplotlib") is not None


def grid(batch: Batch, count: int, classes: Sequence[str], mean: Sequence[float], std: Sequence[float]) -> Grid:
    """The first `count` images of a batch of read-only arrays."""
    images = batch.images
    labels: list[int] = batch.labels.tolist()[:count]
    channels_last = images.shape[-1] == 3 and images.shape[1] != 3
    side = images.shape[2]
    if images.dtype == "uint8":
        raw = memoryview(images).cast("B")
    else:
        numpy: Any = import_module("numpy")
        axes = (3,) if channels_last else (3, 1, 1)
        scale, shift = (numpy.array(values, numpy.float32).reshape(axes) for values in (std, mean))
        pixels = (numpy.asarray(images, numpy.float32) * scale + shift) * 255
        raw = memoryview(pixels.round().clip(0, 255).astype(numpy.uint8)).cast("B")
    size = 3 * side * side
    interleaved = [_interleaved(raw[n * size : (n + 1) * size], channels_last) for n in range(len(labels))]
    return Grid([(classes[label], image) for label, image in zip(labels, interleaved, strict=True)], side)


def _interleaved(image: memoryview, channels_last: bool) -> bytes:
    if channels_last:
        return bytes(image)
    plane = len(image) // 3
    pixels = bytearray(len(image))
    for channel in range(3):
        pixels[channel::3] = image[channel * plane : (channel + 1) * plane]
    return bytes(pixels)


def png(pixels: bytes, side: int) -> bytes:
    """A square RGB image as a PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    width = 3 * side
    # Each row begins with its filter: none.
    rows = b"".join(b"\0" + pixels[row * width : (row + 1) * width] for row in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
