"""Time of one PE cost: parts, stages at a clock, price; and its ratio to building the PE from options.

``first`` is what a PE takes that is new: building it, and what it remembers (the union of parts of several modes).
Run ``python benchmarks/pe_cost.py``. The goal is 200 µs per cost on one core.
"""

from __future__ import annotations

from timing import microseconds

from hwsim.hardware.pe import make_pe, pairing
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


if __name__ == "__main__":
    main()
