"""Speed of quantization on one core, as ratios to ml_dtypes' casts and to gfloat, measured in one run.

Run ``python benchmarks/formats.py``. A 4096 × 4096 float32 array is quantized and read back as
float32; ml_dtypes casts it there and back. gfloat works on a part of it; its ratio is in parentheses
where it has no such format and casts to FP8 E4M3 instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gfloat
import gfloat.formats as gf
import ml_dtypes
import numpy as np

from hwsim.formats import parse_format

SHAPE = (4096, 4096)
#: Elements that gfloat is given: it is slow.
PART = 200_000
#: Elements that it is given block by block, which it works on one number after another.
FEW = 3200
AMAX = gfloat.compute_scale_amax
CASTS = {
    "fp8_e4m3": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2, "fp6_e2m3": ml_dtypes.float6_e2m3fn,
    "fp6_e3m2": ml_dtypes.float6_e3m2fn, "fp4_e2m1": ml_dtypes.float4_e2m1fn, "bf16": ml_dtypes.bfloat16,
}  # fmt: skip
INFOS = {
    "fp8_e4m3": gf.format_info_ocp_e4m3, "fp8_e5m2": gf.format_info_ocp_e5m2, "fp6_e2m3": gf.format_info_ocp_e2m3,
    "fp6_e3m2": gf.format_info_ocp_e3m2, "fp4_e2m1": gf.format_info_ocp_e2m1, "bf16": gf.format_info_bfloat16,
}  # fmt: skip
BLOCKS = {
    "mxfp4": gf.format_info_mxfp4_e2m1, "mxfp6_e2m3": gf.format_info_mxfp6_e2m3,
    "mxfp6_e3m2": gf.format_info_mxfp6_e3m2, "mxfp8_e4m3": gf.format_info_mxfp8_e4m3,
    "mxfp8_e5m2": gf.format_info_mxfp8_e5m2, "mxint8": gf.format_info_mxint8,
}  # fmt: skip
OTHERS = (
    "int8", "int4_g128", "int4_asym_g128", "nvfp4", "msfp12", "bitmod4_g128", "bitmod3_g128", "nf4", "nf4_g64",
    "posit8_es1", "lns8_f3", "fix8_q4", "fp4_e3m0", "llm_int8", "int4_g128_out10", "olive4_g128",
)  # fmt: skip


def rate(work: Callable[[], object], elements: int, runs: int = 3) -> float:
    """Return elements per second in millions, the best of ``runs``."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return elements / best * 1e-6


def main() -> None:
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    part = x.ravel()[:PART].astype(np.float64)
    print(f"{'format':16} {'M elements/s':>12} {'/ ml_dtypes':>12} {'/ gfloat':>10}")
    for name, dtype in CASTS.items():
        fmt, info = parse_format(name), INFOS[name]
        ours = rate(lambda fmt=fmt: fmt.quantize(x), x.size)
        cast = rate(lambda dtype=dtype: x.astype(dtype).astype(np.float32), x.size)
        slow = rate(lambda info=info: gfloat.round_ndarray(info, part, sat=True), part.size)
        print(f"{name:16} {ours:12.0f} {ours / cast:12.2f} {ours / slow:10.1f}")
    few = part[:FEW].reshape(-1, 32)
    for name, block in BLOCKS.items():
        ours = rate(lambda name=name: parse_format(name).quantize(x), x.size)
        slow = rate(
            lambda block=block: [gfloat.quantize_block(block, row, gfloat.compute_scale_amax) for row in few], FEW
        )
        print(f"{name:16} {ours:12.0f} {'':12} {ours / slow:10.0f}")
    cast = rate(lambda: gfloat.round_ndarray(INFOS["fp8_e4m3"], part, sat=True), part.size)
    for name in OTHERS:
        ours = rate(lambda name=name: parse_format(name).quantize(x), x.size)
        print(f"{name:16} {ours:12.0f} {'':12} {f'({ours / cast:.1f})':>10}")


if __name__ == "__main__":
    main()
