"""tf.data service: a dispatcher and a worker process on loopback, and a client that only receives.

All geometry is one ImageProjectiveTransformV3 on bytes and all pointwise work one multiply, add and clip per channel; parallelism and
prefetch are tuned by tf.data itself. The worker caches decoded images in memory when they are to be kept. Batches cross gRPC with the
default compression and without.
"""

import math
import os
import subprocess
import sys
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from images import BATCH, MEAN, SHORT_SIDE, SIZE, STD, Images


def batches(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end, as they cross the loopback by default."""
    return received(images, compression="AUTO")


def batches_uncompressed(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end, uncompressed on the loopback."""
    return received(images, compression=None)


def received(images: Images, compression: str | None) -> Iterator[np.ndarray]:
    dispatcher = serve("dispatcher")
    serve("worker", dispatcher)
    dataset = tf.data.Dataset.from_tensor_slices(images.paths).map(read, num_parallel_calls=tf.data.AUTOTUNE)
    if images.warm:
        dataset = dataset.cache()
    dataset = (
        dataset.shuffle(len(images))
        .repeat()
        .map(augment, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
        .batch(BATCH, drop_remainder=True, num_parallel_calls=tf.data.AUTOTUNE)
        .map(lambda batch: tf.transpose(batch, (0, 3, 1, 2)), num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
    service = tf.data.experimental.service.distribute(
        tf.data.experimental.service.ShardingPolicy.OFF, f"grpc://{dispatcher}", compression=compression
    )
    for batch in dataset.apply(service).prefetch(tf.data.AUTOTUNE):
        yield np.asarray(memoryview(batch))  # no copy


def read(path: tf.Tensor) -> tf.Tensor:
    """Decodes and downscales as the other peers do, and keeps bytes."""
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_FAST", fancy_upscaling=False)
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    size = tf.cast(tf.round(shape * (SHORT_SIDE / tf.reduce_min(shape))), tf.int32)
    return tf.cast(tf.image.resize(image, size, method="bilinear") + 0.5, tf.uint8)


def augment(image: tf.Tensor) -> tf.Tensor:
    shape = tf.cast(tf.shape(image), tf.float32)
    matrix = draw_map(shape[1], shape[0])
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=(tf.reshape(matrix, (1, 9)) / matrix[2, 2])[:, :8],
        output_shape=(SIZE, SIZE),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )[0]
    return lighten(tf.ensure_shape(warped, (SIZE, SIZE, 3)))


def lighten(image: tf.Tensor) -> tf.Tensor:
    """Brightness, contrast about mid-grey, and normalisation: multiply and add, with one clip at what black and white become."""
    brightness = tf.where(chance(0.75), tf.random.uniform((), -0.2, 0.2), 0.0)
    contrast = tf.where(chance(0.75), tf.random.uniform((), 0.8, 1.2), 1.0)
    mean, deviation = tf.constant(MEAN), tf.constant(STD)
    factor = contrast / 255.0 / deviation
    offset = (0.5 - 0.5 * contrast + brightness - mean) / deviation
    return tf.clip_by_value(tf.cast(image, tf.float32) * factor + offset, -mean / deviation, (1 - mean) / deviation)


def draw_map(width: tf.Tensor, height: tf.Tensor) -> tf.Tensor:
    """Output pixel to source pixel: crop, flip, perspective, zoom and rotation about the centre, in one matrix."""
    left, top = tf.random.uniform(()) * (width - SIZE), tf.random.uniform(()) * (height - SIZE)
    half_width, half_height = (width - 1) / 2, (height - 1) / 2
    mirror = tf.where(chance(0.5), -1.0, 1.0)
    place = rows((mirror, 0, mirror * (left - half_width)), (0, 1, top - half_height), (0, 0, 1))
    keystone = tf.where(chance(0.75), tf.random.uniform((2,), -0.1, 0.1), 0.0)
    warp = rows((1, 0, 0), (0, 1, 0), (keystone[0] / half_width, keystone[1] / half_height, 1))
    angle = tf.where(chance(0.75), tf.random.uniform((), -1, 1) * math.radians(25), 0.0)
    zoom = tf.where(chance(0.75), 1 / tf.random.uniform((), 1.0, 1.1), 1.0)
    cosine, sine = tf.cos(angle) * zoom, tf.sin(angle) * zoom
    turn = rows((cosine, sine, half_width), (-sine, cosine, half_height), (0, 0, 1))
    return turn @ warp @ place


def rows(*values: tuple) -> tf.Tensor:
    return tf.stack([tf.stack([tf.cast(value, tf.float32) for value in row]) for row in values])


def chance(probability: float) -> tf.Tensor:
    return tf.random.uniform(()) < probability


def serve(role: str, dispatcher: str = "") -> str:
    """Starts a server in a process of its own, which ends with this one, and returns its address."""
    process = subprocess.Popen([sys.executable, __file__, role, dispatcher], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    SERVERS.append(process)
    return process.stdout.readline().strip()


SERVERS: list[subprocess.Popen] = []


def main() -> None:
    """Runs a dispatcher or a worker until standard input is closed."""
    role, dispatcher = sys.argv[1], sys.argv[2]
    service = tf.data.experimental.service
    if role == "dispatcher":
        server = service.DispatchServer()
        print(server.target.removeprefix("grpc://"), flush=True)
    else:
        server = service.WorkerServer(service.WorkerConfig(dispatcher_address=dispatcher))
        print("", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
