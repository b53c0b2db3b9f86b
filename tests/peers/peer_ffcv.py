"""FFCV: compiled threads decode, crop, resize and augment, from one file of all images that is written first.

FFCV has neither rotation nor perspective, so it does less than the others. Its crop is square, between 1/1.1 of the short side and all of it for
images of 4:3. A JPEG file goes into that file as it is, where FFCV's writer would encode it anew; decoded images lie there as pixels, which the page cache
keeps. One epoch goes over the images many times, so that no epoch's end is timed. PyTorch makes the planes of a batch: FFCV copies twice for that.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ffcv.fields import RGBImageField
from ffcv.fields.rgb_image import IMAGE_MODES, RandomResizedCropRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.pipeline.operation import Operation
from ffcv.transforms import NormalizeImage, RandomBrightness, RandomContrast, RandomHorizontalFlip, ToTensor, ToTorchImage
from ffcv.writer import DatasetWriter

from images import BATCH, MEAN, SIZE, STD, Images, decode, shrink

SAMPLES = 1 << 22


class Files(RGBImageField):
    """Bytes of JPEG files."""

    def encode(self, destination, sample: tuple[bytes, tuple[int, int]], malloc) -> None:
        file, (height, width) = sample
        destination["mode"] = IMAGE_MODES["jpg"]
        destination["height"], destination["width"] = height, width
        destination["data_ptr"], storage = malloc(len(file))
        storage[:] = np.frombuffer(file, np.uint8)


class Samples:
    """What is written of each image: the file's bytes and size, or pixels."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple:
        path = self.images.paths[index]
        pixels = decode(path)
        return (shrink(pixels) if self.images.warm else (Path(path).read_bytes(), pixels.shape[:2]),)


def batches(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end."""
    return read(images, workers, [RandomBrightness(0.2, p=0.75), RandomContrast(0.2, p=0.75)])


def batches_without_colours(images: Images, workers: int) -> Iterator[np.ndarray]:
    """The same without brightness and contrast, for which FFCV makes copies in double precision."""
    return read(images, workers, [])


def read(images: Images, workers: int, colours: list[Operation]) -> Iterator[np.ndarray]:
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "images.beton")
    DatasetWriter(path, {"image": RGBImageField("raw") if images.warm else Files()}, num_workers=1).from_indexed_dataset(Samples(images))
    steps = [
        RandomResizedCropRGBImageDecoder((SIZE, SIZE), scale=(0.62, 0.75), ratio=(1.0, 1.0)),
        RandomHorizontalFlip(0.5),
        *colours,
        NormalizeImage(255 * np.array(MEAN), 255 * np.array(STD), np.float32),
        ToTensor(),
        ToTorchImage(channels_last=True),
    ]
    loader = Loader(
        path,
        batch_size=BATCH,
        num_workers=workers,
        order=OrderOption.RANDOM,
        indices=np.resize(np.arange(len(images), dtype=np.uint64), SAMPLES),
        custom_fields={"image": RGBImageField},
        pipelines={"image": steps},
    )
    epoch = iter(loader)
    shutil.rmtree(folder)  # which `epoch` has mapped
    for (batch,) in epoch:
        yield batch.contiguous().numpy()
