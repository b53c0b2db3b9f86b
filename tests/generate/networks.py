"""Writes tests/fixtures/networks/: small networks as PyTorch exports them to ONNX, and one step's loss and gradients as PyTorch computes them.

Made with torch 2.15.0, torchvision 0.29.2, timm 1.0.31, onnx 1.23.2, onnxscript 0.7.2 and safetensors (pip install torch==2.15.0
torchvision==0.29.2 timm==1.0.31 onnx==1.23.2 onnxscript==0.7.2 safetensors), on the CPU:

    python tests/generate/networks.py [NAME...]
    python tests/generate/networks.py --every FOLDER [NAME...]

The second form writes each network by both exporters, in both modes and with several operator sets to FOLDER, as
FOLDER/NAME.EXPORTER.MODE.OPSET.onnx; the test `every_kind_of_export_can_be_trained` reads them if EXPORTS names that folder.

Each network is a pair of files. NAME.onnx comes from torch.onnx.export, by the exporter and in the mode that stands below. NAME.safetensors holds
`images`, `labels`, dropout masks `mask.N`, and what the network in training mode gives in float64: `loss` (mean cross entropy), `logits`,
`gradient/INITIALISER` under the names and in the layout of the file, running statistics after the step `after/BUFFER`, and `inference`, the logits in
evaluation mode before the step. Beside each `T` stands `error/T`: how far the same computation in float32 is off, relative to the largest element.
"""

import functools
import pathlib
import sys
import warnings

import numpy as np
import onnx
import timm
import torch
import torchvision
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "networks"
BATCH, SIZE, CLASSES = 4, 32, 3


class Masked(nn.Module):
    """nn.Dropout with a given mask."""

    def __init__(self):
        super().__init__()
        self.mask = None

    def forward(self, x):
        return x * self.mask if self.training else x


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8, momentum=0.3, eps=1e-3), nn.Hardswish(), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(8 * 8 * 8, CLASSES))


class Mlp(nn.Module):
    """MLP-Mixer: patches, token mixing, layer norms, no convolution."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Linear(3 * 64, 12)
        self.place = nn.Parameter(torch.randn(1, 16, 12) * 0.1)
        self.norm = nn.LayerNorm(12)
        self.wide, self.narrow = nn.Linear(12, 20), nn.Linear(20, 12)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x):
        n = x.shape[0]
        x = x.reshape(n, 3, 4, 8, 4, 8).permute(0, 2, 4, 1, 3, 5).reshape(n, 16, 192)
        x = self.patches(x) + self.place
        x = x + self.narrow(F.gelu(self.wide(self.norm(x))))
        return self.head(torch.tanh(x.mean(1)))


class Mobile(nn.Module):
    """Depthwise and grouped convolutions, squeeze and excitation, pools that do not count their border."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depth = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.SiLU())
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.group = nn.Sequential(nn.Conv2d(8, 12, 3, padding=1, groups=2), nn.LeakyReLU(0.1))
        self.pool = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        self.scale = nn.Parameter(torch.rand(12, 1, 1) + 0.5)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x):
        x = self.depth(self.stem(x))
        gate = F.hardsigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        x = self.pool(self.group(x * gate)) * self.scale
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Narrow(torchvision.models.ResNet):
    """torchvision's ResNet18 with a thirty-second of its channels."""

    def __init__(self):
        super().__init__(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2], num_classes=CLASSES)
        self.conv1, self.bn1 = nn.Conv2d(3, 2, 7, 2, 3, bias=False), nn.BatchNorm2d(2)
        self.fc = nn.Linear(16, CLASSES)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:
            self.inplanes = 2
        return super()._make_layer(block, planes // 32, blocks, stride, dilate)


class Mean(nn.Module):
    """Global pooling that is exported as one node; adaptive pooling is exported as twenty."""

    def forward(self, x):
        return x.mean((2, 3), keepdim=True)


def vit():
    return torchvision.models.VisionTransformer(
        image_size=SIZE, patch_size=16, num_layers=2, num_heads=2, hidden_dim=4, mlp_dim=6, num_classes=CLASSES)


def swin():
    network = torchvision.models.SwinTransformer(
        patch_size=[8, 8], embed_dim=4, depths=[1, 1], num_heads=[1, 2], window_size=[4, 4], mlp_ratio=2.0, stochastic_depth_prob=0.0,
        num_classes=CLASSES)
    network.avgpool = Mean()
    return network


def convnext():
    blocks = [torchvision.models.convnext.CNBlockConfig(4, 6, 1), torchvision.models.convnext.CNBlockConfig(6, None, 2)]
    network = torchvision.models.ConvNeXt(blocks, num_classes=CLASSES)
    network.avgpool = Mean()
    return network


def efficientnet():
    block = torchvision.models.efficientnet.MBConvConfig
    blocks = [block(1, 3, 1, 8, 8, 1, 1.0, 1.0), block(2, 3, 2, 8, 8, 2, 1.0, 1.0), block(2, 5, 2, 8, 16, 1, 1.0, 1.0)]
    return torchvision.models.EfficientNet(blocks, dropout=0.0, stochastic_depth_prob=0.0, num_classes=CLASSES, last_channel=12)


def mobilenet_v2():
    network = torchvision.models.MobileNetV2(
        CLASSES, width_mult=0.25, inverted_residual_setting=[[1, 16, 1, 1], [2, 24, 2, 2], [2, 32, 1, 2]], round_nearest=4, dropout=0.0)
    network.features[-1] = torchvision.ops.Conv2dNormActivation(8, 12, 1, activation_layer=nn.ReLU6)
    network.classifier[1] = nn.Linear(12, CLASSES)
    return network


def mobilenet_v3():
    block = torchvision.models.mobilenetv3.InvertedResidualConfig
    blocks = [
        block(8, 3, 8, 8, True, "RE", 2, 1, 1.0), block(8, 3, 16, 8, False, "RE", 1, 1, 1.0), block(8, 5, 16, 16, True, "HS", 2, 1, 1.0),
        block(16, 5, 24, 16, True, "HS", 1, 2, 1.0)]
    return torchvision.models.MobileNetV3(blocks, 12, CLASSES, dropout=0.0)


def regnet():
    sizes = torchvision.models.regnet.BlockParams([1, 2], [8, 16], [4, 8], [1.0, 1.0], [2, 2], 0.25)
    return torchvision.models.RegNet(sizes, CLASSES, stem_width=6)


def densenet():
    return torchvision.models.DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=6, bn_size=2, num_classes=CLASSES)


def lite():
    """timm's EfficientNet-Lite with a few channels: ReLU6 and no squeeze-and-excitation."""
    efficientnet = timm.models.efficientnet
    arch = [["ds_r1_k3_s1_e1_c16"], ["ir_r2_k3_s2_e2_c24"], ["ir_r1_k5_s2_e2_c40"]]
    return efficientnet.EfficientNet(
        efficientnet.decode_arch_def(arch), CLASSES, num_features=12, stem_size=6, fix_stem=True,
        round_chs_fn=functools.partial(efficientnet.round_channels, multiplier=0.2, divisor=4), act_layer=nn.ReLU6)


def timm_convnext():
    return timm.models.ConvNeXt(num_classes=CLASSES, depths=(1, 1, 1, 1), dims=(4, 6, 6, 8), ls_init_value=0.5)


def timm_vit():
    return timm.models.VisionTransformer(
        img_size=SIZE, patch_size=16, num_classes=CLASSES, embed_dim=8, depth=2, num_heads=2, mlp_ratio=1.5)


def timm_swin():
    return timm.models.SwinTransformer(
        img_size=SIZE, patch_size=4, num_classes=CLASSES, window_size=4, embed_dim=4, depths=(2, 1), num_heads=(1, 2), mlp_ratio=1.5,
        drop_path_rate=0.0)


NETWORKS = {
    "cnn": cnn, "convnext": convnext, "densenet": densenet, "efficientnet": efficientnet, "lite": lite, "mlp": Mlp, "mobile": Mobile,
    "mobilenet_v2": mobilenet_v2, "mobilenet_v3": mobilenet_v3, "regnet": regnet, "resnet": Narrow, "swin": swin, "timm_convnext": timm_convnext,
    "timm_swin": timm_swin, "timm_vit": timm_vit, "vit": vit}
# Exporter (the tracing one of before, or torch.export's, with its optimizer or, since that merges batch norms, without), the mode that the
# network is in, and the operator set.
EXPORTS = {
    "cnn": ("trace", "train", 17), "convnext": ("dynamo", "eval", 20), "densenet": ("trace", "train", 13),
    "efficientnet": ("trace", "preserve", 17), "lite": ("dynamo plain", "eval", 18), "mlp": ("dynamo", "eval", 20),
    "mobile": ("trace", "preserve", 17), "mobilenet_v2": ("trace", "train", 11), "mobilenet_v3": ("dynamo plain", "eval", 20),
    "regnet": ("trace", "preserve", 15), "resnet": ("dynamo plain", "eval", 20), "swin": ("dynamo", "eval", 20),
    "timm_convnext": ("dynamo plain", "eval", 21), "timm_swin": ("dynamo plain", "eval", 18), "timm_vit": ("trace", "train", 14),
    "vit": ("dynamo", "eval", 20)}
EVERY = [
    ("trace", "preserve", 11), ("trace", "train", 13), ("trace", "eval", 17), ("dynamo", "eval", 18), ("dynamo", "train", 21),
    ("dynamo plain", "eval", 23)]


def made(name):
    torch.manual_seed(len(name))
    network = NETWORKS[name]()
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            # No initial value that could hide an error.
            if key.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif key.endswith("running_mean"):
                tensor.normal_(0, 0.2)
            elif tensor.dim() == 1 and key.endswith("weight"):
                tensor.uniform_(0.6, 1.4)
            elif tensor.dim() == 1 and key.endswith("bias"):
                tensor.normal_(0, 0.2)
            elif tensor.is_floating_point() and (tensor == tensor.flatten()[0]).all():
                tensor.normal_(0, 0.3)
    return network


def export(name, network, kind=None, path=None):
    exporter, mode, opset = kind or EXPORTS[name]
    path = path or FOLDER / f"{name}.onnx"
    images = torch.randn(2, 3, SIZE, SIZE)
    network.train(mode != "eval")
    names = dict(input_names=["pixels"], output_names=["scores"], opset_version=opset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "trace":
            training = {
                "train": torch.onnx.TrainingMode.TRAINING, "preserve": torch.onnx.TrainingMode.PRESERVE,
                "eval": torch.onnx.TrainingMode.EVAL}[mode]
            torch.onnx.export(
                network, images, path, dynamo=False, training=training, do_constant_folding=mode == "eval",
                dynamic_axes={"pixels": {0: "n"}, "scores": {0: "n"}}, **names)
        else:
            batch = torch.export.Dim("n", min=1)
            torch.onnx.export(
                network, (images,), path, dynamo=True, external_data=False, dynamic_shapes=({0: batch},), verbose=False,
                optimize=exporter == "dynamo", **names)
    model = onnx.load(path)
    for node in model.graph.node:
        # Source locations of nodes: most of a small file.
        del node.metadata_props[:]
    model.graph.ClearField("value_info")
    onnx.save(model, path)
    print(path.name, path.stat().st_size, "bytes")
    return model


def every(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        for kind in EVERY:
            try:
                export(name, made(name), kind, folder / ".".join([name, kind[0].replace(" ", "-"), kind[1], str(kind[2]), "onnx"]))
            except Exception as error:
                print(name, *kind, "is not exported:", type(error).__name__, str(error).splitlines()[0])


def named(model, network):
    """For each parameter, the initialiser that contains it, and whether it is transposed: exporters rename and transpose some."""
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    names = {}
    for key, parameter in network.named_parameters():
        array = parameter.detach().numpy()
        for name, other in held.items():
            for turned, candidate in ((False, array), (True, array.T)):
                if other.shape == candidate.shape and np.array_equal(other, candidate) and key not in names:
                    names[key] = (name, turned)
        # The exporter evaluates lookups of a table at constant indices.
        assert key in names or key.endswith("relative_position_bias_table"), f"{key} is not in the file"
    return names


def masked(network, generator):
    """The masks of all dropouts, and the network with masks instead of dropouts."""
    masks = []
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Dropout) and child.p > 0:
                shape = (BATCH, 8, 8, 8)
                keep = torch.rand(shape, generator=generator) >= child.p
                masks.append(keep.float() / (1 - child.p))
                setattr(parent, name, Masked())
    return masks


def step(name, model, dtype, images, labels, masks):
    network = made(name)
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    with torch.no_grad():
        for key, buffer in network.named_buffers():
            # Tracing a network in training mode updates its running statistics.
            if key in held:
                buffer.copy_(torch.from_numpy(held[key].copy()))
    masked(network, torch.Generator())
    network.to(dtype).eval()
    with torch.no_grad():
        results = {"inference": network(images.to(dtype))}
    network.train()
    places = [module for module in network.modules() if isinstance(module, Masked)]
    for place, mask in zip(places, masks):
        place.mask = mask.to(dtype)
    logits = network(images.to(dtype))
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    results |= {"loss": loss.detach(), "logits": logits.detach()}
    for key, parameter in network.named_parameters():
        results[f"gradient/{key}"] = parameter.grad
    for key, buffer in network.named_buffers():
        # Other buffers are counters, masks and position indices.
        if "running" in key:
            results[f"after/{key}"] = buffer.clone()
    return results


def main():
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--every"]:
        every(pathlib.Path(sys.argv[2]), sys.argv[3:] or NETWORKS)
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        model = export(name, made(name))
        names = named(model, made(name))
        generator = torch.Generator().manual_seed(7)
        images = torch.randn(BATCH, 3, SIZE, SIZE, generator=generator).half().float()
        labels = torch.randint(CLASSES, (BATCH,), generator=generator)
        masks = masked(made(name), generator)
        exact, single = (step(name, model, dtype, images, labels, masks) for dtype in (torch.float64, torch.float32))
        stored = {"images": images.half().numpy(), "labels": labels.numpy()}
        stored |= {f"mask.{place}": mask.numpy() for place, mask in enumerate(masks)}
        for key, tensor in exact.items():
            kept = key
            if key.startswith("gradient/"):
                if key.removeprefix("gradient/") not in names:
                    continue
                initialiser, turned = names[key.removeprefix("gradient/")]
                kept = f"gradient/{initialiser}"
                tensor, single[key] = (t.T if turned else t for t in (tensor, single[key]))
            scale = tensor.abs().max().item()
            off = (single[key].double() - tensor).abs().max().item() / scale if scale > 0 else 0.0
            stored[kept] = tensor.float().numpy()
            stored[f"error/{kept}"] = np.array(off, np.float32)
        metadata = {"torch": torch.__version__.split("+")[0], "made by": "tests/generate/networks.py"}
        path = FOLDER / f"{name}.safetensors"
        save_file({key: np.array(array, order="C") for key, array in stored.items()}, path, metadata)
        print(path.name, path.stat().st_size, "bytes,", len(exact), "results, loss", exact["loss"].item())


if __name__ == "__main__":
    main()
