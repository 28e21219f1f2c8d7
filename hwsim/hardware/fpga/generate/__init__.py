"""Circuits in Verilog, synthesised by yosys and counted: where the rows that calibrate fabric come from.

``python -m hwsim.hardware.fpga.generate`` writes ``hwsim/data/fpga/component_rows.csv`` (LUT6 with CARRY4) and
``alm_rows.csv`` (Intel's ALMs) again, or checks them; it needs yosys (extra ``[synth]``).
"""

from __future__ import annotations

from hwsim.hardware.fpga.generate.alm import count_alms
from hwsim.hardware.fpga.generate.netlist import Netlist, read_netlist
from hwsim.hardware.fpga.generate.sites import count_sites
from hwsim.hardware.fpga.generate.verilog import verilog

__all__ = ["Netlist", "count_alms", "count_sites", "read_netlist", "verilog"]
