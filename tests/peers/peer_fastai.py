"""fastai: items are cropped by its loader's workers, and batches augmented as tensors in the training process, as its `aug_transforms` are made for.

Perspective, rotation and zoom are one interpolation; all images of a batch are drawn at once.
"""

from collections.abc import Iterator

import numpy as np
import torch
from fastai.data.core import Datasets, TfmdDL
from fastai.data.transforms import ToTensor
from fastai.vision.augment import IntToFloatTensor, RandomCrop, aug_transforms
from fastai.vision.core import PILImage
from fastai.vision.data import Normalize
from PIL import Image

from images import BATCH, MEAN, SHORT_SIDE, SIZE, STD, Images, decode, shrink


class Opened:
    """An image by its index: kept decoded, or decoded at the scale that is needed, as fastai's `Resize` does."""

    def __init__(self, images: Images) -> None:
        self.images = images
        self.memory = [shrink(decode(path)) for path in images.paths] if images.warm else None

    def __call__(self, index: int) -> PILImage:
        if self.memory:
            return PILImage.create(self.memory[index])
        image = PILImage.create(self.images.paths[index])
        scale = SHORT_SIDE / min(image.size)
        return PILImage.create(np.asarray(image.resize([round(side * scale) for side in image.size], Image.Resampling.BILINEAR)))


class Labelled:
    """The label of an image by its index."""

    def __init__(self, images: Images) -> None:
        self.labels = images.labels

    def __call__(self, index: int) -> int:
        return self.labels[index]


def batches(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end."""
    datasets = Datasets(range(len(images)), tfms=[[Opened(images)], [Labelled(images)]])
    augment = aug_transforms(
        do_flip=True, max_rotate=25.0, min_zoom=1.0, max_zoom=1.1, max_warp=0.2, max_lighting=0.2, p_affine=0.75, p_lighting=0.75, size=SIZE
    )
    loader = TfmdDL(
        datasets,
        bs=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        after_item=[RandomCrop(SIZE), ToTensor()],
        after_batch=[IntToFloatTensor(), *augment, Normalize.from_stats(MEAN, STD, cuda=False)],
        # One long epoch, so that no epoch's end is timed.
        get_idxs=lambda: torch.randint(len(images), (1 << 22,)).tolist(),
        device=torch.device("cpu"),
    )
    for batch, _ in loader:
        yield torch.Tensor(batch).contiguous().numpy()
