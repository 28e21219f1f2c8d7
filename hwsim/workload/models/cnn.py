"""Any convolutional network, from a list of layers in a JSON file of hwsim's own.

``model_type: cnn`` has ``image_size``, ``num_channels`` and ``layers``, each layer a mapping with
``type``:

* ``conv``: ``out``, ``kernel``, ``stride`` (1), ``padding`` (0), ``groups`` (1; ``-1`` is depthwise),
  ``norm`` (``batch``: folded, or ``bias``), ``act``, ``repeat`` (1);
* ``maxpool``: ``kernel``, ``stride``, ``padding`` (0);
* ``avgpool``: to ``size`` × ``size`` pixels (1), which must divide the map;
* ``flatten``: pixels become channels;
* ``linear``: ``out``, ``act``; with bias;
* ``residual``: ``layers``, whose result is added to their input when the shapes agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.convolution import Conv, ConvNet, Feature
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import refuse_decode
from hwsim.workload.models.vit import refuse_tokens
from hwsim.workload.ops import Gemm
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import finish

KEYS = {
    "conv": {"type", "out", "kernel", "stride", "padding", "groups", "norm", "act", "repeat"},
    "maxpool": {"type", "kernel", "stride", "padding"},
    "avgpool": {"type", "size"},
    "flatten": {"type"},
    "linear": {"type", "out", "act"},
    "residual": {"type", "layers"},
}


@FAMILIES.register("cnn")
def cnn(config: Config, phase: Phase) -> Trace:
    """Build the trace layer by layer; a layer is named after its type and place in the list."""
    refuse_decode("cnn", phase)
    refuse_tokens("cnn", phase)
    image, channels = config.integer("image_size"), config.integer("num_channels")
    layers = config.values.get("layers")
    config.require(isinstance(layers, list) and bool(layers), "'layers' must be a list of layers")
    config.check()
    net = ConvNet(Feature(channels, image, image), phase.batch, [])
    _add_layers(net, layers or [], config.source, "")
    return finish("cnn", phase, None, net.ops, net.weights + net.other_parameters, net.other_parameters)


@dataclass(frozen=True)
class _Layer:
    """One entry of the list, with checks that name its place."""

    entry: Mapping[str, Any]
    where: str

    def whole(self, key: str, default: int | None = None, minimum: int = 1) -> int:
        value = self.entry.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise UsageError(f"{self.where}: {key!r} must be a whole number of at least {minimum}, not {value!r}")
        return value

    def activation(self) -> str | None:
        name = self.entry.get("act")
        if name is not None and name not in ACTIVATIONS:
            raise UsageError(f"{self.where}: unknown act {name!r}; {did_you_mean(name, ACTIVATIONS)}")
        return ACTIVATIONS[name] if name is not None else None


def _add_layers(net: ConvNet, layers: Sequence[Any], source: str, prefix: str) -> None:
    for index, entry in enumerate(layers):
        where = f"{source}: layers.{prefix}{index}"
        kind = entry.get("type") if isinstance(entry, Mapping) else entry
        if not isinstance(entry, Mapping) or kind not in KEYS:
            raise UsageError(f"{where}: unknown layer type {kind!r}; {did_you_mean(kind, KEYS)}")
        for key in entry:
            if key not in KEYS[kind]:
                raise UsageError(f"{where}: unknown key {key!r}; {did_you_mean(key, KEYS[kind])}")
        name, layer = f"{prefix}{index}.{kind}", _Layer(entry, where)
        if kind == "residual":
            before, other = net.feature, net.made_by
            _add_layers(net, entry.get("layers", ()), source, f"{prefix}{index}.")
            if net.feature == before:
                net.vector(name, "add", before, other)
        else:
            _ADD[kind](net, layer, name)


def _conv(net: ConvNet, layer: _Layer, name: str) -> None:
    groups, out = layer.whole("groups", 1, minimum=-1), layer.whole("out")
    bias = {"batch": False, "bias": True}.get(layer.entry.get("norm", "batch"))
    if bias is None or groups == 0:
        raise UsageError(f"{layer.where}: norm must be batch or bias, and groups not 0")
    repeat = layer.whole("repeat", 1)
    for index in range(repeat):
        source = net.feature.channels
        conv = Conv(
            source,
            out,
            layer.whole("kernel"),
            layer.whole("stride", 1),
            layer.whole("padding", 0, minimum=0),
            source if groups == -1 else groups,
        )
        net.conv(f"{name}.{index}" if repeat > 1 else name, conv, layer.activation(), bias=bias)


def _maxpool(net: ConvNet, layer: _Layer, name: str) -> None:
    net.maxpool(name, layer.whole("kernel"), layer.whole("stride"), layer.whole("padding", 0, minimum=0))


def _avgpool(net: ConvNet, layer: _Layer, name: str) -> None:
    size, feature = layer.whole("size", 1), net.feature
    if feature.height % size or feature.width % size:
        raise UsageError(f"{layer.where}: {feature.height} x {feature.width} pixels do not divide into {size} x {size}")
    if (feature.height, feature.width) != (size, size):
        net.vector(name, "avgpool", feature)
    net.feature = Feature(feature.channels, size, size)


def _flatten(net: ConvNet, layer: _Layer, name: str) -> None:
    net.feature = Feature(net.feature.channels * net.feature.pixels, 1, 1)


def _linear(net: ConvNet, layer: _Layer, name: str) -> None:
    source, out = net.feature, layer.whole("out")
    if source.pixels != 1:
        raise UsageError(f"{layer.where}: linear needs one pixel, not {source.pixels}; put avgpool or flatten before")
    net.ops.append(Gemm(name, net.images, out, source.channels, role="other"))
    net.made_by = name
    net.weights += out * source.channels
    net.other_parameters += out
    net.feature = Feature(out, 1, 1)
    activation = layer.activation()
    if activation:
        net.vector(f"{name}.act", activation, net.feature)


_ADD = {"conv": _conv, "maxpool": _maxpool, "avgpool": _avgpool, "flatten": _flatten, "linear": _linear}
