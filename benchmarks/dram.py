"""Time of one effective bandwidth after loading, alone and among many, and of the bank model per request.

Run ``python benchmarks/dram.py``. The goal is 20 µs per evaluation on one core.
"""

from __future__ import annotations

import time

import numpy as np
from timing import microseconds

from hwsim.hardware.memory.dram import (
    QUEUED,
    Access,
    BankModel,
    dram_names,
    effective,
    effective_many,
    load_preset,
    unloaded_latency_ns,
)

ACCESSES = {
    "sequential": Access(),
    "half reads": Access(read_share=0.5),
    "random 64 B": Access("random", 64),
    "strided": Access("strided", 64, 8192),
    "tiles": Access("tiles", 256, 8192),
}
PRESETS = ("ddr4_2400", "hbm3")
MANY, REQUESTS = 100_000, 20_000


def main() -> None:
    start = time.perf_counter()
    for name in dram_names():
        load_preset(name)
    print(f"loading all {len(dram_names())} presets: {(time.perf_counter() - start) * 1e3:.0f} ms")
    print(f"{'preset, pattern':30} {'one (us)':>9} {'of many (us)':>13}")
    sizes = np.arange(MANY) % 4096 + 1
    for name in PRESETS:
        preset = load_preset(name)
        for label, access in ACCESSES.items():
            one = microseconds(lambda p=preset, a=access: effective(p, a))
            strides = sizes + access.stride_bytes
            asked = (access.pattern, sizes, strides, access.read_share)
            many = microseconds(lambda p=preset, a=asked: effective_many(p, *a), 1) / MANY
            print(f"{name + ', ' + label:30} {one:9.1f} {many:13.3f}")
        print(f"{name + ', latency':30} {microseconds(lambda p=preset: unloaded_latency_ns(p)):9.1f}")
    preset = load_preset("ddr4_8gb_x8_2400")
    for label, addresses in (
        ("sequential", np.arange(REQUESTS) * 64),
        ("random", np.random.default_rng(0).integers(0, 1 << 27, REQUESTS) * 64),
    ):
        start = time.perf_counter()
        BankModel(preset, "rochrababgco", QUEUED).run(addresses)
        took = time.perf_counter() - start
        print(f"bank model, {label}: {took / REQUESTS * 1e6:.0f} us per request, {REQUESTS} requests in {took:.1f} s")


if __name__ == "__main__":
    main()
