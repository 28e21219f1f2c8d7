"""The figures of a design that a sweep can aim at, and which way each is better."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Direction = Literal["min", "max"]

#: Metric columns of the design table in their order, each with the direction that is better.
METRICS: Mapping[str, Direction] = MappingProxyType(
    {
        "area_mm2": "min",
        "peak_tops": "max",
        "latency_ms": "min",
        "energy_mj": "min",
        "edp_mj_ms": "min",
        "avg_power_w": "min",
        "tops_per_watt": "max",
        "tops_per_mm2": "max",
        "utilization": "max",
        "sqnr_db": "max",
    }
)

#: Of these, what needs an area, and what needs an energy or a power: no source gives them on FPGA devices.
AREA_METRICS = frozenset({"area_mm2", "tops_per_mm2"})
ENERGY_METRICS = frozenset({"energy_mj", "edp_mj_ms", "avg_power_w", "tops_per_watt", "gops_per_watt"})

#: Metrics of devices whose logic is LUTs, and of those whose logic is ALMs.
LOGIC_METRICS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "lut6": frozenset({"lut6", "bram18", "bram36", "uram", "lut_share", "bram_share", "uram_share", "pe_lut6"}),
        "alm": frozenset({"alm", "m20k", "alm_share", "m20k_share", "pe_alm"}),
    }
)

#: Metrics of designs on an FPGA device alone: 10^9 operations per second (and watt, where a power is stated), what
#: they take of it, as a share of what is usable there too, and one PE's part of that.
DEVICE_METRICS: Mapping[str, Direction] = MappingProxyType(
    {
        "gops": "max",
        "gops_per_watt": "max",
        "pes": "max",
        "lut6": "min",
        "alm": "min",
        "ff": "min",
        "dsp": "min",
        "bram18": "min",
        "bram36": "min",
        "uram": "min",
        "m20k": "min",
        "lut_share": "min",
        "alm_share": "min",
        "ff_share": "min",
        "dsp_share": "min",
        "bram_share": "min",
        "uram_share": "min",
        "m20k_share": "min",
        "pe_lut6": "min",
        "pe_alm": "min",
        "pe_ff": "min",
        "pe_dsp": "min",
        "binding_share": "min",
    }
)

#: All of them.
ALL_METRICS: Mapping[str, Direction] = MappingProxyType({**METRICS, **DEVICE_METRICS})
