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

__all__ = [
    "Constant", "PartPrice", "PartsPrice", "Price", "Technology", "factor", "factor_rows", "load_technology",
    "technology_names",
]  # fmt: skip
