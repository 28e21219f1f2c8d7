"""Published units and accelerators on FPGAs, each with its modelled figure beside it, or why there is none.

``hwsim/data/fpga/published_units.csv``: ``model`` names what is modelled. A family of synthesised units is priced as
such. ``registers`` are those of two operands of ``bits`` and a result, whose ninth bit is read off the published 25
flip-flops. ``accelerator`` is a published design whose
products are taken from DSP blocks into LUTs: its ``fabric`` and so many ``products`` of a family. ``minifloat_macs``
is the least or most by which exact MACs of minifloats are larger than those of integers of the same width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.formats.sums import lossless_float_bits, lossless_integer_bits
from hwsim.hardware.fpga.fabric import load_fabric
from hwsim.hardware.fpga.rows import read_params
from hwsim.hardware.fpga.unit import FAMILIES, LENGTH, family_cells
from hwsim.spec.data import read_csv_rows


@dataclass(frozen=True)
class Published:
    """A published figure; ``modelled`` is None where ``why_not`` says why there is no model."""

    unit: str
    format: str
    figure: str
    published: float | str
    modelled: float | None
    why_not: str
    device_tool: str
    source: str

    @property
    def error(self) -> float | None:
        """The deviation of the model, relative, of shares (``…_share_…``) their difference; None without a model."""
        if self.modelled is None or isinstance(self.published, str):
            return None
        if "_share" in self.figure:
            return self.modelled - self.published
        return self.modelled / self.published - 1


def published_units() -> list[Published]:
    """Return all published units, in the order of the file."""
    return [
        Published(
            row["unit"], row["format"], row["figure"], _number(row["value"]),
            _modelled(row["model"], read_params(row["params"])) if row["model"] else None,
            row["why_not"], row["device_tool"], row["source"],
        )
        for row in read_csv_rows("fpga", "published_units.csv")
    ]  # fmt: skip


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _luts(family: str, params: Mapping[str, Any]) -> float:
    return load_fabric().luts(family_cells(family, params))


def _registers(params: Mapping[str, Any]) -> float:
    return float(2 * params["bits"] + params["result"])


def _accelerator(params: Mapping[str, Any]) -> float:
    return float(params["fabric"] + params["products"] * _luts(params["family"], params))


def mac_overheads(least_bits: int = 3, most_bits: int = 8) -> dict[str, float]:
    """Return by how much an exact MAC of each minifloat, with two to five exponent bits, exceeds an integer's."""
    found = {}
    for bits in range(least_bits, most_bits + 1):
        integer = _luts("int_mac", {"wa": bits, "wb": bits, "acc": lossless_integer_bits(bits, bits, LENGTH)})
        for exponent in range(2, min(bits, 6)):
            fields = exponent, bits - 1 - exponent
            acc = lossless_float_bits(fields, fields, LENGTH)
            own = _luts("fp_mac_kulisch", {"E": fields[0], "M": fields[1], "acc": acc})
            found[f"e{fields[0]}m{fields[1]}"] = own / integer - 1
    return found


def _overhead(params: Mapping[str, Any]) -> float:
    pick = {"least": min, "most": max}[params["pick"]]
    return pick(mac_overheads().values())


_MODELS: dict[str, Callable[[Mapping[str, Any]], float]] = {
    "registers": _registers,
    "accelerator": _accelerator,
    "minifloat_macs": _overhead,
}


def _modelled(model: str, params: Mapping[str, Any]) -> float:
    return _luts(model, params) if model in FAMILIES else _MODELS[model](params)
