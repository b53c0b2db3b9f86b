"""OpenCV, optimised: threads, one warp and one lookup table per image, written straight into the batch.

All geometry is one 3x3 matrix, so that each pixel is interpolated once; all pointwise work is one table of 256 floats per channel.
Pixels carry a fourth, unused byte because warpPerspective is a fifth faster on four channels than on three. Planes are split while
they are bytes, and each table writes its plane of the batch, so no float is moved twice. When images are decoded each time, the warp
reads the full-size image: no resize at all. Threads, because OpenCV releases the interpreter lock; a thread fills a whole batch, so that
threads meet 64 times less often. Batches are allocated once and go round.
"""

import math
import queue
import random
import threading
from collections.abc import Iterator

import cv2
import numpy as np

from images import BATCH, MEAN, SIZE, STD, Images, decode, shrink

CORNERS = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)], np.float32)
FLAGS = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
LEVELS = np.clip(np.arange(256) / 255.0, 1e-7, 1 - 1e-7)
LOGITS = np.log(LEVELS / (1 - LEVELS))
PLAIN = np.arange(256) / 255.0


def batches(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end; a batch is valid until the next is asked for."""
    cv2.setNumThreads(0)
    memory = [four_channels(shrink(decode(path))) for path in images.paths] if images.warm else None
    buffers = [np.empty((BATCH, 3, SIZE, SIZE), np.float32) for _ in range(2 * workers + 1)]
    free, ready = queue.SimpleQueue(), queue.SimpleQueue()
    for buffer in buffers:
        free.put(buffer)

    def work(rng: random.Random) -> None:
        warped = np.empty((SIZE, SIZE, 4), np.uint8)
        planes = [np.empty((SIZE, SIZE), np.uint8) for _ in range(4)]
        while True:
            batch = free.get()
            for out in batch:
                index = rng.randrange(len(images))
                image = memory[index] if memory else four_channels(decode(images.paths[index]))
                matrix = draw_map(rng, image.shape[1], image.shape[0])
                cv2.warpPerspective(image, matrix, (SIZE, SIZE), dst=warped, flags=FLAGS, borderMode=cv2.BORDER_REFLECT_101)
                cv2.split(warped, planes)
                for plane, table, channel in zip(planes, draw_tables(rng), out):
                    cv2.LUT(plane, table, dst=channel)
            ready.put(batch)

    for worker in range(workers):
        threading.Thread(target=work, args=(random.Random(worker),), daemon=True).start()
    while True:
        batch = ready.get()
        yield batch
        free.put(batch)


def four_channels(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)


def draw_map(rng: random.Random, width: int, height: int) -> np.ndarray:
    """Output pixel to source pixel: crop, flip, perspective, zoom, rotation, in coordinates of [-1, 1] between corner pixels' centres."""
    scale = SIZE / min(width, height)
    canvas_width, canvas_height = round(width * scale), round(height * scale)
    left, top = rng.randint(0, canvas_width - SIZE), rng.randint(0, canvas_height - SIZE)
    across, down = 2 / (canvas_width - 1), 2 / (canvas_height - 1)
    matrix = np.array([(across, 0, left * across - 1), (0, down, top * down - 1), (0, 0, 1)])
    if rng.random() < 0.5:
        matrix[0] *= -1
    if rng.random() < 0.75:
        right, left_edge, bottom, top_edge = (rng.uniform(-0.2, 0.2) for _ in range(4))
        moved = CORNERS * (
            (1 + top_edge, 1 + left_edge),
            (1 + bottom, 1 + left_edge),
            (1 + top_edge, 1 + right),
            (1 + bottom, 1 + right),
        )
        matrix = cv2.getPerspectiveTransform(moved.astype(np.float32), CORNERS) @ matrix
    cosine, sine, zoom, focus_x, focus_y = 1.0, 0.0, 1.0, 0.0, 0.0
    if rng.random() < 0.75:
        angle = math.radians(rng.uniform(-25, 25))
        cosine, sine = math.cos(angle), math.sin(angle)
    if rng.random() < 0.75:
        zoom = 1 / rng.uniform(1, 1.1)
        focus_x, focus_y = (1 - zoom) * rng.uniform(-1, 1), (1 - zoom) * rng.uniform(-1, 1)
    aspect = canvas_height / canvas_width
    affine = np.array(
        [
            (cosine * zoom, sine * zoom * aspect, cosine * focus_x + sine * focus_y),
            (-sine * zoom / aspect, cosine * zoom, cosine * focus_y - sine * focus_x),
            (0, 0, 1),
        ]
    )
    half_width, half_height = (width - 1) / 2, (height - 1) / 2
    return np.array([(half_width, 0, half_width), (0, half_height, half_height), (0, 0, 1)]) @ affine @ matrix


def draw_tables(rng: random.Random) -> list[np.ndarray]:
    """Byte to normalised float, per channel: brightness and contrast in log-odds, then mean and standard deviation."""
    brightness = rng.uniform(0.4, 0.6) if rng.random() < 0.75 else 0.5
    contrast = math.exp(rng.uniform(math.log(0.8), -math.log(0.8))) if rng.random() < 0.75 else 1.0
    if brightness == 0.5 and contrast == 1.0:
        levels = PLAIN
    else:
        levels = 1 / (1 + np.exp(-(LOGITS + math.log(brightness / (1 - brightness))) * contrast))
    return [((levels - mean) / std).astype(np.float32) for mean, std in zip(MEAN, STD)]
