"""Gate-level synthesis as the yardstick: units of known size, and a model that is fitted on them.

=============  ==========================================================================
room           what it is for
=============  ==========================================================================
``unit``       what a synthesised unit is counted as: cells and levels; the registry
``units``      the classes of units, one file per family
``rows``       rows of synthesis tables, read and checked
``model``      from counted cells to area, delay, leakage and energy in a library
``fit``        the fit of that model, and its cross-validation
=============  ==========================================================================

Units and their figures: ``hwsim/data/synthesis/rows.csv`` (own Verilog, yosys 0.70 and abc).
"""

from __future__ import annotations

from hwsim.hardware.synthesis.model import Calibration, load_calibration
from hwsim.hardware.synthesis.rows import FIGURES, Row, read_rows
from hwsim.hardware.synthesis.unit import UNITS, Bill

__all__ = ["FIGURES", "UNITS", "Bill", "Calibration", "Row", "load_calibration", "read_rows"]
