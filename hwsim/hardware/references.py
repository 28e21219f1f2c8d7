"""What the models say about units whose cost was published: every row with its deviation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hwsim.formats import Format, parse_format
from hwsim.hardware.circuits import Register
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.pipeline import dequantizer_price, pipelined_price
from hwsim.hardware.technology import Technology
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError

#: Clock at which the published PEs of ``references.csv`` were synthesised (BitMoD Table X, TPE).
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
    if quantity == "energy":
        return technology.op_energy_pj(operation, fmt)
    price = technology.datapath(operation, fmt)
    if quantity == "delay":  # published delays end at a register
        return (price.delay_ps + technology.price(Register(1)).delay_ps) * 1e-3
    return price.area_um2


def _pe(technology: Technology, family: str, name: str, quantity: str) -> float:
    pe = make_pe(pairing(name).pe_spec)
    if pe.family != family:
        raise UsageError(f"references.csv: {name} runs on {pe.family}, not on {family}")
    w, a = pe.w_format, pe.a_format
    if quantity == "delay":
        return price_pe(pe, technology).delay_ps * 1e-3
    price, _ = pipelined_price(pe, technology, PE_CLOCK_HZ)
    area, energy, leakage = price.area_um2, price.energy_fj + price.clock_fj, price.leakage_nw
    if pe.scaling(w, a) == "sum":
        scaler = dequantizer_price(pe, w, a, technology, PE_CLOCK_HZ)
        cycles = (w.block_size or 1) // pe.lanes * pe.cycles_per_step(w, a)
        area, leakage = area + scaler.area_um2, leakage + scaler.leakage_nw
        energy += scaler.energy_fj / cycles + scaler.clock_fj
    if quantity == "area":
        return area
    return (energy + leakage * 1e6 / PE_CLOCK_HZ) * 1e-3  # leakage: nW over one period, in fJ
