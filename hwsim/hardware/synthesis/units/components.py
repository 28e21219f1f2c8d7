"""Single components: rows of gates, shifters, comparators, registers, Booth encoder and selector; ``n`` bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hwsim.hardware.circuits import (
    AddSubtract,
    AndRow,
    BoothEncoder,
    BoothSelector,
    Circuit,
    Comparator,
    CompressorTree,
    Incrementer,
    LeadingZeroCounter,
    Mux,
    Negator,
    Register,
    Shifter,
    Subtractor,
    XorRow,
)
from hwsim.hardware.synthesis.unit import UNITS, Bill, bill

#: Circuits of n bits and the levels of their longest path.
_SIMPLE: dict[str, tuple[Callable[[int], tuple[Circuit, ...]], Callable[[int], float]]] = {
    "c_and": (lambda n: (AndRow(n),), lambda n: 1.0),
    "c_xor": (lambda n: (XorRow(n),), lambda n: 1.0),
    "c_mux2": (lambda n: (Mux(n, 2),), lambda n: 1.0),
    "c_csa": (lambda n: (CompressorTree(3, n),), lambda n: 1.0),
    "c_reg": (lambda n: (Register(n),), lambda n: 1.0),
    "c_inc": (lambda n: (Incrementer(n),), lambda n: n / 2),
    "c_negc": (lambda n: (Negator(n),), lambda n: n / 2),
    "c_cmp": (lambda n: (Comparator(n),), lambda n: 2 + n / 4),
    "c_lzc": (lambda n: (LeadingZeroCounter(n),), lambda n: 1 + n / 2),
    "c_sub": (lambda n: (Subtractor(n),), lambda n: n + 1.0),
    "c_addsub": (lambda n: (AddSubtract(n),), lambda n: n + 1.0),
    "booth_enc": (lambda n: (BoothEncoder(n),), lambda n: 1.0),
    "booth_pp": (lambda n: (BoothSelector(n),), lambda n: 2.0),
}


def _law(name: str) -> Callable[[Mapping[str, int], str], Bill]:
    circuits, levels = _SIMPLE[name]
    return lambda p, style: bill(levels(p["n"]), *circuits(p["n"]))


for _name in _SIMPLE:
    UNITS.register(_name)(_law(_name))


@UNITS.register("c_shr")
def c_shr(p: Mapping[str, int], style: str) -> Bill:
    """Right shifter of n bits by up to 2^k - 1."""
    return bill(0.7 * p["k"], Shifter(p["n"], 2 ** p["k"]))
