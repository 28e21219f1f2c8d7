"""FPGA fabric: circuits in LUT6 sites, flip-flops and carry chains; devices, DSP blocks and block RAM.

===============  =======================================================================
room             what it is for
===============  =======================================================================
``cells``        what a circuit is made of on a fabric of six-input LUTs
``fabric``       the calibrated size of each of these, and the price of circuits and parts
``units/``       the synthesised units that the calibration stands on, one file per family
``rows``         their table
``calibrate``    the fit, and how far units are off that it has not seen
===============  =======================================================================
"""

from __future__ import annotations

from hwsim.hardware.fpga.cells import FABRIC_CELLS, fabric_cells
from hwsim.hardware.fpga.fabric import Fabric, Sites, load_fabric
from hwsim.hardware.fpga.rows import LutRow, read_lut_rows
from hwsim.hardware.fpga.unit import FAMILIES, family_cells

__all__ = ["FABRIC_CELLS", "FAMILIES", "Fabric", "LutRow", "Sites", "fabric_cells", "family_cells", "load_fabric",
           "read_lut_rows"]  # fmt: skip
