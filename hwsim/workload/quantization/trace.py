"""From the scheme of a ``config.json`` to the formats of every layer, where no tensors are at hand."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.workload.checkpoints.tensors import alternatives
from hwsim.workload.layers import Formats, split_layers
from hwsim.workload.ops import Gemm, bare_name
from hwsim.workload.quantization.base import Scheme
from hwsim.workload.stored import with_idle
from hwsim.workload.tables import fill_other
from hwsim.workload.trace import Trace


def apply_scheme(trace: Trace, scheme: Scheme, plain: str = "") -> Trace:
    """Return ``trace`` with the formats of a scheme; layers of a row that differ are split.

    Parameters
    ----------
    plain
        Format of weights that are not quantized; ``""`` leaves them to a policy.
    """
    names = alternatives("hf")

    def formats(gemm: Gemm, numbers: Sequence[int], first: int) -> Sequence[Formats]:
        layer = bare_name(gemm.layer)
        modules = [one.replace("*", "0") for kinds in names.get(layer, ((layer,),)) for one in kinds]
        inside = layer != "lm_head"
        return [_layer(scheme, gemm, modules, number if inside else None, plain) for number in numbers]

    made = with_idle(trace, lambda whole: split_layers(whole, formats))
    return fill_other(made, plain) if plain else made


def _layer(scheme: Scheme, gemm: Gemm, modules: list[str], block: int | None, plain: str) -> Formats:
    """Return the formats of one layer: it is quantized unless one of the names that it may have is left out."""
    full = [f"model.layers.{block}.{module}" for module in modules] if block is not None else modules[:1]
    if not all(scheme.quantizes(module) for module in full):
        return Formats(plain)
    return Formats(*scheme.formats(full[0], gemm.k))
