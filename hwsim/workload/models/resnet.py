"""ResNet with basic or bottleneck blocks, the stride in the 3 × 3 convolution (v1.5)."""

from __future__ import annotations

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.convolution import Conv, ConvNet, Feature
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import refuse_decode
from hwsim.workload.models.vit import refuse_tokens
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import finish

#: A bottleneck narrows its channels to a quarter (transformers ``ResNetBottleNeckLayer``).
REDUCTION = 4


@FAMILIES.register("resnet")
def resnet(config: Config, phase: Phase) -> Trace:
    """``ResNetForImageClassification``.

    Real files carry no ``image_size`` (it stands in ``preprocessor_config.json``); it must be added.
    """
    refuse_decode("resnet", phase)
    refuse_tokens("resnet", phase)
    widths, depths = config.integers("hidden_sizes"), config.integers("depths")
    channels, stem = config.integer("num_channels", default=3), config.integer("embedding_size")
    block = config.choice("layer_type", {"bottleneck": "bottleneck", "basic": "basic"}, "bottleneck")
    activation = config.choice("hidden_act", ACTIVATIONS, "relu")
    first = config.flag("downsample_in_first_stage", False)
    image, classes = config.integer("image_size"), config.labels()
    config.require(len(widths) == len(depths), "'hidden_sizes' and 'depths' differ in length")
    config.require(
        not config.flag("downsample_in_bottleneck", False), "'downsample_in_bottleneck' true is not supported"
    )
    config.check()
    net = ConvNet(Feature(channels, image, image), phase.batch, [])
    net.conv("stem", Conv(channels, stem, 7, 2, 3), activation)
    net.maxpool("stem.pool", 3, 2, 1)
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for index in range(depth):
            stride = 2 if index == 0 and (stage > 0 or first) else 1
            _block(net, f"stage{stage + 1}.{index}", width, stride, block, activation)
    net.classifier(classes)
    return finish("resnet", phase, None, net.ops, net.weights + net.other_parameters, net.other_parameters)


def _block(net: ConvNet, name: str, width: int, stride: int, block: str, activation: str) -> None:
    source, other = net.feature, net.made_by
    if source.channels != width or stride != 1:
        net.conv(f"{name}.shortcut", Conv(source.channels, width, 1, stride), source=source)
        other = f"{name}.shortcut"
    if block == "basic":
        net.conv(f"{name}.conv1", Conv(source.channels, width, 3, stride, 1), activation)
        net.conv(f"{name}.conv2", Conv(width, width, 3, 1, 1))
    else:
        narrow = width // REDUCTION
        net.conv(f"{name}.conv1", Conv(source.channels, narrow, 1), activation)
        net.conv(f"{name}.conv2", Conv(narrow, narrow, 3, stride, 1), activation)
        net.conv(f"{name}.conv3", Conv(narrow, width, 1))
    net.vector(f"{name}.residual", "add", net.feature, other)
    net.vector(f"{name}.act", activation, net.feature)
