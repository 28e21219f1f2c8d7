"""Architectures with memory levels for tests: small arrays, tiny memories, any split of operands."""

from __future__ import annotations

import copy

from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.simulate.architecture import ArchSpec, simulate_arch
from hwsim.spec.bind import validate_mapping

#: A global buffer of inputs and sums, weights past it, pads in the PEs.
PADS = {
    "name": "pads",
    "technology": "28nm",
    "clock": "500 MHz",
    "array": {"rows": 2, "cols": 3},
    "pe": {"family": "int_mac", "format": "int8"},
    "mapper": {"objective": "energy"},
    "memories": {
        "levels": [
            {
                "name": "shared",
                "holds": ["a", "o"],
                "size": "4 KiB",
                "port_bits": 64,
                "fan_out": [{"name": "rows", "loops": ["k", "n"]}, {"name": "cols", "loops": ["m", "n"]}],
            },
            {
                "name": "pads",
                "stores": [
                    {"holds": ["w"], "size": "128 B", "kind": "register_file"},
                    {"holds": ["a"], "size": "8 B", "kind": "registers"},
                    {"holds": ["o"], "size": "16 B", "kind": "registers"},
                ],
            },
        ]
    },
    "dram": {"preset": "ddr4_2400"},
}


def pads(**changes):
    """Return the data of PADS with other values, by dotted path with ``__`` for dots and numbers for places."""
    data = copy.deepcopy(PADS)
    for path, value in changes.items():
        at = data
        *keys, last = path.split("__")
        for key in keys:
            at = at[int(key)] if isinstance(at, list) else at.setdefault(key, {})
        at[int(last) if isinstance(at, list) else last] = value
    return data


def built(data):
    return simulate_arch(validate_mapping(data, ArchSpec))


def machine_of(simulated, w=None, a=None, o=None):
    policy = simulated.policy
    names = (w or policy.w_format, a or policy.a_format, o or policy.o_format or policy.a_format)
    return simulated.machine(*(parse_format(name) for name in names))


@st.composite
def level_archs(draw):
    """Any architecture of up to three levels: shared or split stores, bypass, axes anywhere, fast and slow ports."""
    depth = draw(st.integers(1, 3))
    held = {x: draw(st.lists(st.integers(0, depth - 1), min_size=1, unique=True)) for x in "awo"}
    loops = draw(st.permutations("mkn"))
    axes = [{"name": "rows", "loops": [loops[0]]}, {"name": "cols", "loops": [loops[1]]}]
    at_axes = sorted(draw(st.integers(0, depth - 1)) for _ in axes)
    levels = []
    for number in range(depth):
        holds = [x for x in "awo" if number in held[x]]
        if not holds:
            continue
        groups = [[x] for x in holds] if draw(st.booleans()) else [holds]
        stores = []
        for group in groups:
            kind = draw(st.sampled_from(["sram", "registers"]))
            port = draw(st.sampled_from([16, 64])) if kind == "sram" else "auto"
            size = "2 KiB" if kind == "sram" else f"{draw(st.sampled_from([128, 512]))} B"
            doubled = draw(st.booleans())
            stores.append({"holds": group, "size": size, "kind": kind, "port_bits": port, "double_buffered": doubled})
        levels.append({"name": f"L{number}", "stores": stores})
    for axis, at in zip(axes, at_axes, strict=True):
        level = levels[min(at, len(levels) - 1)]
        level.setdefault("fan_out", []).append(axis)
    objective = draw(st.sampled_from(["energy", "latency", "edp"]))
    data = pads(memories={"levels": levels}, mapper={"objective": objective})
    data["pe"]["lanes"] = draw(st.sampled_from([1, 2]))
    return data


#: (m, k, n) that the slow walk can take.
SMALL = st.tuples(*[st.integers(1, 7)] * 3)
