"""A block dot product beside the closed-form gate model (arXiv 2510.25602, App. C)."""

from __future__ import annotations

from hwsim.formats import parse_format
from hwsim.hardware.pe import PE
from hwsim.hardware.pe.gate_model import lane_area
from hwsim.hardware.technology import Technology
from hwsim.report.explain import Section, table

#: What areas are relative to, as in the paper's Table 5.
REFERENCE = "mxfp8_e4m3"


def gate_section(pe: PE, technology: Technology) -> list[Section]:
    """Return areas per lane by parts and by gates; nothing for PEs whose operands differ or of other families."""
    if pe.family != "block_dot" or pe.w_format != pe.a_format:
        return []
    rows = technology.price_parts(pe.parts(), pe.glitch_family).rows
    logic = sum(row.area_um2 for row in rows if row.part.group != "register") / pe.lanes
    gates, reference = lane_area(pe.w_format, technology, pe.lanes), lane_area(parse_format(REFERENCE), technology)
    figures = [
        {"figure": "parts without registers", "area_um2_per_lane": logic, "relative": None},
        {"figure": "closed-form gates", "area_um2_per_lane": gates, "relative": gates / reference},
    ]
    note = f"relative to {REFERENCE} with 32 lanes; published: MXINT8 .79 (32), NVFP4 .54 (16), NVINT4 .38 (16)"
    return [Section("against the closed-form gate model (arXiv 2510.25602, App. C)", table(figures), [note])]
