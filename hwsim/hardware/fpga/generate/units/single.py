"""Single circuits, those of :mod:`hwsim.hardware.fpga.units.circuits`: ``n`` or ``w`` bits, ``k`` select lines."""

from __future__ import annotations

from hwsim.hardware.circuits.base import log2_ceil
from hwsim.hardware.fpga.generate.verilog import VERILOG, module
from hwsim.hardware.fpga.unit import Params
from hwsim.spec.errors import UsageError

_GATES = {"xor": "^", "and": "&"}


@VERILOG.register("adder")
def adder(p: Params) -> str:
    """A sum without carry."""
    return module({"a": p["w"], "b": p["w"]}, {"y": p["w"]}, "assign y = a + b;")


@VERILOG.register("gated_adder")
def gated(p: Params) -> str:
    """A sum, one of whose operands goes through a row of gates."""
    bits, gate = p["n"], p["gate"]
    if gate not in _GATES:
        raise UsageError(f"gated_adder: unknown gate {gate!r}; valid: {', '.join(_GATES)}")
    return module({"a": bits, "b": bits, "c": 1}, {"y": bits}, f"assign y = a + (b {_GATES[gate]} {{{bits}{{c}}}});")


@VERILOG.register("shifter")
def shifter(p: Params) -> str:
    """A right shift."""
    return module({"a": p["n"], "s": p["k"]}, {"y": p["n"]}, "assign y = a >> s;")


@VERILOG.register("placer")
def placer(p: Params) -> str:
    """A left shift into a word that holds all places."""
    more = (1 << p["k"]) - 1
    return module({"a": p["n"], "s": p["k"]}, {"y": p["n"] + more}, f"assign y = {{{more}'d0, a}} << s;")


@VERILOG.register("leading_zeros")
def leading_zeros(p: Params) -> str:
    """The number of leading zeros."""
    bits, width = p["n"], int(p["n"]).bit_length()
    body = f"""integer i; reg [{width - 1}:0] c;
always @* begin
  c = {bits};
  for (i = 0; i < {bits}; i = i + 1) if (a[i]) c = {bits} - 1 - i;
end
assign y = c;"""
    return module({"a": bits}, {"y": width}, body)


@VERILOG.register("comparator")
def comparator(p: Params) -> str:
    """Less than."""
    return module({"a": p["n"], "b": p["n"]}, {"y": 1}, "assign y = a < b;")


@VERILOG.register("equality")
def equality(p: Params) -> str:
    """Equal."""
    return module({"a": p["n"], "b": p["n"]}, {"y": 1}, "assign y = a == b;")


@VERILOG.register("or_tree")
def or_tree(p: Params) -> str:
    """An OR over all bits."""
    return module({"a": p["n"]}, {"y": 1}, "assign y = |a;")


@VERILOG.register("incrementer")
def incrementer(p: Params) -> str:
    """A number and one more bit."""
    return module({"a": p["n"], "c": 1}, {"y": p["n"]}, "assign y = a + c;")


@VERILOG.register("negator")
def negator(p: Params) -> str:
    """A conditional negation."""
    return module({"a": p["n"], "c": 1}, {"y": p["n"]}, f"assign y = (a ^ {{{p['n']}{{c}}}}) + c;")


@VERILOG.register("multiplexer")
def multiplexer(p: Params) -> str:
    """One of several words."""
    bits, ways = p["w"], p["ways"]
    return module({"a": bits * ways, "s": log2_ceil(ways)}, {"y": bits}, f"assign y = a[s * {bits} +: {bits}];")


@VERILOG.register("ones_counter")
def ones(p: Params) -> str:
    """Tables that count six ones each, under a tree of adders."""
    bits, body, terms = p["n"], [], []
    for start in range(0, bits, 6):
        size = min(6, bits - start)
        cases = " ".join(f"{code}: t{start} = {code.bit_count()};" for code in range(1 << size))
        body.append(
            f"reg [{size.bit_length() - 1}:0] t{start};\n"
            f"always @* case (a[{start + size - 1}:{start}]) {cases} default: t{start} = 0; endcase"
        )
        terms.append((f"t{start}", size.bit_length()))
    total, lines = tree(terms, bits.bit_length(), signed=False)
    return module({"a": bits}, {"y": bits.bit_length()}, "\n".join([*body, *lines, f"assign y = {total};"]))


@VERILOG.register("lookup_decode")
def rom(p: Params) -> str:
    """A table of ``words`` entries of ``bits``, whose contents have no pattern (a linear congruence's high bits)."""
    words, bits = p["words"], p["bits"]
    value, lines = 1, []
    for place in range(words):
        value = (value * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        lines.append(f"    {place}: q = {bits}'d{value >> (64 - bits)};")
    body = [f"reg [{bits - 1}:0] q;", "always @* case (s)", *lines, "    default: q = 0;", "endcase", "assign y = q;"]
    return module({"s": log2_ceil(words)}, {"y": bits}, "\n".join(body))


def tree(terms: list[tuple[str, int]], width: int, signed: bool, prefix: str = "s") -> tuple[str, list[str]]:
    """Return the name of the sum of named terms of so many bits, and the lines of a tree of adders below it.

    Each sum is a bit wider than its wider term, at most ``width``.
    """
    kind, lines, level = ("signed " if signed else ""), [], 0
    while len(terms) > 1:
        following = []
        for place in range(0, len(terms) - 1, 2):
            (left, a_bits), (right, b_bits) = terms[place], terms[place + 1]
            bits = min(width, max(a_bits, b_bits) + 1)
            name = f"{prefix}{level}_{place // 2}"
            lines.append(f"wire {kind}[{bits - 1}:0] {name} = {left} + {right};")
            following.append((name, bits))
        terms, level = following + (terms[-1:] if len(terms) % 2 else []), level + 1
    return terms[0][0], lines
