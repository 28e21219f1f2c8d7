"""From the scheme of a ``config.json`` to the formats of every layer, where no tensors are at hand."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.workload.checkpoints.tensors import alternatives
from hwsim.workload.layers import Formats, own_layer, shares_layers, split_layers
from hwsim.workload.ops import Gemm
from hwsim.workload.quantization.base import Scheme
from hwsim.workload.stored import fill_other, with_idle
from hwsim.workload.trace import Trace


def apply_scheme(trace: Trace, scheme: Scheme, plain: str = "") -> Trace:
    """Return ``trace`` with the formats of a scheme; layers of a row that differ are split.

    Parameters
    ----------
    plain
        Format of weights that are not quantized; ``""`` leaves them to a policy.
    """
    names = alternatives("hf")
    layers = max((gemm.repeat for gemm in trace.gemms if gemm.w_source == "dram"), default=1)

    def formats(gemm: Gemm, first: int) -> Sequence[Formats]:
        layer = own_layer(gemm.layer)
        modules = [one.replace("*", "0") for kinds in names.get(layer, ((layer,),)) for one in kinds]
        if shares_layers(layer):  # experts are in the last layers where they are not in all
            first = max(0, layers - gemm.repeat)
        inside = layer != "lm_head"
        return [_layer(scheme, gemm, modules, first + at if inside else None, plain) for at in range(gemm.repeat)]

    made = with_idle(trace, lambda whole: split_layers(whole, formats))
    return fill_other(made, plain) if plain else made


def _layer(scheme: Scheme, gemm: Gemm, modules: list[str], block: int | None, plain: str) -> Formats:
    """Return the formats of one layer: it is quantized unless one of the names that it may have is left out."""
    full = [f"model.layers.{block}.{module}" for module in modules] if block is not None else modules[:1]
    if not all(scheme.quantizes(module) for module in full):
        return Formats(plain)
    return Formats(*scheme.formats(full[0], gemm.k))
