"""The images that every peer reads, and the tensor that every peer makes of them."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

SIZE = 224
SHORT_SIDE = 256
BATCH = 64
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Images:
    """A folder of class folders; with `warm`, a peer keeps decoded images in memory and never decodes again."""

    paths: list[str]
    labels: list[int]
    warm: bool

    @staticmethod
    def find(root: str, warm: bool) -> "Images":
        classes = sorted(entry for entry in Path(root).iterdir() if entry.is_dir())
        found = [
            (str(path), label)
            for label, folder in enumerate(classes)
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in {".jpg", ".jpeg"}
        ]
        if len(found) < BATCH:
            raise SystemExit(f"{root}: {len(found)} JPEG files in class folders; {BATCH} are needed")
        paths, labels = zip(*found)
        return Images(list(paths), list(labels), warm)

    def __len__(self) -> int:
        return len(self.paths)


def decode(path: str) -> np.ndarray:
    """The image at its own size, RGB, by the libjpeg-turbo in OpenCV."""
    return pixels(Path(path).read_bytes())


def pixels(file: bytes) -> np.ndarray:
    """The same, of a file's bytes."""
    return cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB)


def shrink(image: np.ndarray, interpolation: int = cv2.INTER_AREA) -> np.ndarray:
    """The image with its short side at SHORT_SIDE, which is how the warm cases keep it."""
    height, width = image.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    return cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=interpolation)


def plain_statistics(images: Images) -> tuple[float, float]:
    """Mean and standard deviation of the normalised centre crops, which augmentation hardly changes: what a peer's batches are held to."""
    values = []
    for path in images.paths[:: max(1, len(images) // BATCH)]:
        image = shrink(decode(path))
        top, left = ((side - SIZE) // 2 for side in image.shape[:2])
        values.append((image[top : top + SIZE : 4, left : left + SIZE : 4] / 255.0 - MEAN) / STD)
    return float(np.mean(values)), float(np.std(values))
