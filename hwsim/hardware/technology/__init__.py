"""Technologies price parts; every constant carries its source."""

from __future__ import annotations

from hwsim.hardware.technology.asic import (
    Constant,
    PartPrice,
    PartsPrice,
    Price,
    Technology,
    factor,
    factor_rows,
    load_technology,
    technology_names,
)
from hwsim.hardware.technology.node_scaling import Point, Scaling, scale_factor
from hwsim.hardware.technology.scaling import scaling_path
from hwsim.hardware.technology.wires import Wire, WireChoice, wire

__all__ = [
    "Constant", "PartPrice", "PartsPrice", "Point", "Price", "Scaling", "Technology", "Wire", "WireChoice", "factor",
    "factor_rows", "load_technology", "scale_factor", "scaling_path", "technology_names", "wire",
]  # fmt: skip
