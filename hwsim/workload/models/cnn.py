"""Any convolutional network, from a list of layers in a JSON file of hwsim's own.

``model_type: cnn`` has ``image_size``, ``num_channels`` and ``layers``, each layer a mapping with
``type``:

* ``conv``: ``out``, ``kernel``, ``stride`` (1), ``padding`` (0), ``groups`` (1; ``-1`` is depthwise),
  ``norm`` (``batch``: folded, ``bias``, or ``batch+bias``), ``act``, ``repeat`` (1); kernel and padding
  may be a list of two, for height and width;
* ``maxpool``: ``kernel``, ``stride``, ``padding`` (0);
* ``avgpool``: to ``size`` × ``size`` pixels (1), which must divide the map;
* ``flatten``: pixels become channels;
* ``linear``: ``out``, ``act``; with bias;
* ``residual``: ``layers``, whose result is added to their input when the shapes agree, or to what the
  convolution ``shortcut`` makes of it; ``act``.

``image_size`` is one number, or a list of height and width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.spec.errors import UsageError, did_you_mean, shown
from hwsim.workload.config import ACTIVATIONS, LARGEST, MOST_PARTS, Config
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
    "residual": {"type", "layers", "shortcut", "act"},
}

#: Whether a convolution has a bias, and a folded batch norm.
NORMS = {"batch": (False, True), "bias": (True, False), "batch+bias": (True, True)}


@FAMILIES.register("cnn")
def cnn(config: Config, phase: Phase) -> Trace:
    """Build the trace layer by layer; a layer is named after its type and place in the list."""
    refuse_decode("cnn", phase)
    refuse_tokens("cnn", phase)
    given = config.get("image_size")
    sizes = config.integers("image_size") if isinstance(given, list) else (config.integer("image_size"),) * 2
    config.require(len(sizes) == 2, "'image_size' must be one number, or a list of height and width")
    channels = config.integer("num_channels")
    layers = config.get("layers")
    config.require(isinstance(layers, list) and bool(layers), "'layers' must be a list of layers")
    config.check()
    net = ConvNet(Feature(channels, *sizes), phase.batch, [])
    _add_layers(net, layers or [], config.source, "")
    return finish("cnn", phase, None, net.ops, net.weights + net.other_parameters, net.other_parameters)


@dataclass(frozen=True)
class _Layer:
    """One entry of the list, with checks that name its place."""

    entry: Mapping[str, Any]
    where: str

    def whole(self, key: str, default: int | None = None, minimum: int = 1) -> int:
        value = self.entry.get(key, default)
        most = MOST_PARTS if key == "repeat" else LARGEST
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= most:
            valid = f"must be a whole number from {minimum} to {most:,}"
            raise UsageError(f"{self.where}: {key!r} {valid}, not {shown(value)}")
        return value

    def pair(self, key: str, default: int | None = None, minimum: int = 1) -> tuple[int, int]:
        value = self.entry.get(key, default)
        if not isinstance(value, list):
            return (self.whole(key, default, minimum),) * 2
        if len(value) != 2 or any(isinstance(v, bool) or not isinstance(v, int) or v < minimum for v in value):
            raise UsageError(f"{self.where}: {key!r} must be one or two whole numbers of at least {minimum}")
        return value[0], value[1]

    def activation(self) -> str | None:
        name = self.entry.get("act")
        if name is not None and (not isinstance(name, str) or name not in ACTIVATIONS):
            raise UsageError(f"{self.where}: unknown act {shown(name)}; {did_you_mean(name, ACTIVATIONS)}")
        return ACTIVATIONS[name] if name is not None else None


def _add_layers(net: ConvNet, layers: Sequence[Any], source: str, prefix: str) -> None:
    for index, entry in enumerate(layers):
        where = f"{source}: layers.{prefix}{index}"
        kind = entry.get("type") if isinstance(entry, Mapping) else entry
        if not isinstance(entry, Mapping) or not isinstance(kind, str) or kind not in KEYS:
            raise UsageError(f"{where}: unknown layer type {shown(kind)}; {did_you_mean(kind, KEYS)}")
        for key in entry:
            if key not in KEYS[kind]:
                raise UsageError(f"{where}: unknown key {key!r}; {did_you_mean(key, KEYS[kind])}")
        name, layer = f"{prefix}{index}.{kind}", _Layer(entry, where)
        if kind == "residual":
            _residual(net, layer, name, source, f"{prefix}{index}.")
        else:
            _ADD[kind](net, layer, name)


def _residual(net: ConvNet, layer: _Layer, name: str, source: str, prefix: str) -> None:
    before, other, shortcut = net.feature, net.made_by, layer.entry.get("shortcut")
    inner = layer.entry.get("layers", [])
    if not isinstance(inner, list) or not isinstance(shortcut, Mapping | None):
        raise UsageError(f"{layer.where}: layers must be a list of layers, and shortcut a mapping of a convolution")
    _add_layers(net, inner, source, prefix)
    if shortcut is not None:
        after, made = net.feature, net.made_by
        net.feature, net.made_by = before, other
        _add_layers(net, [{"type": "conv", **shortcut}], source, f"{prefix}shortcut.")
        other, net.made_by = net.made_by, made
        if net.feature != after:
            raise UsageError(f"{layer.where}: the shortcut makes {net.feature}, the layers make {after}")
    if net.feature == before or shortcut is not None:
        net.vector(name, "add", net.feature, other)
    activation = layer.activation()
    if activation:
        net.vector(f"{name}.act", activation, net.feature)


def _conv(net: ConvNet, layer: _Layer, name: str) -> None:
    groups, out = layer.whole("groups", 1, minimum=-1), layer.whole("out")
    norm = layer.entry.get("norm", "batch")
    if not isinstance(norm, str) or norm not in NORMS or groups == 0:
        raise UsageError(f"{layer.where}: norm must be one of {', '.join(NORMS)}, and groups not 0")
    bias, folded = NORMS[norm]
    repeat, stride = layer.whole("repeat", 1), layer.whole("stride", 1)
    (height, width), (down, across) = layer.pair("kernel"), layer.pair("padding", 0, minimum=0)
    for index in range(repeat):
        source = net.feature.channels
        grouped = source if groups == -1 else groups
        conv = Conv(source, out, height, stride, down, grouped, width, across)
        net.conv(f"{name}.{index}" if repeat > 1 else name, conv, layer.activation(), bias=bias, norm=folded)


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
