"""Resource rules of FINN and hls4ml as they state them, for comparison; none of them prices our own units.

Sources: Xilinx/finn 39f0c9a, ``src/finn/custom_op/fpgadataflow``; fastmachinelearning/hls4ml ef92ebd,
``optimization/dsp_aware_pruning/objectives/vivado_objectives.py``. ``pe`` and ``simd`` are FINN's folding: output
channels and inputs at once. Constants are theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log2

from hwsim.spec.errors import UsageError


@dataclass(frozen=True)
class Mvau:
    """A matrix-vector unit of FINN: ``inputs`` × ``outputs`` weights, folded by ``simd`` and ``pe``.

    Raises
    ------
    UsageError
        If a folding does not divide its extent, or a number is not positive.
    """

    inputs: int
    outputs: int
    simd: int
    pe: int
    w_bits: int
    a_bits: int
    a_signed: bool = True

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name != "a_signed" and value < 1:
                raise UsageError(f"{name} must be at least 1, not {value}")
        for name, whole, part in (("simd", self.inputs, self.simd), ("pe", self.outputs, self.pe)):
            if whole % part:
                raise UsageError(f"{name}: {part} does not divide {whole}")

    @property
    def _both(self) -> int:
        return self.w_bits + self.a_bits

    @property
    def weight_depth(self) -> int:
        """Words of the weight memory."""
        return self.inputs * self.outputs // (self.pe * self.simd)

    def accumulator_bits(self, declared: int | None = None) -> int:
        """Return the accumulator's width: the declared one, or the bound of arXiv 2301.13376 where it is less."""
        alpha = log2(self.inputs) + self._both - 1 - self.a_signed
        bound = ceil(alpha + log2(1 + 2**-alpha) + 1)
        return bound if declared is None else min(declared, bound)

    def lut(self, dsp: bool = False, declared: int | None = None, distributed: bool = False, levels: int = 0) -> float:
        """Return the LUTs of the HLS unit.

        ``dsp`` puts products into DSP blocks, ``distributed`` weights into LUTs (as memories of up to 128 words are);
        ``levels`` are thresholds of a fused activation, 2^bits - 1.
        """
        multiply = 0 if dsp else self.simd * (2 * ceil(self._both / 6) - 1) * self._both
        tree = self._both * (2 * self.simd - 1)
        accumulator = self.accumulator_bits(declared)
        thresholds = levels * accumulator * ceil(self.outputs / self.pe / 64)
        compare = levels * accumulator
        weights = self.pe * self.simd * self.w_bits * ceil(self.weight_depth / 64)
        held = weights if distributed or self.weight_depth <= 128 else 0
        return 300 + 1.1 * self.pe * (multiply + tree + accumulator + thresholds + compare) + held

    def dsp_hls(self) -> int:
        """Return the DSP blocks of the HLS unit, a rule that its authors call coarse."""
        return self.pe * self.simd * ceil(self._both / 48)

    def dsp_rtl(self, primitive: str) -> int:
        """Return the DSP blocks of the RTL unit.

        Raises
        ------
        UsageError
            If FINN has no rule for the block.
        """
        if primitive == "dsp58":
            return self.pe * ceil(self.simd / 3)
        if primitive in ("dsp48e1", "dsp48e2"):
            return ceil(self.pe / 4) * self.simd
        raise UsageError(f"FINN has no RTL unit for {primitive}; valid: dsp48e1, dsp48e2, dsp58")

    def bram18(self) -> int:
        """Return the block RAMs of the weights, by the ladder of widths."""
        width, depth = self.simd * self.w_bits * self.pe, self.weight_depth
        if width == 1:
            return ceil(depth / 16384)
        if width == 2:
            return ceil(depth / 8192)
        if width <= 4:
            return ceil(depth / 4096) * ceil(width / 4)
        if width <= 9:
            return ceil(depth / 2048) * ceil(width / 9)
        if width <= 18 or depth > 512:
            return ceil(depth / 1024) * ceil(width / 18)
        return ceil(depth / 512) * ceil(width / 36)

    def uram(self) -> int:
        """Return the UltraRAMs of the weights."""
        return ceil(self.simd * self.w_bits * self.pe / 72) * ceil(self.weight_depth / 4096)

    def cycles(self, vectors: int = 1) -> int:
        """Return the cycles of so many input vectors."""
        return (self.outputs // self.pe) * (self.inputs // self.simd) * vectors


def dsp58_chain(period_ns: float) -> int:
    """Return the DSP58 of a cascade between two registers at a clock period: 0.741 ns the first, 0.605 ns each next.

    Raises
    ------
    UsageError
        If not even one fits.
    """
    found = floor((period_ns - 0.741) / 0.605 + 1)
    if found < 1:
        raise UsageError(f"a DSP58 needs 0.741 ns; the period is {period_ns:g} ns")
    return found


def hls4ml_dsp(inputs: int, outputs: int, reuse: int, w_bits: int) -> float:
    """Return the DSP blocks of a dense layer of hls4ml: none below nine bits of weights."""
    return inputs * outputs / reuse if w_bits >= 9 else 0.0


def hls4ml_bram36(inputs: int, outputs: int, reuse: int, w_bits: int) -> int:
    """Return the block RAMs (36 Kb) of a dense layer of hls4ml in its resource strategy; none without reuse."""
    return ceil(inputs * outputs * w_bits / (reuse * 36)) if reuse > 1 else 0


def fifo_lut(depth: int, width_bits: int) -> int:
    """Return the LUTs of a FIFO of FINN's in LUT RAM."""
    return 2 * ceil(log2(depth)) + ceil(depth / 32) * ceil(width_bits / 2)
