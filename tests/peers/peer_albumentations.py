"""albumentations behind PyTorch's DataLoader.

OpenCV's own threads are off in workers, as albumentations' documentation asks. What works on single pixels comes after the crop, where
there are fewest. Rotation and zoom share one Affine, hence one interpolation. Workers persist, and collate into shared memory.
"""

from collections.abc import Iterator

import albumentations as A
import cv2
import numpy as np
import torch
from albumentations.pytorch import ToTensorV2
from torch.utils.data import DataLoader, Dataset, RandomSampler

from images import BATCH, MEAN, SIZE, STD, Images, decode, shrink


class Augmented(Dataset):
    """One augmented image per index, as the library's users write it."""

    def __init__(self, images: Images) -> None:
        self.images = images
        self.memory = [shrink(decode(path)) for path in images.paths] if images.warm else None
        border = cv2.BORDER_REFLECT_101
        self.transform = A.Compose(
            [
                A.Perspective(scale=(0.0, 0.1), border_mode=border, p=0.75),
                A.Affine(rotate=(-25, 25), scale=(1.0, 1.1), border_mode=border, p=0.75),
                A.RandomCrop(SIZE, SIZE),
                A.HorizontalFlip(p=0.5),
                A.RandomBrightnessContrast(0.2, 0.2, p=0.75),
                A.Normalize(MEAN, STD),
                ToTensorV2(),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self.memory[index] if self.memory else shrink(decode(self.images.paths[index]), cv2.INTER_LINEAR)
        return self.transform(image=image)["image"], self.images.labels[index]


def batches(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end."""
    cv2.setNumThreads(0)
    return loaded(Augmented(images), workers)


def loaded(dataset: Dataset, workers: int) -> Iterator[np.ndarray]:
    """The DataLoader around a dataset: one endless epoch, so that no epoch's end is timed."""
    loader = DataLoader(
        dataset,
        batch_size=BATCH,
        sampler=RandomSampler(dataset, replacement=True, num_samples=1 << 40),
        num_workers=workers,
        prefetch_factor=2,
        worker_init_fn=lambda _: cv2.setNumThreads(0),
    )
    for batch, _ in loader:
        yield batch.numpy()
