"""Runs of BitMoD's public simulator: what one is of, and the architecture and trace that stand for it here.

Version 1 is the paper's (58d7bdb), version 2 a rewrite (e445a5f) with batches, a precision of the KV cache and
right attention. Both run on ``arch_configs/compat/bitmod_sim*.yaml`` with a run's own array, PE and buffers. Their
arrays of H × W have H output features and W tokens: our columns and rows.

Version 1 takes attention wrongly, which :func:`_attention_v1` copies: scores are ``heads · T`` rows by T columns over
all of the hidden size, values T rows by ``heads · T`` columns over the context, operands move at the activations'
precision, A with ``hidden / heads · kv_heads`` columns, and both run at the weights' pace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import Any

from hwsim.simulate.architecture import Simulated, open_arch
from hwsim.simulate.policies.bitmod_sim import WORD, BitModGemm
from hwsim.simulate.run_spec import MEAN_DECIMALS
from hwsim.spec.data import example_path, read_csv_rows
from hwsim.spec.errors import MissingFigureError, UsageError
from hwsim.workload import Gemm, Trace, find_model, load_workload

#: Factor on PE energy for place and route (the simulator's, not the paper's).
PLACE_AND_ROUTE = 1.5
#: Our layers by the simulator's names.
LAYERS = {
    "q_proj": "attn.q_proj", "k_proj": "attn.k_proj", "v_proj": "attn.v_proj", "o_proj": "attn.o_proj",
    "out_proj": "attn.o_proj", "dense": "attn.o_proj", "fc1": "mlp.up_proj", "fc2": "mlp.down_proj",
    "gate_proj": "mlp.gate_proj", "up_proj": "mlp.up_proj", "down_proj": "mlp.down_proj", "lm_head": "lm_head",
    "attn_qk": "attn.score", "attn_v": "attn.value",
}  # fmt: skip
SOURCE = "public simulator of BitMoD (arXiv 2411.11745)"


@dataclass(frozen=True)
class Run:
    """One run: a model and phase on an array.

    Parameters
    ----------
    version
        Of the simulator, 1 or 2.
    context
        Tokens of a prefill, or those that a decode step attends to.
    w_bits, kv_bits, a_bits
        Stored bits per element; those of weights are a mean and hold metadata.
    pe_pj
        Energy of a PE per cycle before :data:`PLACE_AND_ROUTE`.
    buffers
        Figures of buffer ``w`` and ``a``: pJ per read of the whole port and per write of 64 bits, mm²; None takes
        those of the port's width.
    """

    version: int
    model: str
    decode: bool
    context: int
    batch: int
    w_bits: Fraction
    kv_bits: Fraction
    a_bits: int
    serial: bool
    lanes: int
    rows: int
    cols: int
    pe_pj: float
    pe_um2: float
    buffers: Mapping[str, tuple[float, float, float]] | None = None

    @property
    def new_tokens(self) -> int:
        """Tokens per sequence that the run computes."""
        return 1 if self.decode else self.context

    @property
    def port_bits(self) -> dict[str, int]:
        """Width of both buffers' ports: operands of a step, weights in fours of bits; half of that bit-serially."""
        halves = 2 if self.serial else 1
        w = self.lanes * ceil(self.w_bits / 4) * 4 * self.cols // halves
        return {"w": w, "a": self.lanes * self.a_bits * self.rows // halves}

    def compat(self) -> Simulated:
        """Return the machine that counts as the simulator does."""
        built = self._weights(max(self.w_bits, self.kv_bits) if self.version > 1 else self.w_bits)
        return open_arch(example_path("arch_configs", self._example), self._settings(built, self.pe_pj))

    @property
    def _example(self) -> str:
        return "compat/bitmod_sim" if self.serial else "compat/bitmod_sim_fp16"

    def _settings(self, w_format: str, pe_pj: float) -> dict[str, Any]:
        buffers = self.buffers or {key: buffer_costs(width) for key, width in self.port_bits.items()}
        figures = {
            "basis": "published", "source": f"{SOURCE}, × {PLACE_AND_ROUTE} P&R", "technology": "28nm",
            "area_um2": self.pe_um2, "energy_pj": pe_pj * PLACE_AND_ROUTE,
        }  # fmt: skip
        pe = {
            "family": "bitmod" if self.serial else "float_mac", "w_format": w_format,
            "a_format": floating(self.a_bits), "lanes": self.lanes, "figures": figures,
        }  # fmt: skip
        settings: dict[str, Any] = {"array.rows": self.rows, "array.cols": self.cols, "pe": pe}
        for key, name in (("w", "weights"), ("a", "activations")):
            read_pj, write_pj, area_mm2 = buffers[key]
            width = self.port_bits[key]
            settings[f"memories.{name}.port_bits"] = width
            settings[f"memories.{name}.figures"] = {
                "source": f"CACTI 7 by the settings of the {SOURCE}", "read_energy": f"{read_pj!r} pJ",
                "write_energy": f"{write_pj * width / WORD!r} pJ", "area": f"{area_mm2!r} mm2",
            }  # fmt: skip
        return settings

    def trace(self) -> Trace:
        """Return the layers as the simulator has them."""
        ops = [*self._linears(), *(self._attention_v1() if self.version == 1 else self._attention_v2())]
        return Trace(f"{self.model} {'decode' if self.decode else 'prefill'} {self.context}", tuple(ops))

    def _formats(self, w_bits: Fraction) -> dict[str, str]:
        a = floating(self.a_bits)
        return {"w_format": self._weights(w_bits), "a_format": a, "o_format": a}

    def _weights(self, bits: Fraction) -> str:
        """Return the format in which weights of so many bits meet the PE: whatever they are, FP16 where not serial."""
        return f"int{floor(bits)}" if self.serial else "fp16"

    def _linears(self) -> Iterator[Gemm]:
        """Yield linear layers: sequences of a prefill fill the array one after the other, those of a step together."""
        rows, batch = (self.batch, 1) if self.decode else (self.context, self.batch)
        for gemm in shapes(self.model):
            if gemm.kind == "linear":
                sizes: dict[str, Any] = {
                    **self._formats(self.w_bits),
                    "repeat": gemm.repeat,
                    "batch": batch,
                    "w_stored": self.w_bits,
                    "shares_w": True,
                }
                yield BitModGemm(gemm.layer, rows, gemm.n, gemm.k, **sizes)

    def _attention_v1(self) -> Iterator[Gemm]:
        hidden, score = self._hidden(), self._score()
        heads, new = score.m * score.batch, self.new_tokens
        shared: dict[str, Any] = {
            **self._formats(self.w_bits), "repeat": score.repeat, "w_source": "kv", "w_stored": Fraction(self.a_bits),
            "w_written": self.w_bits, "a_columns": hidden // heads * score.batch,
        }  # fmt: skip
        yield BitModGemm("attn.score", heads * new, new, hidden, role="score", **shared)
        yield BitModGemm("attn.value", new, heads * new, self.context, role="value", **shared)

    def _attention_v2(self) -> Iterator[Gemm]:
        score = self._score()
        rows, batch = score.m * self.new_tokens, score.batch * self.batch
        shared: dict[str, Any] = {
            **self._formats(self.kv_bits), "repeat": score.repeat, "batch": batch, "w_source": "kv",
            "w_stored": self.kv_bits,
        }  # fmt: skip
        yield BitModGemm("attn.score", rows, self.context, score.k, role="score", **shared)
        yield BitModGemm("attn.value", rows, score.k, self.context, role="value", **shared)

    def _score(self) -> Gemm:
        """Return the scores of one token: as many rows as query heads per KV head, KV heads, head size."""
        return next(gemm for gemm in shapes(self.model) if gemm.role == "score")

    def _hidden(self) -> int:
        return next(gemm for gemm in shapes(self.model) if gemm.layer == "attn.q_proj").k

    def physical(self, policy: str = "search") -> tuple[Simulated, Trace]:
        """Return the machine and the trace of the same design in hwsim's own terms.

        Tiles are searched, results drain, group sums are scaled, nothing is left unpriced, and attention is that
        of the model; what BitMoD's PE draws is Table X with its encoder, whose 8 bits hold its KV cache at most.
        """
        settings = self._settings(self._physical_weights(), BITMOD_PJ if self.serial else self.pe_pj)
        kv = f"int{min(8, floor(self.kv_bits))}" if self.serial else floating(self.a_bits)
        settings |= {"mapper.policy": policy, "costs.leave_out": [], "formats.kv_cache": kv}
        if not settings["pe"]["w_format"].startswith("bitmod"):
            settings["formats.weight_bits"] = round(float(self.w_bits), MEAN_DECIMALS)
        options: dict[str, Any] = {"context": self.context} if self.decode else {"seq_len": self.context}
        trace = load_workload(self.model, phase="decode" if self.decode else "prefill", batch=self.batch, **options)
        machine = open_arch(example_path("arch_configs", self._example), settings)
        return machine, replace(trace, ops=trace.gemms)

    def _physical_weights(self) -> str:
        bits = floor(self.w_bits)
        if self.serial and bits in (3, 4):
            return f"bitmod{bits}_g128"
        return f"int{bits}_g128" if self.serial and bits < 16 else self._weights(self.w_bits)


#: Banks of a buffer, all of which fire.
BANKS = 8
#: Tokens of the paper's prefill, and context of its decode steps.
PAPER_TOKENS = 256
#: pJ per cycle of BitMoD's PE with its share of the encoder: 39.36 mW of 64 PEs at 1 GHz (Table X).
BITMOD_PJ = 39.36 / 64


@lru_cache(maxsize=64)
def shapes(model: str) -> tuple[Gemm, ...]:
    """Return the GEMMs of one token of a model."""
    return load_workload(model, phase="prefill", seq_len=1).gemms


def paper_run(design: str, phase: str, model: str, version: int) -> Run:
    """Return the paper's run of a design (``bitmod_designs.csv``) on a model: 256 tokens, batch 1.

    The KV cache of BitMoD has 8 bits, that of the others 16; version 1 does not ask for it.

    Raises
    ------
    MissingFigureError
        If the paper has none.
    """
    rows = read_csv_rows("accelerators", "bitmod_designs.csv")
    fits = [r for r in rows if (r["design"], r["phase"]) == (design, phase) and r["model"] in ("", model)]
    if not fits:
        raise MissingFigureError(f"bitmod_designs.csv has no {design} for {phase} of {model}")
    row, serial = fits[0], fits[0]["bit_serial"] == "1"
    return Run(
        version=version, model=model, decode=phase == "decode", context=PAPER_TOKENS, batch=1,
        w_bits=Fraction(row["w_bits"]), kv_bits=Fraction(8 if serial else 16), a_bits=16, serial=serial,
        lanes=int(row["lanes"]), rows=int(row["array_tokens"]), cols=int(row["array_features"]),
        pe_pj=float(row["pe_pj_per_cycle"]), pe_um2=float(row["pe_area_um2"]),
    )  # fmt: skip


def model_name(name: str) -> str:
    """Return our name of a model that Hugging Face knows by ``name``.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    short = name.rpartition("/")[2].lower().removesuffix("-hf").removeprefix("meta-")
    return find_model(short).name


def floating(bits: int) -> str:
    """Return the format of activations of so many bits.

    Raises
    ------
    UsageError
        If the simulator has none so wide.
    """
    if bits not in (8, 16):
        raise UsageError(f"activations of {bits} bits are not modelled; valid: 8, 16")
    return {8: "fp8_e4m3", 16: "fp16"}[bits]


def buffer_costs(width_bits: int) -> tuple[float, float, float]:
    """Return pJ per read of the whole port and per write of 64 bits, and mm², of a buffer of that width.

    Raises
    ------
    MissingFigureError
        If there is no row of that width.
    """
    rows = {int(row["bus_bits"]): row for row in read_csv_rows("memory", "bitmod_banks.csv")}
    if width_bits not in rows:
        valid = ", ".join(map(str, sorted(rows)))
        raise MissingFigureError(f"buffers of {width_bits} bits: no figures in bitmod_banks.csv; widths: {valid}")
    read_pj, write_pj, area_mm2 = (BANKS * float(rows[width_bits][key]) for key in ("read_pj", "write_pj", "area_mm2"))
    return read_pj, write_pj * WORD / width_bits, area_mm2
