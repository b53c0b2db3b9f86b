"""Writes tests/fixtures/pixel_ops.json: an image, and Pillow's results of the operations that torchvision's augmentations call.

Made with Pillow 13.0.0 (pip install pillow==13.0.0):

    python tests/generate/pixel_ops.py

Hue is turned in float64 by Python's colorsys and rounded, since Pillow's own conversion keeps hues in 8 bits. The Gaussian is in
float64, cut off at three standard deviations, with the border reflected about the centres of its pixels, and rounded once.
"""

import colorsys
import json
import math
import pathlib

from PIL import Image, ImageEnhance, ImageOps

SIZE = 24


def picture():
    """Gradients, an edge and a little noise, in 40..230, so that autocontrast changes it."""
    state = 1
    pixels = []
    for row in range(SIZE):
        for column in range(SIZE):
            for channel in range(3):
                state = (state * 1103515245 + 12345) % 2**31
                value = 60 + 5 * (row if channel == 0 else column) + 20 * (channel == 2 and row > 11)
                pixels.append(max(40, min(230, value + (state >> 16) % 41 - 20)))
    return Image.frombytes("RGB", (SIZE, SIZE), bytes(pixels))


def turned(image, turn):
    def pixel(value):
        hue, saturation, brightness = colorsys.rgb_to_hsv(*(v / 255 for v in value))
        return tuple(int(v * 255 + 0.5) for v in colorsys.hsv_to_rgb((hue + turn) % 1, saturation, brightness))

    data = image.tobytes()
    pixels = [pixel(data[at : at + 3]) for at in range(0, len(data), 3)]
    return Image.frombytes("RGB", image.size, bytes(v for value in pixels for v in value))


def smoothed(image, sigma):
    radius = math.ceil(3 * sigma)
    weights = [math.exp(-(d * d) / (2 * sigma * sigma)) for d in range(-radius, radius + 1)]
    weights = [weight / sum(weights) for weight in weights]

    def reflected(at):
        at %= 2 * (SIZE - 1)
        return min(at, 2 * (SIZE - 1) - at)

    data = image.tobytes()
    plane = [[list(data[(r * SIZE + c) * 3 :][:3]) for c in range(SIZE)] for r in range(SIZE)]
    for _ in range(2):  # along rows, transposed, twice
        plane = [
            [
                [sum(w * plane[r][reflected(c + d - radius)][k] for d, w in enumerate(weights)) for k in range(3)]
                for r in range(SIZE)
            ]
            for c in range(SIZE)
        ]
    return Image.frombytes("RGB", image.size, bytes(int(v + 0.5) for row in plane for pixel in row for v in pixel))


def main():
    image = picture()
    cases = []
    enhancers = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "saturation": ImageEnhance.Color,
        "sharpness": ImageEnhance.Sharpness,
    }
    for name, enhancer in enhancers.items():
        for factor in (0.0, 0.73, 1.9):
            cases.append((name, factor, enhancer(image).enhance(factor)))
    for bits in (2, 4, 7, 8):
        cases.append(("posterize", bits, ImageOps.posterize(image, bits)))
    for threshold in (0.0, 118.5, 255.0):
        cases.append(("solarize", threshold, ImageOps.solarize(image, threshold)))
    cases.append(("auto_contrast", 0, ImageOps.autocontrast(image)))
    cases.append(("equalize", 0, ImageOps.equalize(image)))
    for turn in (0.0, 0.1, -0.37, 0.5):
        cases.append(("hue", turn, turned(image, turn)))
    for sigma in (0.1, 0.8, 2.5):
        cases.append(("blur", sigma, smoothed(image, sigma)))
    written = {
        "size": SIZE,
        "image": image.tobytes().hex(),
        "cases": [{"op": name, "value": value, "image": made.tobytes().hex()} for name, value, made in cases],
    }
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "pixel_ops.json"
    path.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
