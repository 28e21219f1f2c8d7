"""Units beside PEs and functions, bit-exact and priced as parts; one file each in ``kinds``.

>>> unit = make_unit("hadamard", {"group": 32, "bits": 16})
>>> unit.parts(), unit.price(technology)
"""

from __future__ import annotations

from hwsim.hardware.units.base import UNITS, Unit, make_unit

__all__ = ["UNITS", "Unit", "make_unit"]
