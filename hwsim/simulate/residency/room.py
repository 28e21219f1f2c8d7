"""What buffers hold for an operation besides its tiles."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.simulate.mapping import Machine
from hwsim.simulate.schedule import Results
from hwsim.workload import Gemm


@dataclass(frozen=True)
class Room:
    """What is on chip while an operation runs.

    The weights buffer holds ``resident_bits`` of its ``size_bits`` for good. The activation buffer, of
    ``a_size_bits``, holds ``kept_bits`` of tensors that stay: the activations of a product (``resident_a``), its
    ``results``, or what a vector operation works on. That one reads ``operands`` tensors from DRAM and stores its
    result there if ``stores``; None: as if nothing stayed.
    """

    resident_bits: int = 0
    size_bits: int = 0
    kept_bits: int = 0
    a_size_bits: int = 0
    resident_a: bool = False
    results: Results = "stored"
    operands: int | None = None
    stores: bool = False

    @property
    def tensors(self) -> tuple[int, int] | None:
        """Tensors that a vector operation reads from DRAM and writes there; None: as if nothing stayed."""
        return None if self.operands is None else (self.operands, int(self.stores))

    def machine(self, machine: Machine, gemm: Gemm) -> Machine:
        """Return what the mapper may use for ``gemm``: operands that are there, and what is left for the others."""
        if self.kept_bits:
            left = (self.a_size_bits - self.kept_bits) // machine.parts[1]
            machine = replace(machine, resident_a=self.resident_a, results=self.results, capacity_a_bits=left)
        if not self.resident_bits:
            return machine
        if gemm.w_source == "dram":
            return replace(machine, resident_w=True)
        return replace(machine, capacity_w_bits=(self.size_bits - self.resident_bits) // machine.parts[0])


#: Buffers that hold nothing for good.
ALL_FREE = Room()
