"""Classifies images by a model that `client train` or `client export` wrote: prints each path with its class and the probability of that.

    pip install onnxruntime numpy pillow
    python docs/how-to/predict.py runs/flowers/model.onnx new/*.jpg
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def square(path, size, short, pad=None):
    """The middle of an image as the program makes it, or all of it on the grey value `pad`: [size, size, 3], from 0 to 255."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    least, most = min(image.size), max(image.size)
    if 0 < short < least:
        image = image.resize([(2 * side * short + least) // (2 * least) for side in image.size], Image.Resampling.BILINEAR)
        most = max(image.size)
    if pad is not None:
        if most > 2 * size:
            image = image.resize([max((4 * side * size + most) // (2 * most), 1) for side in image.size], Image.Resampling.BILINEAR)
        side = max(image.size)
        canvas = Image.new("RGB", (side, side), (pad, pad, pad))
        canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        image = canvas
    pixels = np.asarray(image, np.float32)
    for side in (image.height, image.width):
        canvas = round(side / (min(image.size) / size))
        places = (np.arange(size) + (canvas - size + 1) // 2) * ((side - 1) / (canvas - 1))
        lower, share = places.astype(int), (places % 1)[:, None, None]
        pixels = (pixels[lower] * (1 - share) + pixels[np.minimum(lower + 1, side - 1)] * share).swapaxes(0, 1)
    return pixels


def main():
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    classes, how, takes = (json.loads(metadata[key]) for key in ("classes", "preprocessing", "input"))
    adjustments = json.loads(metadata.get("adjustments", "{}"))
    if adjustments:
        print("the model is adjusted:", json.dumps(adjustments), "class shares:", metadata.get("class_shares"), file=sys.stderr)
    for path in sys.argv[2:]:
        pixels = square(path, how["image_size"], how["canonical_short_side"], how.get("pad"))
        if takes["element_type"] == "u8":
            pixels = pixels.round().astype(np.uint8)
        else:
            pixels = ((pixels / 255 - how["mean"]) / how["std"]).astype(np.float32)
        if takes["layout"] == "NCHW":
            pixels = pixels.transpose(2, 0, 1)
        logits = session.run(None, {takes["name"]: pixels[None]})[0][0]
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        best = shares.argmax()
        if threshold := adjustments.get("threshold"):
            positive = classes.index(threshold["class"])
            best = positive if shares[positive] >= threshold["probability"] else 1 - positive
        print(path, classes[best], shares[best], sep="\t")


if __name__ == "__main__":
    main()
