"""Tables of an array of look-up PEs: who makes them, in how many cycles, and what more they cost than the PEs' parts.

A PE of family ``lut`` already has its share of a table's registers, lines and, with ``precompute: array``, of the
generator that fills it: 1 / ``tile_n`` of each, for the columns of a tile share tables. An array must therefore
consist of whole tiles. What is added here is what the PE leaves to its surroundings: with ``precompute: fused`` the
vector unit's additions, as many as a generator in the array would make; with tables made ahead a second register.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from hwsim.hardware.accelerator_spec import HardwareSpec
from hwsim.hardware.circuits import Register
from hwsim.hardware.pe import PE
from hwsim.hardware.pe.converted import Decoded
from hwsim.hardware.pe.lookup import generator_adders
from hwsim.hardware.pe.lut_base import Lut
from hwsim.spec.errors import UsageError

#: Generators in the array have an adder for every sum of a table: all are made in one cycle.
GENERATOR_CYCLES = 1


@dataclass(frozen=True)
class TableMaking:
    """How the tables of a step are made for one row, and how many registers hold them.

    ``additions`` are the vector unit's per row and step, 0 where generators are in the array; ``bits`` those of
    the tables; ``sets`` counts the tiles side by side, which have registers of their own.
    """

    cycles: int
    additions: int
    bits: int
    activation_bits: int
    sets: int
    ahead: bool

    @property
    def expansion(self) -> Fraction:
        """Bits of tables per bit of activations."""
        return Fraction(self.bits, self.activation_bits)

    @property
    def second_register(self) -> Register | None:
        """Return the register beside the PEs' own that the tables of the next step fill, per row and set."""
        return Register(self.bits) if self.ahead else None


def table_making(spec: HardwareSpec, pe: PE) -> TableMaking | None:
    """Return how an array of ``pe`` makes its tables; None where it has none.

    Raises
    ------
    UsageError
        If the PE reads no tables, or the array does not consist of its tiles.
    """
    if spec.array.tables is None:
        return None
    pe = pe.inner if isinstance(pe, Decoded) else pe  # decoders are in front of tables
    if not isinstance(pe, Lut) or pe.variant == "add":
        what = "variant add" if isinstance(pe, Lut) else f"family {pe.family}"
        raise UsageError(f"array.tables: a PE of {what} reads no tables; valid: pe.family lut, any variant but add")
    for edge, size, tile in (("rows", spec.array.rows, pe.tile_m), ("cols", spec.array.cols, pe.tile_n)):
        if size % tile:
            option = f"pe.tile_{'m' if edge == 'rows' else 'n'}"
            raise UsageError(
                f"array.{edge}: {size} are no whole tiles of {tile}, among which the PE shares its tables and weights; "
                f"valid: multiples of {tile}, or {option}: {size}"
            )
    adders = sum(sum(generator_adders(g, pe.symmetric, pe.variant != "figlut").values()) for g in pe.groups)
    additions = 0 if pe.in_array else adders
    return TableMaking(
        cycles=GENERATOR_CYCLES if pe.in_array else ceil(spec.array.rows * additions / spec.vector_unit.lanes),
        additions=additions,
        bits=sum(map(pe.table_words, pe.groups)) * pe.entry_bits,
        activation_bits=pe.lanes * pe.a_format.bits,
        sets=spec.array.cols // pe.tile_n,
        ahead=spec.array.tables == "ahead",
    )
