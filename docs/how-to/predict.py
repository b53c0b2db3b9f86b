"""Classifies images by a model that `client train` or `client export` wrote: prints each path with its class and the probability of that.

    pip install onnxruntime numpy pillow
    python docs/how-to/predict.py runs/flowers/model.onnx new/*.jpg
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def square(path, size, short):
    """The middle of an image, `size` pixels square, as the program makes it."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    least = min(image.size)
    if 0 < short < least:
        image = image.resize([(2 * side * short + least) // (2 * least) for side in image.size], Image.Resampling.BILINEAR)
    canvas = [round(side / (min(image.size) / size)) for side in image.size]
    scale = [(side - 1) / (length - 1) for side, length in zip(image.size, canvas)]
    start = [((length - size + 1) // 2 - 0.5) * step + 0.5 for length, step in zip(canvas, scale)]
    place = (scale[0], 0, start[0], 0, scale[1], start[1])
    return image.transform((size, size), Image.Transform.AFFINE, place, Image.Resampling.BILINEAR)


def main():
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    classes, how, takes = (json.loads(metadata[key]) for key in ("classes", "preprocessing", "input"))
    for path in sys.argv[2:]:
        pixels = np.asarray(square(path, how["image_size"], how["canonical_short_side"]))
        if takes["element_type"] != "u8":
            pixels = (pixels / np.float32(255) - np.float32(how["mean"])) / np.float32(how["std"])
        if takes["layout"] == "NCHW":
            pixels = pixels.transpose(2, 0, 1)
        logits = session.run(None, {takes["name"]: pixels[None]})[0][0]
        shares = np.exp(logits - logits.max())
        print(path, classes[logits.argmax()], shares.max() / shares.sum(), sep="\t")


if __name__ == "__main__":
    main()
