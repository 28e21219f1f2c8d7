"""The machine that an engine runs on, from an accelerator and a pair of formats."""

from __future__ import annotations

from fractions import Fraction

from hwsim.formats import Format
from hwsim.hardware.pe.digit_cycles import code_shares
from hwsim.hardware.pe.operands import Operands
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.engine import Context
from hwsim.simulate.mapping import Machine


def engine_context(
    simulated: Simulated, machine: Machine, formats: tuple[Format, Format], operands: Operands
) -> Context:
    """Return the context of ``machine`` on operands of ``formats`` (weights, activations)."""
    acc, (w, a) = simulated.accelerator, formats
    arriving_w, arriving_a = acc.pe.arriving(w, a)
    return Context(
        machine.dram_bits_per_cycle,
        machine.dataflow,
        machine.shape,
        acc.pe,
        arriving_w.element,
        arriving_a.element,
        w_shares=code_shares(w, operands.w) if machine.shape.data_cycles else None,
        a_shares=code_shares(a, operands.a) if machine.shape.data_cycles else None,
        channels=acc.dram_channels(),
        period_ns=Fraction(10**9) / Fraction(acc.spec.clock),
    )
