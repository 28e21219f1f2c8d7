"""Design and layer tables with made-up but plausible figures, the same ones in every run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hwsim.simulate.cost import ENERGY_PARTS

PES = (
    "float_mac fp16", "float_mac bf16", "float_mac fp8_e4m3", "float_mac mxfp4", "lmul bf16", "lmul fp8_e4m3",
    "int_mac int8", "int_mac int4_g128/int8", "bitmod bitmod4_g128/fp16", "bitmod bitmod3_g128/fp16",
)  # fmt: skip

FORMATS = {
    "fp16": "float_mac", "bf16": "float_mac", "fp8_e4m3": "float_mac", "int8": "int_mac", "int4_g128": "int_mac",
    "mxfp4": "float_mac", "nvfp4": "float_mac", "lmul_e4m3": "lmul", "bitmod3_g128": "bitmod", "bitmod4_g128": "bitmod",
}  # fmt: skip

LAYERS = (
    "embed", "attn.norm", "attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.rope", "attn.score", "attn.softmax",
    "attn.value", "attn.o_proj", "mlp.norm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "lm_head",
)  # fmt: skip


def design_table(
    points: int = 60,
    front: int = 8,
    workloads: tuple[str, ...] = ("prefill", "decode"),
    seed: int = 0,
    decades: int = 1,
) -> pd.DataFrame:
    """Return ``points`` designs per workload, ``front`` of them on the front of energy and latency."""
    random = np.random.default_rng(seed)
    rows = []
    for workload in workloads:
        best = 1 + 9 * np.sort(random.random(front))
        energy, latency = list(best), list(10 / best)
        for i in random.integers(front, size=points - front):
            energy.append(energy[i] * (1 + random.random()))
            latency.append(latency[i] * (1.02 + random.random()))
        rows += [_design(random, workload, e**decades, t**decades) for e, t in zip(energy, latency, strict=True)]
    return pd.DataFrame(rows)


def _design(random: np.random.Generator, workload: str, energy: float, latency: float) -> dict[str, object]:
    pe, size, kib = random.choice(PES), int(random.choice([16, 32, 64])), int(random.choice([64, 256, 1024]))
    return {
        "design_id": f"{pe} {size}x{size} {kib}KiB",
        "workload": workload,
        "array.rows": size,
        "memories.weights.size": kib * 1024,
        "pe": str(pe),
        "area_mm2": 0.1 + size * size * 1e-3 * random.random() + kib * 4e-3,
        "latency_ms": latency,
        "energy_mj": energy,
        "sqnr_db": float(random.integers(15, 70)),
        "accuracy_source": "distribution",
        "status": "ok",
        "reason": "",
    }


def layer_table(formats: int = 10, layers: tuple[str, ...] = LAYERS, scale: float = 1e9) -> pd.DataFrame:
    """Return energies per format and layer; GEMM layers cost about ``scale`` pJ, others far less."""
    random = np.random.default_rng(3)
    rows = []
    for number, (name, pe) in enumerate(list(FORMATS.items())[:formats]):
        for layer in layers:
            size = scale * (1e-4 if layer.endswith(("norm", "rope", "softmax", "embed")) else 1.0) / (1 + number)
            parts = dict(zip(ENERGY_PARTS, size * random.random(len(ENERGY_PARTS)), strict=True))
            rows.append(
                {"format": name, "pe": pe, "layer": layer, "op": "gemm", "energy_pj": sum(parts.values()), **parts}
            )
    return pd.DataFrame(rows)
