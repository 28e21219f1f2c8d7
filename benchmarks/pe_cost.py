"""Time of one PE cost: parts, stages at a clock, price; and its ratio to building the PE from options.

``first`` is what a PE takes that is new: building it, and what it remembers (the union of parts of several modes).
The second table prices many PEs of other widths at once, as :func:`hwsim.pe_costs` does, and each alone.
Run ``python benchmarks/pe_cost.py``. The goal is 200 µs per cost on one core.
"""

from __future__ import annotations

from itertools import product
from time import perf_counter

from timing import microseconds

from hwsim.hardware.pe import PE, make_pe, pairing
from hwsim.hardware.pe.many import price_many
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.technology import load_technology

LABELS = ("fp16", "fp8_e4m3", "int8", "lmul_e4m3", "bitmod4_g128", "nvfp4", "nf4_g64", "lut_w2a8",
          "laconic_w8a8", "bitlet_w8a8", "fp16+int8")  # fmt: skip


def main() -> None:
    technology = load_technology("28nm")
    print(f"{'pe':14} {'cost (us)':>10} {'first (us)':>11} {'build (us)':>11} {'ratio':>7}")
    for label in LABELS:
        spec = pairing(label).pe_spec
        pe = make_pe(spec)
        cost = microseconds(lambda pe=pe: pipelined_price(pe, technology, 1e9))
        first = microseconds(lambda spec=spec: pipelined_price(make_pe(spec), technology, 1e9))
        build = microseconds(lambda spec=spec: make_pe(spec))
        print(f"{label:14} {cost:10.0f} {first:11.0f} {build:11.0f} {cost / build:7.1f}")
    print(f"\n{'family':14} {'PEs':>6} {'together (us)':>14} {'alone (us)':>11} {'ratio':>7}")
    for name, make in (("int_mac", integers), ("float_mac", floats)):
        pes = make()
        start = perf_counter()
        price_many(pes, technology, 1e9)
        together, count = perf_counter() - start, len(pes)
        pes = make()  # nothing remembered
        start = perf_counter()
        for pe in pes:
            pipelined_price(pe, technology, 1e9)
        each = perf_counter() - start
        print(f"{name:14} {count:6} {together / count * 1e6:14.1f} {each / count * 1e6:11.1f} {each / together:7.1f}")


def integers() -> list[PE]:
    """Return integer MACs of every pair of widths and many lanes, new ones."""
    return [
        make_pe({"family": "int_mac", "w_format": f"int{w}", "a_format": f"int{a}", "lanes": lanes})
        for w, a, lanes in product(range(2, 13), range(2, 13), range(1, 41))
    ]


def floats() -> list[PE]:
    """Return float MACs of many exponents, mantissas and lanes, new ones."""
    formats = [
        (f"fp{1 + e + m}_e{e}m{m}", f"fp{1 + f + n}_e{f}m{n}")
        for e, m, f, n in product((2, 3, 4, 5), range(1, 9), (4, 5, 8), (3, 7, 10))
    ]
    return [
        make_pe({"family": "float_mac", "w_format": w, "a_format": a, "lanes": lanes})
        for (w, a), lanes in product(formats, range(1, 9))
    ]


if __name__ == "__main__":
    main()
