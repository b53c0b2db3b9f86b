"""Writes tests/fixtures/operators/: modules of one or a few operators as PyTorch exports them to ONNX, and what PyTorch computes.

Made with the packages of exports.py, on the CPU:

    python tests/generate/operators.py

NAME.onnx comes from torch.onnx.export; `all.safetensors` holds for each NAME `NAME/x`, `NAME/y` and, for the loss Σ y·w with the weights
`NAME/w`, the gradients `NAME/dx` and `NAME/d/INITIALISER`, computed in float64 and stored in float32.
"""

import pathlib
import sys
import warnings

import numpy as np
import onnx
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "operators"


class Of(nn.Module):
    """A function of x, and of parameters of the given shapes."""

    def __init__(self, function, **shapes):
        super().__init__()
        self.function = function
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(torch.randn(*shape)))

    def forward(self, x):
        return self.function(self, x)


def of(function, *shape, opset=18, dynamo=False, **shapes):
    return lambda: Of(function, **shapes), shape, opset, dynamo


def after_layer(function, *shape, **shapes):
    """The function after a trained matrix: initialisers that are combined with an input alone are constants of the network."""
    return of(lambda m, x: function(m, x @ m.matrix), *shape, matrix=(shape[-1], shape[-1]), **shapes)


def layer(make, *shape, opset=18, dynamo=False):
    return make, shape, opset, dynamo


INDEX = torch.tensor([[0, 2, 2], [4, 1, 0]])
OPERATORS = {
    "softplus": layer(nn.Softplus, 4, 5),
    "mish": layer(nn.Mish, 4, 5),
    "elu": layer(lambda: nn.ELU(0.7), 4, 5),
    "selu": layer(nn.SELU, 4, 5),
    "celu": layer(lambda: nn.CELU(0.6), 4, 5),
    "softsign": layer(nn.Softsign, 4, 5),
    "abs": of(lambda m, x: x.abs(), 4, 5),
    "where": after_layer(lambda m, x: torch.where(x > m.a, x * 2, m.a), 4, 5, a=(5,)),
    "less": of(lambda m, x: torch.where(x < m.a, x, x * 3), 4, 5, a=(5,)),
    "at_least": of(lambda m, x: torch.where(x >= 0.25, x, x * 3), 4, 5),
    "at_most": of(lambda m, x: torch.where(x <= 0.25, x, x * 3), 4, 5),
    "logic": of(lambda m, x: torch.where(((x > 0) & (x < 0.5)) | ~(x > -0.5), x, x * x), 4, 5),
    "mask": of(lambda m, x: x * (x > 0.1), 4, 5),
    "equal": of(lambda m, x: x.masked_fill(x.relu() == 0, -2.0) * x, 4, 5),
    "maximum": after_layer(lambda m, x: torch.maximum(x, m.a) + torch.minimum(x, x.relu()), 4, 5, a=(4, 1)),
    "amax": of(lambda m, x: x.relu().amax(1) + x.amin((1, 2), keepdim=True).squeeze(2), 4, 5, 3),
    "attention": of(
        lambda m, x: F.scaled_dot_product_attention(x @ m.a, x, x @ m.b), 2, 3, 4, 5, opset=23, dynamo=True, a=(5, 5), b=(5, 5)),
    "attention_causal": of(
        lambda m, x: F.scaled_dot_product_attention(x @ m.a, x, x, is_causal=True), 2, 3, 4, 5, opset=23, dynamo=True, a=(5, 5)),
    "attention_masked": of(
        lambda m, x: F.scaled_dot_product_attention(x @ m.a, x, x, attn_mask=x[:, :1, :, :4] > 0), 2, 3, 4, 5, opset=23, dynamo=True, a=(5, 5)),
    "einsum_attention": after_layer(lambda m, x: torch.einsum("bhid,bhjd->bhij", x, x * m.a), 2, 3, 4, 5, a=(5,)),
    "einsum_weight": of(lambda m, x: torch.einsum("bnc,dc->nbd", x, m.a), 2, 3, 4, a=(5, 4)),
    "einsum_sum": of(lambda m, x: torch.einsum("bic,cdj,b->dj", x, m.a, x[:, 0, 0]), 2, 3, 4, a=(4, 5, 6)),
    "gather": of(lambda m, x: x @ m.a[INDEX].sum(0), 4, 3, a=(5, 3)),
    "gather_axis": of(lambda m, x: x[:, [2, 0, 2, 1]] * 2, 3, 4, 2),
    "gather_nd": of(lambda m, x: x + m.a[INDEX.view(-1) % 3, INDEX.view(-1).flip(0)], 6, 2, a=(3, 5, 2)),
    "embedding_bias": of(lambda m, x: x + m.a[INDEX.view(-1)].view(2, 3, 4).permute(2, 0, 1), 4, 2, 3, a=(5, 4)),
    "instance_norm": layer(lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.InstanceNorm2d(4, affine=True)), 2, 4, 3, 5),
    "group_norm": layer(lambda: nn.Sequential(nn.Conv2d(4, 6, 1), nn.GroupNorm(2, 6)), 2, 4, 3, 5),
    "group_norm_21": layer(
        lambda: nn.Sequential(nn.Conv2d(4, 6, 1), nn.GroupNorm(3, 6, eps=1e-3)), 2, 4, 3, 5, opset=21, dynamo=True),
    "rms_norm": layer(lambda: nn.Sequential(nn.Linear(5, 6), nn.RMSNorm(6, eps=1e-5)), 2, 3, 5, opset=23, dynamo=True),
    "nearest": layer(lambda: nn.Upsample(scale_factor=2), 2, 3, 4, 5),
    "nearest_size": layer(lambda: nn.Upsample(size=(7, 3)), 2, 3, 4, 5),
    "bilinear": layer(lambda: nn.Upsample(scale_factor=1.7, mode="bilinear"), 2, 3, 4, 5),
    "bilinear_corners": layer(lambda: nn.Upsample(size=(7, 9), mode="bilinear", align_corners=True), 2, 3, 4, 5),
    "bicubic": layer(lambda: nn.Upsample(size=(7, 3), mode="bicubic"), 2, 3, 4, 5),
    "tile": of(lambda m, x: x.repeat(1, 2, 3), 2, 3, 4),
    "expand_parameter": of(lambda m, x: torch.cat([m.a.expand(4, -1, -1), x], 1), 4, 2, 3, a=(1, 1, 3)),
    "steps": of(lambda m, x: x[:, 1::2, ::3], 2, 6, 8),
    "flip": after_layer(lambda m, x: x.flip(1, 2) * m.a, 2, 3, 4, a=(4,)),
    "softmax_channels": layer(lambda: nn.Softmax(1), 2, 3, 4, 5),
    "softmax_rows": layer(lambda: nn.Softmax(-1), 2, 3, 4, 5),
    "log_softmax": layer(lambda: nn.LogSoftmax(2), 2, 3, 4, 5),
    "dilated": layer(lambda: nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2), 2, 4, 7, 8),
    "dilated_strides": layer(lambda: nn.Conv2d(3, 4, 3, stride=2, padding=3, dilation=(3, 2)), 2, 3, 11, 9),
    "ceil_max_pool": layer(lambda: nn.MaxPool2d(3, 2, ceil_mode=True), 2, 3, 8, 6),
    "ceil_max_pool_border": layer(lambda: nn.MaxPool2d(2, 2, 1, ceil_mode=True), 2, 3, 5, 7),
    "ceil_average_pool": layer(lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), 2, 3, 8, 6),
    "ceil_average_pool_inside": layer(lambda: nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False), 2, 3, 8, 6),
    "uneven_max_pool": of(lambda m, x: F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, 1), 2, 3, 4, 5),
    "pad_value": of(lambda m, x: F.pad(x, (1, 2, 0, 3), value=0.7), 2, 3, 4),
    "pad_reflect": of(lambda m, x: F.pad(x, (1, 2, 3, 0), mode="reflect"), 2, 3, 4, 5),
    "pad_replicate": of(lambda m, x: F.pad(x, (1, 2, 3, 0), mode="replicate"), 2, 3, 4, 5),
    "pixel_shuffle": layer(lambda: nn.PixelShuffle(2), 2, 8, 3, 4),
    "pixel_unshuffle": layer(lambda: nn.PixelUnshuffle(2), 2, 3, 4, 6),
    "normalize": of(lambda m, x: F.normalize(x, dim=1), 3, 4),
    "position": of(lambda m, x: x + torch.arange(x.shape[1]).float().sin()[:, None], 2, 5, 3),
}


def export(name):
    make, shape, opset, dynamo = OPERATORS[name]
    torch.manual_seed(len(name))
    module = make().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if (parameter == parameter.flatten()[0]).all():
                parameter.uniform_(0.5, 1.5)
    x = torch.randn(shape)
    path = FOLDER / f"{name}.onnx"
    arguments = dict(external_data=False, verbose=False) if dynamo else dict(do_constant_folding=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (x,), path, dynamo=dynamo, opset_version=opset, input_names=["x"], output_names=["y"], **arguments)
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
    del model.metadata_props[:]
    model.graph.ClearField("value_info")
    onnx.save(model, path)
    return module, x, model


def main():
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    stored = {}
    for name in OPERATORS:
        module, x, model = export(name)
        held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        parameters = list(module.named_parameters())
        names = {}
        for key, parameter in parameters:
            array = parameter.detach().numpy()
            names[key] = [
                (other, turned) for other, tensor in held.items() for turned, candidate in ((False, array), (True, array.T))
                if tensor.shape == candidate.shape and np.array_equal(tensor, candidate)]
            assert names[key], f"{name}: {key} is not in the file"
        module.double()
        x = x.double().requires_grad_()
        y = module(x)
        w = torch.randn(y.shape).float().double()
        (y * w).sum().backward()
        stored |= {f"{name}/x": x.detach(), f"{name}/y": y.detach(), f"{name}/w": w, f"{name}/dx": x.grad}
        for key, parameter in parameters:
            # A parameter that is only compared has no gradient.
            if parameter.grad is None:
                continue
            other, turned = names[key][0]
            stored[f"{name}/d/{other}"] = parameter.grad.T if turned else parameter.grad
    stored = {key: np.array(tensor.float().numpy(), order="C") for key, tensor in stored.items()}
    metadata = {"torch": torch.__version__.split("+")[0], "made by": "tests/generate/operators.py"}
    save_file(stored, FOLDER / "all.safetensors", metadata)
    print(len(OPERATORS), "operators,", sum(path.stat().st_size for path in FOLDER.iterdir()), "bytes")


if __name__ == "__main__":
    sys.exit(main())
