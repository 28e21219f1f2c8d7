"""Verilog of one unit, by family and parameters: those of :mod:`hwsim.hardware.fpga.units`.

Every unit is a module ``top``. Additions are meant to become carry chains of their own (:mod:`.yosys` pins them):
what is to be one chain is written as one addition, a carry-in as a bit below the lowest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hwsim.hardware.fpga.unit import Params
from hwsim.spec.errors import UsageError
from hwsim.spec.registry import Registry

VERILOG: Registry[Callable[[Params], str]] = Registry(
    "family of FPGA units in Verilog", "hwsim.hardware.fpga.generate.units"
)


def module(inputs: Mapping[str, int], outputs: Mapping[str, int], body: str) -> str:
    """Return the module ``top`` with ports of so many bits."""
    ports = [f"{way} [{bits - 1}:0] {name}" for way, sides in (("input", inputs), ("output", outputs))
             for name, bits in sides.items()]  # fmt: skip
    return f"module top({', '.join(ports)});\n{body}\nendmodule\n"


def verilog(family: str, params: Mapping[str, Any]) -> str:
    """Return the Verilog of a unit.

    Raises
    ------
    UsageError
        If the family is unknown, or a parameter is missing.
    """
    write = VERILOG.get(family)
    try:
        return write(params)
    except KeyError as error:
        raise UsageError(f"{family}: parameter {error.args[0]} is missing") from None
