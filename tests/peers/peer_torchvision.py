"""torchvision.transforms.v2 behind PyTorch's DataLoader, on uint8 tensors as its documentation recommends.

The crop comes before the colours, which then have fewer pixels to touch; conversion to float comes last. torchvision fills with zeros
beyond the border, which is less work than to reflect.
"""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2

from images import MEAN, SHORT_SIDE, SIZE, STD, Images, decode, shrink
from peer_albumentations import loaded


class Augmented(Dataset):
    """One augmented image per index; `pillow` chooses torchvision's other image type."""

    def __init__(self, images: Images, pillow: bool) -> None:
        self.images = images
        self.pillow = pillow
        self.memory = [self.wrap(shrink(decode(path))) for path in images.paths] if images.warm else None
        self.resize = v2.Resize(SHORT_SIDE, antialias=True)
        self.transform = v2.Compose(
            [
                v2.RandomPerspective(0.2, p=0.75),
                v2.RandomApply([v2.RandomAffine(25, scale=(1.0, 1.1), interpolation=v2.InterpolationMode.BILINEAR)], p=0.75),
                v2.RandomCrop(SIZE),
                v2.RandomHorizontalFlip(0.5),
                v2.RandomApply([v2.ColorJitter(brightness=0.2, contrast=0.2)], p=0.75),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(MEAN, STD),
            ]
        )

    def wrap(self, image: np.ndarray) -> Image.Image | torch.Tensor:
        return Image.fromarray(image) if self.pillow else torch.from_numpy(image).permute(2, 0, 1).contiguous()

    def read(self, path: str) -> Image.Image | torch.Tensor:
        if self.pillow:
            return self.resize(Image.open(path).convert("RGB"))
        return self.resize(decode_jpeg(read_file(path), mode=ImageReadMode.RGB))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self.memory[index] if self.memory else self.read(self.images.paths[index])
        return self.transform(image), self.images.labels[index]


def batches(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end, by way of tensors."""
    return loaded(Augmented(images, pillow=False), workers)


def batches_by_pillow(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end, by way of Pillow images."""
    return loaded(Augmented(images, pillow=True), workers)
