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

#: Metrics of designs on an FPGA device alone: 10^9 operations per second, what they take of it, one PE's part of that.
DEVICE_METRICS: Mapping[str, Direction] = MappingProxyType(
    {
        "gops": "max",
        "pes": "max",
        "lut6": "min",
        "alm": "min",
        "ff": "min",
        "dsp": "min",
        "bram18": "min",
        "uram": "min",
        "m20k": "min",
        "pe_lut6": "min",
        "pe_alm": "min",
        "pe_ff": "min",
        "pe_dsp": "min",
        "binding_share": "min",
    }
)

#: All of them.
ALL_METRICS: Mapping[str, Direction] = MappingProxyType({**METRICS, **DEVICE_METRICS})
