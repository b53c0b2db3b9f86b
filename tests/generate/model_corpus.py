"""Writes tests/fuzz/corpus/model_file/: small ONNX files that the fuzz target `model_file` starts from.

Made with onnx 1.23.2 and numpy (pip install onnx==1.23.2 numpy), on the CPU:

    python tests/generate/model_corpus.py

Each network is a convolution of images of 32 pixels, a middle part that is named as the file, and a classifier. Those that begin with `crafted` are
refused.
"""

import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).parent.parent / "fuzz" / "corpus" / "model_file"
random = np.random.default_rng(0)


def floats(name, *dims):
    return numpy_helper.from_array(random.standard_normal(dims).astype(np.float32), name)


def ints(name, *numbers):
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def node(operator, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def norm(x, y):
    return node("BatchNormalization", f"{x} scale shift mean variance", y)


NORM = [floats("scale", 4), floats("shift", 4), floats("mean", 4), numpy_helper.from_array(np.ones(4, np.float32), "variance")]
WINDOW = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}

MIDDLES = {
    "norms": ([norm("x", "a"), node("Identity", "scale", "same"), node("BatchNormalization", "a same shift mean variance", "y")], NORM),
    "rectifiers": (
        [node("Clip", "x low high", "a"), node("PRelu", "a slope", "b"), node("LeakyRelu", "b", "c", alpha=0.1), node("HardSwish", "c", "y")],
        [numpy_helper.from_array(np.float32(0), "low"), numpy_helper.from_array(np.float32(6), "high"), floats("slope", 1)]),
    "pools": ([node("MaxPool", "x", "a", **WINDOW), node("AveragePool", "a", "y", auto_pad="SAME_UPPER", kernel_shape=[2, 2])], []),
    "branches": (
        [node("Conv", "x kernel", "a", group=2, pads=[1, 1, 1, 1]), node("Add", "a x", "b"), node("Split", "b", "c d", axis=1),
         node("Concat", "d c", "e", axis=1), node("Mul", "e x", "y")],
        [floats("kernel", 4, 2, 3, 3)]),
    "tokens": (
        [node("Shape", "x", "s"), node("Gather", "s zero", "n", axis=0), node("Concat", "n rest", "t", axis=0), node("Reshape", "x t", "a"),
         node("Transpose", "a", "b", perm=[0, 2, 1]), node("LayerNormalization", "b gain", "c"), node("MatMul", "c matrix", "d"),
         node("Softmax", "d", "e", axis=-1), node("Transpose", "e", "f", perm=[0, 2, 1]), node("Unsqueeze", "f three", "y")],
        [ints("zero", 0), ints("rest", 4, -1), floats("gain", 4), floats("matrix", 4, 4), ints("three", 3)]),
    "choices": (
        [node("Greater", "x half", "a"), node("Neg", "x", "b"), node("Where", "a x b", "c"), node("Pow", "c two", "d"),
         node("ReduceMean", "d axes", "y")],
        [numpy_helper.from_array(np.float32(0.5), "half"), numpy_helper.from_array(np.float32(2), "two"), ints("axes", 3)]),
    "parts": (
        [node("Slice", "x starts ends axes steps", "a"), node("Pad", "a pads", "b"), node("Expand", "b shape", "y")],
        [ints("starts", 1), ints("ends", 7), ints("axes", 2), ints("steps", 2), ints("pads", 0, 0, 1, 0, 0, 0, 0, 2), ints("shape", 1, 4, 1, 1)]),
    "constants": (
        [node("ConstantOfShape", "size", "a", value=helper.make_tensor("", TensorProto.FLOAT, [1], [2.0])), node("Mul", "x a", "b"),
         node("Cast", "b", "c", to=TensorProto.FLOAT), node("Dropout", "c", "y")],
        [ints("size", 4, 1, 1)]),
    "selection": (
        [node("Gather", "x rows", "a", axis=2), node("Tile", "a repeats", "b"), node("Slice", "b starts ends axes steps", "c"),
         node("Pad", "c pads", "y", mode="reflect")],
        [ints("rows", 3, 0, 3, -1), ints("repeats", 1, 1, 2, 1), ints("starts", -1), ints("ends", -9), ints("axes", 3), ints("steps", -2),
         ints("pads", 0, 0, 1, 0, 0, 0, 0, 2)]),
    "sums": (
        [node("Einsum", "x matrix", "a", equation="nchw,kc->nkhw"), node("Max", "a x row", "b"), node("Sum", "b x row", "c"),
         node("ReduceMax", "c axes", "y")],
        [floats("matrix", 4, 4), floats("row", 8), ints("axes", 3)]),
    "resized": (
        [node("Resize", "x none scales", "a", mode="linear"), node("InstanceNormalization", "a scale shift", "b"),
         node("SpaceToDepth", "b", "c", blocksize=2), node("DepthToSpace", "c", "d", blocksize=2),
         node("MaxPool", "d", "e", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), node("Mish", "e", "y")],
        [floats("none", 0), numpy_helper.from_array(np.array([1, 1, 1.5, 2], np.float32), "scales"), *NORM[:2]]),
    "masks": (
        [node("Range", "zero eight one", "a"), node("ScatterND", "a places numbers", "b"), node("Mod", "b two", "c"),
         node("Equal", "c zero", "d"), node("Neg", "x", "e"), node("Where", "d x e", "f"), node("Softmax", "f", "y", axis=1)],
        [*(numpy_helper.from_array(np.array(number), name) for number, name in ((0, "zero"), (8, "eight"), (1, "one"), (2, "two"))),
         numpy_helper.from_array(np.array([[1], [3]]), "places"), ints("numbers", 6, 5)]),
    "crafted_stride": ([node("AveragePool", "x", "y", kernel_shape=[2, 2], strides=[0, 0], auto_pad="SAME_LOWER")], []),
    "crafted_pads": ([node("AveragePool", "x", "y", kernel_shape=[2, 2], pads=[7, 7, 7, 7])], []),
    "crafted_size": ([node("ConstantOfShape", "size", "a"), node("Add", "x a", "y")], [ints("size", 1 << 31, 1 << 31)]),
    "crafted_doubling": (
        [node("Concat", " ".join(["a" if step == 0 else f"a{step}"] * 8), f"a{step + 1}", axis=0) for step in range(12)]
        + [node("Reshape", "x a12", "y")],
        [ints("a", *[1] * 64)]),
    "crafted_circle": ([node("Relu", "y", "a"), node("Relu", "a", "y")], []),
    "crafted_shapes": ([node("Squeeze", "two", "a"), node("Transpose", "two", "b", perm=[0]), node("Reshape", "x b", "y")], [ints("two", 4, 4)]),
}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (middle, tensors) in MIDDLES.items():
        nodes = [node("Conv", "pixels stem", "x", strides=[4, 4]), *middle]
        nodes += [node("GlobalAveragePool", "y", "pooled"), node("Flatten", "pooled", "flat"), node("Gemm", "flat weight bias", "scores", transB=1)]
        held = [floats("stem", 4, 3, 4, 4), floats("weight", 2, 4), floats("bias", 2), *tensors]
        images = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, 32, 32])
        scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])
        graph = helper.make_graph(nodes, name, [images], [scores], held)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
