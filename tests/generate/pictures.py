"""Writes tests/fixtures/jpeg (one picture in all JPEG formats), tests/fixtures/jpeg-sizes (in many sizes), the pixels that
libjpeg-turbo decodes, and tests/fixtures/other, a small picture in the other formats.

    pip install opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy && python tests/generate/pictures.py
"""

import hashlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

FIXTURES = Path(__file__).parent.parent / "fixtures"
OUT = FIXTURES / "jpeg"
WIDTH, HEIGHT = 157, 123  # No multiple of a block.


def picture() -> np.ndarray:
    """Shapes with sharp edges, gradients, and grain. Blue, green, red."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    red = 128 + 100 * np.sin(x / 17) * np.cos(y / 23)
    green = 255 * x / WIDTH
    blue = 128 + 90 * np.cos((x + 2 * y) / 31)
    image = np.stack([blue, green, red], axis=-1)
    image[(x - 60) ** 2 + (y - 50) ** 2 < 900] = (30, 200, 240)
    image[90:110, 20:120] = (200, 40, 20)
    image += np.random.default_rng(7).normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def main() -> None:
    OUT.mkdir(exist_ok=True)
    image = picture()
    quality = [cv2.IMWRITE_JPEG_QUALITY, 85]

    def write(name: str, image: np.ndarray, *options: int) -> None:
        assert cv2.imwrite(str(OUT / f"{name}.jpg"), image, [*quality, *options])

    for sampling in ("411", "420", "422", "440", "444"):
        factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
        write(sampling, image, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor)
    write("grey", cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    write("restarts", image, cv2.IMWRITE_JPEG_RST_INTERVAL, 3)
    write("optimized", image, cv2.IMWRITE_JPEG_OPTIMIZE, 1)
    write("progressive", image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    pillow = Image.fromarray(image[..., ::-1])
    pillow.convert("CMYK").save(OUT / "cmyk.jpg", quality=85)
    pillow.save(OUT / "rgb.jpg", quality=85, keep_rgb=True)
    # Extreme coefficients, in codes of every length.
    noise = np.random.default_rng(8).integers(0, 2, (64, 64, 3), dtype=np.uint8) * 255
    Image.fromarray(noise).save(OUT / "extreme.jpg", quality=100, subsampling=0)

    sizes(pillow)
    hashes()
    others(pillow.resize((40, 31)))


def sizes(image: Image.Image) -> None:
    """Sizes that end within blocks and MCUs, or are smaller than one."""
    out = FIXTURES / "jpeg-sizes"
    out.mkdir(exist_ok=True)
    for width, height in [(1, 1), (2, 3), (3, 2), (4, 5), (6, 16), (16, 17), (33, 31), (50, 65)]:
        part = np.asarray(image.resize((width, height)))[..., ::-1]
        for sampling in ("411", "420", "422", "440", "444"):
            factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
            options = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
            assert cv2.imwrite(str(out / f"{sampling}-{width}x{height}.jpg"), part, options)


def hashes() -> None:
    """The hash of the pixels as Pillow decodes them by libjpeg-turbo: rows of RGB."""
    lines = [
        f"{hashlib.sha256(Image.open(path).convert('RGB').tobytes()).hexdigest()}  {path.relative_to(FIXTURES).as_posix()}\n"
        for path in sorted(FIXTURES.glob("jpeg*/*.jpg"))
    ]
    (FIXTURES / "jpeg.sha256").write_text("".join(lines))


def others(image: Image.Image) -> None:
    out = FIXTURES / "other"
    out.mkdir(exist_ok=True)
    turned = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    palette = image.quantize(16)
    image.save(out / "lossy.webp", quality=80)
    image.convert("RGBA").save(out / "alpha.webp", lossless=True)
    image.save(out / "animated.webp", save_all=True, append_images=[turned], duration=100)
    palette.save(out / "animated.gif", save_all=True, append_images=[turned.quantize(16)], interlace=1)
    palette.save(out / "palette.png", bits=4, transparency=0)
    image.convert("LA").save(out / "grey-alpha.png")
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(out / "deep.png")
    palette.save(out / "palette.bmp")
    image.save(out / "rgb.bmp")
    image.convert("1").save(out / "bits.bmp")


if __name__ == "__main__":
    main()
