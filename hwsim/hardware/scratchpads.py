"""Scratchpads inside a PE: register files, or registers where they are smaller than any register file known.

A pad of at least 32 words, 8 bits and 64 bytes is a register file with one read and one write port in CACTI's rows
(:mod:`hwsim.hardware.memory.register_file`). A smaller one is built of circuits: registers, of which a write clocks
one word, and a multiplexer that reads any of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwsim.hardware.accelerator_spec import HardwareSpec
from hwsim.hardware.circuits import Mux, Register
from hwsim.hardware.memory.figures import Device
from hwsim.hardware.memory.register_file import build_register_file
from hwsim.hardware.memory.temperature import ROWS_K
from hwsim.hardware.pe import PE
from hwsim.hardware.technology import Technology
from hwsim.spec.errors import InfeasibleError, MissingFigureError


@dataclass(frozen=True)
class Pad:
    """A memory of ``words`` of ``width_bits``; energies per word, area and leakage of the whole."""

    words: int
    width_bits: int
    area_um2: float
    leakage_nw: float
    read_pj: float
    write_pj: float
    basis: str


def build_pad(
    words: int, width_bits: int, technology: Technology, device: Device = "hp", kelvin: float = ROWS_K
) -> Pad:
    """Return a pad with a read and a write port.

    Raises
    ------
    InfeasibleError
        If it is larger than the register files that are known.
    MissingFigureError
        If none are known of the device type or at the node.
    """
    try:
        file = build_register_file(words, width_bits, 1, 1, technology.node_nm, device, kelvin=kelvin)
    except InfeasibleError as error:
        if "below that it is registers" not in str(error):
            raise
        return _of_circuits(words, width_bits, technology)
    return Pad(
        words, width_bits, file.area_mm2 * 1e6, file.leakage_mw * 1e6, file.read_pj, file.write_pj, "register file"
    )


def _of_circuits(words: int, width_bits: int, technology: Technology) -> Pad:
    held, one = technology.price(Register(words * width_bits)), technology.price(Register(width_bits))
    read_fj, area_um2, leakage_nw = 0.0, held.area_um2, held.leakage_nw
    if words > 1:
        chosen = technology.price(Mux(width_bits, words))
        read_fj, area_um2, leakage_nw = chosen.energy_fj, area_um2 + chosen.area_um2, leakage_nw + chosen.leakage_nw
    write_pj = (one.energy_fj + one.clock_fj) * 1e-3
    return Pad(words, width_bits, area_um2, leakage_nw, read_fj * 1e-3, write_pj, "registers")


@dataclass(frozen=True)
class Scratchpads:
    """The pads of a PE: words of a step's weights, of a step's activations, and of one sum."""

    weights: Pad
    activations: Pad
    sums: Pad
    #: Whether there are two of the weights: one fills while the other is in use.
    second_weights: bool = False

    @property
    def all(self) -> tuple[Pad, ...]:
        """Every pad of a PE."""
        return (self.weights, *([self.weights] if self.second_weights else []), self.activations, self.sums)

    @property
    def area_um2(self) -> float:
        """Area of the pads of a PE."""
        return sum(pad.area_um2 for pad in self.all)

    @property
    def leakage_nw(self) -> float:
        """Leakage of the pads of a PE."""
        return sum(pad.leakage_nw for pad in self.all)

    @property
    def step_pj(self) -> float:
        """Energy of a PE's step: weights are read, a sum is read and written."""
        return self.weights.read_pj + self.sums.read_pj + self.sums.write_pj

    @property
    def activation_pj_per_bit(self) -> float:
        """Energy of a bit of an activation: written once, and read once into the operand register."""
        return (self.activations.read_pj + self.activations.write_pj) / self.activations.width_bits

    @property
    def weight_pj_per_bit(self) -> float:
        """Energy of a bit of a weight that is written into one pad."""
        return self.weights.write_pj / self.weights.width_bits


def priced_pads(spec: HardwareSpec, pe: PE, technology: Technology) -> Scratchpads | None:
    """Return the scratchpads of a PE: words of a step's operands and of a sum, as wide as the built pair's.

    Raises
    ------
    InfeasibleError
        If a pad holds no step, or is larger than any register file known.
    MissingFigureError
        If no figures are known of register files at the node.
    """
    asked = spec.array.scratchpads
    if asked is None:
        return None
    kelvin = spec.memories.temperature or spec.technology.temperature or ROWS_K
    words = {
        "weights": (asked.weights // pe.lanes, pe.lanes * math.ceil(pe.w_format.bits_per_element)),
        "activations": (asked.activations // pe.lanes, pe.lanes * math.ceil(pe.a_format.bits_per_element)),
        "sums": (asked.sums, pe.psum_bits),
    }
    pads = {}
    for name, (count, width) in words.items():
        if not count:
            raise InfeasibleError(f"array.scratchpads.{name}: holds no step; valid: at least the PE's {pe.lanes} lanes")
        try:
            pads[name] = build_pad(count, width, technology, spec.technology.sram_device, kelvin)
        except (InfeasibleError, MissingFigureError) as error:
            raise type(error)(f"array.scratchpads.{name}: {error}") from None
    return Scratchpads(**pads, second_weights=spec.array.weight_double_buffer)
