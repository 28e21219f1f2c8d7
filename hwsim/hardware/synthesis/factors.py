"""Factors on the energy of families of circuits, from the synthesised rows: what ``factors.csv`` states.

All are of logic alone: flip-flops and their clock, whose energy is known (``c_reg`` rows), are taken off first,
as a technology multiplies logic by these factors and never registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hwsim.hardware.synthesis.rows import AREA, Row

#: Families and the classes of units that they are measured on.
FAMILIES = {
    "integer_add": ("int_add",), "integer_multiply": ("int_mul", "uint_mul"), "integer_mac": ("int_mac", "int_pe"),
    "dot": ("int_dot",), "float_add": ("fp_add",), "float_multiply": ("fp_mul", "fp_mulx"), "float_mac": ("fp_mac",),
    "lmul": ("lmul",), "lmul_mac": ("lmul_mac",), "shift_add": ("shiftadd",), "bit_serial": ("bitserial_int",),
    "bitmod": ("bitmod",), "ternary": ("ternary",), "xnor": ("xnor",), "lut": ("lut_sym", "lut_full"),
}  # fmt: skip
SETTLED, EVENT, GAUSSIAN = "E_rand_noglitch_fJ", "E_rand_fJ", "E_gauss_fJ"


#: Families of which a technology multiplies single parts by what stands still, instead of the whole.
BY_PART = ("float_mac", "lmul_mac", "bitmod")


def measured(
    rows: Sequence[Row], register_fj: float, register_um2: float, fj_per_um2: float, place: str = "asap7 area"
) -> dict[tuple[str, str], float]:
    """Return the medians over the rows of one library by kind (``settled``, ``glitch``, ``gaussian``) and family.

    Parameters
    ----------
    register_fj, register_um2
        Energy of a flip-flop per operation, its clock included, and its area.
    fj_per_um2
        The technology's settled-value energy of logic per area.
    """
    found = {}
    for family, kinds in FAMILIES.items():
        if family not in BY_PART:
            densities = [
                (row.figures[SETTLED] - flops * register_fj) / ((row.figures[AREA] - flops * register_um2) * fj_per_um2)
                for row in rows
                if row.place == place and row.kind in kinds and row.figures.get(SETTLED)
                for flops in (row.bill.cells.get("reg", 0.0),)
            ]
            found["settled", family] = float(np.median(densities))
        for kind, over, under in (("glitch", EVENT, SETTLED), ("gaussian", GAUSSIAN, EVENT)):
            ratios = list(_ratios(rows, place, kinds, register_fj, over, under))
            if ratios:
                found[kind, family] = float(np.median(ratios))
    return found


def _ratios(
    rows: Sequence[Row], place: str, kinds: Sequence[str], register_fj: float, over: str, under: str
) -> Iterator[float]:
    for row in rows:
        if row.place == place and row.kind in kinds and row.figures.get(over) and row.figures.get(under):
            held = row.bill.cells.get("reg", 0.0) * register_fj
            yield (row.figures[over] - held) / (row.figures[under] - held)
