"""NVIDIA DALI on the CPU: its own threads run every step, and Python only names the images and draws the maps.

All geometry is one warp_perspective; normalisation, type and planar layout are one crop_mirror_normalize. Sources hand over arrays without
a copy. When images are decoded each time, the warp reads the full-size image: no resize at all.
"""

import random
from collections.abc import Iterator

import numpy as np
from nvidia.dali import fn, pipeline_def, types

from images import BATCH, MEAN, SIZE, STD, Images, decode, shrink
from peer_opencv import draw_map


class Source:
    """A batch of images, decoded or encoded, with the map of each."""

    def __init__(self, images: Images) -> None:
        self.rng = random.Random(0)
        self.decoded = images.warm
        pictures = [decode(path) for path in images.paths]
        if images.warm:
            self.data = [shrink(picture) for picture in pictures]
            self.sizes = [picture.shape[1::-1] for picture in self.data]
        else:
            self.data = images.paths
            self.sizes = [picture.shape[1::-1] for picture in pictures]

    def __call__(self) -> tuple[list[np.ndarray], np.ndarray]:
        chosen = [self.rng.randrange(len(self.data)) for _ in range(BATCH)]
        maps = np.stack([draw_map(self.rng, *self.sizes[index]) for index in chosen]).astype(np.float32)
        pixels_or_bytes = [self.data[index] if self.decoded else np.fromfile(self.data[index], np.uint8) for index in chosen]
        return pixels_or_bytes, maps


def batches(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end."""
    running = pipeline(Source(images), images.warm, batch_size=BATCH, num_threads=workers, device_id=None, prefetch_queue_depth=2)
    running.build()
    while True:
        (batch,) = running.run()
        yield np.asarray(batch.as_tensor())


@pipeline_def
def pipeline(source: Source, warm: bool):
    pixels, maps = fn.external_source(source, num_outputs=2, layout=["HWC", ""] if warm else None, no_copy=True)
    if not warm:
        pixels = fn.decoders.image(pixels, device="cpu", output_type=types.RGB, jpeg_fancy_upsampling=False, use_fast_idct=True)
    warped = fn.experimental.warp_perspective(
        pixels, maps, size=(SIZE, SIZE), border_mode="reflect_101", interp_type=types.INTERP_LINEAR, pixel_origin="center"
    )
    lit = fn.brightness_contrast(
        warped,
        brightness_shift=fn.random.uniform(range=(-0.2, 0.2)) * fn.random.coin_flip(probability=0.75),
        contrast=1 + fn.random.uniform(range=(-0.2, 0.2)) * fn.random.coin_flip(probability=0.75),
    )
    return fn.crop_mirror_normalize(
        lit, dtype=types.FLOAT, output_layout="CHW", mean=[255 * value for value in MEAN], std=[255 * value for value in STD]
    )
