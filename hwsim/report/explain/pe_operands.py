"""What is stated of a PE's operands, and what each statement does to its energy."""

from __future__ import annotations

from hwsim.formats import Format
from hwsim.formats.operand import KEYS, OperandStats, read_operand_stats
from hwsim.hardware.pe import PE
from hwsim.hardware.pe.operands import Operands, data_factors
from hwsim.report.explain import Question, Section, table
from hwsim.spec.errors import UsageError


def operands_of(question: Question, data_dependent: bool = False) -> Operands:
    """Return the statistics that a question states; a distribution alone only of PEs that depend on data.

    Raises
    ------
    UsageError
        If they are malformed, or words without a figure.
    """
    for text in (question.w_stats, question.a_stats):
        if text.strip() and "=" not in text and not data_dependent:
            raise UsageError(f"operand statistics: {text!r} has no figure; valid: {', '.join(KEYS)}, as in zeros=0.5")
    return Operands(read_operand_stats(question.w_stats), read_operand_stats(question.a_stats))


def operands_text(operands: Operands) -> str:
    """Return one line on what is stated of the operands, and what is not."""
    if not operands.stated:
        return (
            "operands: random normal numbers, new ones every step (nothing is stated of them; see --w-stats, --a-stats)"
        )
    return f"operands: weights {_text(operands.w)}; activations {_text(operands.a)}"


def _text(stats: OperandStats) -> str:
    words = [] if stats.zeros is None else [f"{stats.zeros:.0%} zeros"]
    words += [] if stats.toggle is None else [f"{stats.toggle:.0%} of the bits change"]
    return ", ".join([*(words or ["random"]), f"held for {stats.held:g} steps" if stats.held > 1 else "new every step"])


def operands_section(pe: PE, w: Format, a: Format, operands: Operands) -> list[Section]:
    """Return the factors of stated operands, each by itself; nothing for random ones."""
    if not operands.stated:
        return []
    found = data_factors(pe, w, a, operands)
    rows = [
        {"factor on settled-value energy": "logic: toggle rates and holds", "value": found.toggles},
        {"factor on settled-value energy": "logic: zeros", "value": found.zeros},
        {"factor on settled-value energy": "weight registers and wires", "value": found.w_register},
        {"factor on settled-value energy": "activation registers and wires", "value": found.a_register},
        {"factor on settled-value energy": "accumulator register", "value": found.accumulator},
    ]
    notes = [
        operands_text(operands),
        "beside the glitch factor and the factor of Gaussian data; clocks, leakage and area stay",
        "zeros: measured on integer multipliers with their accumulator adder, other datapaths taken to be alike",
    ]
    return [Section("what the stated operands change", table(rows), notes)]
