"""What the models say about units whose cost was published: every row with its deviation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hwsim.formats import Format, parse_format
from hwsim.hardware.pe import make_pe
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.technology import Technology
from hwsim.spec.data import read_csv_rows

#: Clock at which the published PEs of ``references.csv`` were synthesised (BitMoD Table X).
PE_CLOCK_HZ = 1e9


@dataclass(frozen=True, slots=True)
class Deviation:
    """One published figure, ours, and ours over published."""

    what: str
    published: float
    unit: str
    modelled: float
    source: str

    @property
    def ratio(self) -> float:
        """Modelled over published."""
        return self.modelled / self.published


@lru_cache(maxsize=1)
def reference_rows() -> tuple[dict[str, str], ...]:
    """Return the published figures that technologies are compared with."""
    return tuple(read_csv_rows("technology", "references.csv"))


def deviations(technology: Technology) -> list[Deviation]:
    """Return the deviation of every published figure at the technology's node; empty if there is none."""
    found = []
    for row in reference_rows():
        if float(row["node_nm"]) != technology.node_nm:
            continue
        price = _operation if row["kind"] == "operation" else _pe
        modelled = price(technology, row["unit_name"], row["format"], row["quantity"])
        what = f"{row['unit_name']} {row['format']} {row['quantity']}"
        found.append(Deviation(what, float(row["published"]), row["unit"], modelled, row["source"]))
    return found


def _operation(technology: Technology, operation: str, name: str, quantity: str) -> float:
    fmt: Format = parse_format(name)
    if quantity == "area":
        return technology.datapath(operation, fmt).area_um2
    return technology.op_energy_pj(operation, fmt)


def _pe(technology: Technology, family: str, name: str, quantity: str) -> float:
    options = {"family": family, "w_format": name, "a_format": "fp16"}
    price, _ = pipelined_price(make_pe(options), technology, PE_CLOCK_HZ)
    if quantity == "area":
        return price.area_um2
    leakage_fj = price.leakage_nw * 1e6 / PE_CLOCK_HZ  # nW over one period, in fJ
    return (price.energy_fj + price.clock_fj + leakage_fj) * 1e-3
