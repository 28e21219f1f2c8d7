"""Products, MACs and dot products: integers, minifloats with exact sums, L-Mul.

Parameters as in :mod:`hwsim.hardware.fpga.units`. Multipliers add rows of partial products in pairs, one chain a
pair, then the pairs. Minifloats keep subnormals and take the largest exponent as any other; L-Mul flushes them.
"""

from __future__ import annotations

from hwsim.formats.multiplier.lmul import offset_bits
from hwsim.formats.sums import lossless_float_bits
from hwsim.hardware.fpga.generate.units.single import tree
from hwsim.hardware.fpga.generate.verilog import VERILOG, module
from hwsim.hardware.fpga.unit import LENGTH, Params
from hwsim.hardware.fpga.units.floating import fields, fixed_bits

#: Signs of a multiplier's operands by what they are.
_KIND = {True: "wire signed", False: "wire"}


def product(name: str, a: str, b: str, bits: tuple[int, int], signed: bool) -> list[str]:
    """Return lines that define ``name`` as the product of nets ``a`` and ``b`` of so many bits."""
    (long, short), wire = bits, _KIND[signed]
    width = long + short
    lines = [f"{wire} [{long - 1}:0] {name}r{row} = {a} & {{{long}{{{b}[{row}]}}}};" for row in range(short)]
    terms = []
    for row in range(0, short - 1, 2):
        sign = "-" if signed and row + 2 == short else "+"
        upper = f"$signed({{{name}r{row + 1}, 1'b0}})" if signed else f"{{{name}r{row + 1}, 1'b0}}"
        lines.append(f"{wire} [{long + 1}:0] {name}q{row} = {name}r{row} {sign} {upper};")
        terms.append(_placed(lines, name, f"q{row}", row, long + 2, wire))
    if short % 2:
        odd = _placed(lines, name, f"r{short - 1}", short - 1, long, wire)
        if not terms:
            return [*lines, f"{wire} [{width - 1}:0] {name} = {'-' if signed else ''}{odd[0]};"]
        total, more = tree(terms, width, signed, f"{name}s")
        return [*lines, *more, f"{wire} [{width - 1}:0] {name} = {total} {'-' if signed else '+'} {odd[0]};"]
    total, more = tree(terms, width, signed, f"{name}s")
    return [*lines, *more, f"{wire} [{width - 1}:0] {name} = {total};"]


def _placed(lines: list[str], name: str, term: str, place: int, bits: int, wire: str) -> tuple[str, int]:
    """Define a term at its place, and return its name and bits."""
    low = f", {place}'d0" if place else ""
    lines.append(f"{wire} [{bits + place - 1}:0] {name}{term}t = {{{name}{term}{low}}};")
    return f"{name}{term}t", bits + place


def _integers(p: Params) -> tuple[tuple[int, int], bool]:
    bits = (max(p["wa"], p["wb"]), min(p["wa"], p["wb"]))
    return bits, bool(p.get("signed", 1))


@VERILOG.register("int_mul")
def int_mul(p: Params) -> str:
    """A multiplier."""
    bits, signed = _integers(p)
    lines = [_net("x", "a", bits[0], signed), *product("p", "x", "b", bits, signed), "assign y = p;"]
    return module({"a": bits[0], "b": bits[1]}, {"y": sum(bits)}, "\n".join(lines))


def _net(name: str, port: str, bits: int, signed: bool) -> str:
    return f"{_KIND[signed]} [{bits - 1}:0] {name} = {port};"


@VERILOG.register("int_mac")
def int_mac(p: Params) -> str:
    """A multiplier and the accumulator."""
    bits, _ = _integers(p)
    lines = [_net("x", "a", bits[0], True), *product("p", "x", "b", bits, True)]
    return _clocked({"a": bits[0], "b": bits[1]}, p["acc"], lines, "acc + p")


def _clocked(inputs: dict[str, int], bits: int, lines: list[str], following: str) -> str:
    """Return a module that puts ``following`` into an accumulator at every clock, or clears it."""
    body = [
        f"reg signed [{bits - 1}:0] acc;",
        *lines,
        f"always @(posedge clk) if (clear) acc <= 0; else acc <= {following};",
        "assign y = acc;",
    ]
    return module({"clk": 1, "clear": 1, **inputs}, {"y": bits}, "\n".join(body))


@VERILOG.register("int_dot_rows")
def int_dot(p: Params) -> str:
    """Multipliers and a tree of adders."""
    bits, _ = _integers(p)
    (long, short), lines, terms = bits, [], []
    for lane in range(p["n"]):
        lines += [
            f"wire signed [{long - 1}:0] x{lane} = a[{lane * long} +: {long}];",
            f"wire [{short - 1}:0] w{lane} = b[{lane * short} +: {short}];",
            *product(f"p{lane}", f"x{lane}", f"w{lane}", bits, True),
        ]
        terms.append((f"p{lane}", long + short))
    width = long + short + (p["n"] - 1).bit_length()
    total, more = tree(terms, width, True)
    body = "\n".join([*lines, *more, f"assign y = {total};"])
    return module({"a": long * p["n"], "b": short * p["n"]}, {"y": width}, body)


@VERILOG.register("adder_tree")
def adder_tree(p: Params) -> str:
    """A tree of adders."""
    bits, width = p["w"], p["w"] + (p["n"] - 1).bit_length()
    lines = [f"wire [{bits - 1}:0] x{lane} = a[{lane * bits} +: {bits}];" for lane in range(p["n"])]
    total, more = tree([(f"x{lane}", bits) for lane in range(p["n"])], width, False)
    return module({"a": bits * p["n"]}, {"y": width}, "\n".join([*lines, *more, f"assign y = {total};"]))


def _unpacked(exponent: int, mantissa: int, lane: str = "", a: str = "a", b: str = "b") -> list[str]:
    """Return lines that define sign ``s``, exponent sum ``e`` and product ``m`` of two minifloats."""
    lines = [f"wire s{lane} = {a}[{exponent + mantissa}] ^ {b}[{exponent + mantissa}];"]
    for net, port in (("x", a), ("w", b)):
        field = f"{port}[{exponent + mantissa - 1}:{mantissa}]"
        lines.append(f"wire {net}h{lane} = |{field};")
        # A subnormal has the exponent of the smallest normal number.
        high = f"{port}[{exponent + mantissa - 1}:{mantissa + 1}], " if exponent > 1 else ""
        lines.append(f"wire [{exponent - 1}:0] {net}e{lane} = {{{high}{port}[{mantissa}] | ~{net}h{lane}}};")
        low = f", {port}[{mantissa - 1}:0]" if mantissa else ""
        lines.append(f"wire [{mantissa}:0] {net}m{lane} = {{{net}h{lane}{low}}};")
    lines += product(f"m{lane}", f"xm{lane}", f"wm{lane}", (mantissa + 1, mantissa + 1), False)
    return [*lines, f"wire [{exponent}:0] e{lane} = xe{lane} + we{lane};"]


@VERILOG.register("fp_mul_unpacked")
def unpacked(p: Params) -> str:
    """Sign, exponent sum and significand product."""
    exponent, mantissa = fields(p)
    body = "\n".join([*_unpacked(exponent, mantissa), "assign y = {s, e, m};"])
    bits = 1 + exponent + mantissa
    return module({"a": bits, "b": bits}, {"y": 1 + exponent + 1 + 2 * mantissa + 2}, body)


def _fixed(exponent: int, mantissa: int, lane: str = "") -> list[str]:
    """Return lines that define ``f``, the magnitude at its place: the sum of exponents is 2 at least."""
    width = fixed_bits(exponent, mantissa) - 1
    return [
        f"wire [{width + 1}:0] g{lane} = {{{width - 2 * mantissa}'d0, m{lane}}} << e{lane};",
        f"wire [{width - 1}:0] f{lane} = g{lane}[{width + 1}:2];",
    ]


def _negated(bits: int, lane: str = "") -> str:
    """Return the line that defines ``z``, the number in two's complement: one chain, the sign below its lowest bit."""
    return (
        f"wire [{bits}:0] n{lane} = ({{1'b0, f{lane}}} ^ {{{bits}{{s{lane}}}}}) + s{lane};\n"
        f"wire signed [{bits - 1}:0] z{lane} = n{lane}[{bits - 1}:0];"
    )


@VERILOG.register("fp_mul_to_fixed")
def to_fixed(p: Params) -> str:
    """The product in two's complement fixed point."""
    exponent, mantissa = fields(p)
    bits, width = 1 + exponent + mantissa, fixed_bits(exponent, mantissa)
    lines = [*_unpacked(exponent, mantissa), *_fixed(exponent, mantissa), _negated(width), "assign y = z;"]
    return module({"a": bits, "b": bits}, {"y": width}, "\n".join(lines))


@VERILOG.register("fp_mac_kulisch")
def exact_mac(p: Params) -> str:
    """The product in fixed point, its sign in the accumulator's adder."""
    exponent, mantissa = fields(p)
    bits = 1 + exponent + mantissa
    lines = [*_unpacked(exponent, mantissa), *_fixed(exponent, mantissa), *_signed_sum(p["acc"])]
    return _clocked({"a": bits, "b": bits}, p["acc"], lines, f"total[{p['acc']}:1]")


def _signed_sum(bits: int) -> list[str]:
    """Return lines that add or subtract ``f``: one chain, the sign below the lowest bit."""
    return [
        f"wire [{bits - 1}:0] wide = f;",
        f"wire [{bits}:0] total = {{acc, 1'b1}} + {{wide ^ {{{bits}{{s}}}}, s}};",
    ]


@VERILOG.register("fp_dot_fixed")
def exact_dot(p: Params) -> str:
    """Products in fixed point under a tree of adders."""
    exponent, mantissa = fields(p)
    bits, fixed, lines, terms = 1 + exponent + mantissa, fixed_bits(exponent, mantissa), [], []
    for lane in map(str, range(p["n"])):
        lines += [f"wire [{bits - 1}:0] {port}{lane} = {port}[{lane} * {bits} +: {bits}];" for port in "ab"]
        lines += [*_unpacked(exponent, mantissa, lane, f"a{lane}", f"b{lane}"), *_fixed(exponent, mantissa, lane)]
        lines.append(_negated(fixed, lane))
        terms.append((f"z{lane}", fixed))
    width = fixed + (p["n"] - 1).bit_length()
    total, more = tree(terms, width, True, "t")
    body = "\n".join([*lines, *more, f"assign y = {total};"])
    return module({"a": bits * p["n"], "b": bits * p["n"]}, {"y": width}, body)


def _added(exponent: int, mantissa: int) -> list[str]:
    """Return lines that define the sum ``l`` of both fields and the offset, and ``zero``."""
    bits, low = exponent + mantissa, mantissa - offset_bits(mantissa)
    return [
        f"wire [{bits}:0] t = a[{bits - 1}:0] + b[{bits - 1}:0];",
        f"wire [{bits}:0] l = t + {bits + 1}'d{1 << low};",
        f"wire zero = ~|a[{bits - 1}:{mantissa}] | ~|b[{bits - 1}:{mantissa}];",
        f"wire s = a[{bits}] ^ b[{bits}];",
    ]


@VERILOG.register("lmul_mac_kulisch")
def lmul_mac(p: Params) -> str:
    """The sum of fields, put into fixed point and summed exactly; the sum of exponents keeps both biases."""
    exponent, mantissa = fields(p)
    both = (exponent, mantissa)
    bits = p["acc"] if "acc" in p else lossless_float_bits(both, both, LENGTH)
    width = mantissa + (1 << (exponent + 1)) - 1
    lines = [
        *_added(exponent, mantissa),
        f"wire [{mantissa}:0] m = zero ? {mantissa + 1}'d0 : {{1'b1, l[{mantissa - 1}:0]}};",
        f"wire [{width + 1}:0] g = {{{width + 1 - mantissa}'d0, m}} << l[{exponent + mantissa}:{mantissa}];",
        f"wire [{width - 1}:0] f = g[{width + 1}:2];",
        *_signed_sum(bits),
    ]
    word = 1 + exponent + mantissa
    return _clocked({"a": word, "b": word}, bits, lines, f"total[{bits}:1]")


@VERILOG.register("bit_serial_pe")
def bit_serial(p: Params) -> str:
    """Activations gated by a weight bit each, a tree, the accumulator."""
    lanes, bits = p["lanes"], p["wa"]
    lines = [f"wire signed [{bits - 1}:0] x{n} = a[{n * bits} +: {bits}] & {{{bits}{{b[{n}]}}}};" for n in range(lanes)]
    width = bits + (lanes - 1).bit_length()
    total, more = tree([(f"x{n}", bits) for n in range(lanes)], width, True)
    return _clocked({"a": bits * lanes, "b": lanes}, p["acc"], [*lines, *more], f"acc + {total}")


@VERILOG.register("ternary_dot")
def ternary(p: Params) -> str:
    """Activations added, subtracted or skipped, and a tree."""
    lanes, bits = p["n"], p["wa"] + 1
    lines = []
    for n in range(lanes):
        lines.append(f"wire signed [{bits - 2}:0] x{n} = a[{n * (bits - 1)} +: {bits - 1}];")
        lines.append(f"wire signed [{bits - 1}:0] v{n} = b[{2 * n}] ? (b[{2 * n + 1}] ? -x{n} : x{n}) : {bits}'sd0;")
    width = bits + (lanes - 1).bit_length()
    total, more = tree([(f"v{n}", bits) for n in range(lanes)], width, True)
    body = "\n".join([*lines, *more, f"assign y = {total};"])
    return module({"a": (bits - 1) * lanes, "b": 2 * lanes}, {"y": width}, body)
