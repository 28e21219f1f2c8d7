"""The tile search of ANT's and MixPE's simulators, against one that visits every cut by itself."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.cost import gemm_counts
from hwsim.simulate.dataflow import ArrayShape
from hwsim.simulate.engine import ENGINES
from hwsim.simulate.engine.fast import recur
from hwsim.simulate.mapping import Prices, map_gemm
from hwsim.simulate.policies.mixpe_sim import RULE, SEARCH_DRAM_PJ_PER_BIT, ConvGemm
from hwsim.simulate.schedule import OperandBits, moved_bits
from hwsim.spec.errors import InfeasibleError
from tests.support.machines import context, gemm, machine

PRICES = Prices(
    mac_pj=0.5,
    clock_pj_per_cycle=3.0,
    sram_read_pj_per_bit=(0.03, 0.04, 0.01),
    sram_write_pj_per_bit=(0.05, 0.06, 0.02),
)


def on(flow, room, fused=1, bits=8, bandwidth=Fraction(16)):
    shape = ArrayShape(4, 3, fused * fused)
    return machine(
        flow, shape, capacities=(room, room, room), policy=RULE, prices=PRICES, bandwidth=bandwidth,
        bits=OperandBits(bits, bits, 16, 32),
    )  # fmt: skip


def powers(extent):
    return sorted({min(1 << i, extent) for i in range(extent.bit_length() + 1)})


def slow_cut(layer, of, tile, order, room, fused, bits):
    """Everything of one cut, in the words of the simulators' loops; None where it does not fit."""
    images, edge, kernel, inputs, outputs = layer
    b, o, i, c = tile
    high, wide = 4 * fused, 3 * fused
    k = kernel * kernel * i
    size = {
        "w": ceil(k / high) * high * c * bits,
        "a": o * o * ceil(k / wide) * wide * b * bits,
        "o": o * o * c * b * 16,
    }
    if size["w"] > room or size["a"] > room:
        return None
    trips = {
        "b": ceil(images / b),
        "x": ceil(edge / o),
        "y": ceil(edge / o),
        "i": ceil(inputs / i),
        "c": ceil(outputs / c),
    }
    needs = {"w": "ic", "a": "bxyi", "o": "bxyc"}
    largest, promoted = dict(size), dict.fromkeys(size, True)
    for loop in reversed(order):
        for name in size:
            if loop in needs[name]:
                size[name] *= trips[loop]
                if promoted[name] and size[name] <= room:
                    largest[name] = 0 if name == "o" else size[name]
                else:
                    promoted[name] = False
            elif not promoted[name]:
                size[name] *= trips[loop]
    count = trips["b"] * trips["x"] * trips["y"] * trips["i"] * trips["c"]
    rows = b * o * o
    if of.dataflow.stationary == "w":
        cycles = rows * ceil(c / wide) * ceil(k / high)
        w_read, sums = k * c, k * c * rows
    else:
        cycles = ceil(rows / high) * ceil(c / wide) * k
        w_read, sums = k * c * rows, c * rows
    reads = {"w": count * w_read * bits, "a": count * k * c * rows * bits, "o": count * sums * 16 + size["o"]}
    writes = {"w": size["w"], "a": size["a"], "o": count * sums * 16}
    compute, first, last = count * cycles, largest["w"] + largest["a"], largest["o"]
    middle = sum(size.values()) - first - last
    port = [ceil(Fraction(x) / of.dram_bits_per_cycle) for x in (first, middle, last)]
    pe_pj = 12 * PRICES.mac_pj * fused**2 + PRICES.clock_pj_per_cycle
    energy = (
        compute * pe_pj + (size["w"] + size["a"]) * SEARCH_DRAM_PJ_PER_BIT[0] + size["o"] * SEARCH_DRAM_PJ_PER_BIT[1]
    )
    for n, name in enumerate("wao"):
        energy += reads[name] * PRICES.sram_read_pj_per_bit[n] + writes[name] * PRICES.sram_write_pj_per_bit[n]
    return port[0] + max(compute, port[1]) + port[2], energy, compute, size, reads, writes


def slow_search(layer, of, room, fused, bits):
    loops = "bic" if layer[1] == 1 else "bxyic"
    tiles = product(*(powers(extent) for extent in (layer[0], layer[1], layer[3], layer[4])))
    cuts = [slow_cut(layer, of, tile, order, room, fused, bits) for tile in tiles for order in permutations(loops)]
    found = [cut for cut in cuts if cut is not None]
    return min(found, key=lambda cut: cut[:2]) if found else None


@settings(max_examples=30)
@given(
    st.integers(1, 6), st.sampled_from([1, 1, 1, 2, 3]), st.sampled_from([1, 2, 3]), st.integers(1, 7),
    st.integers(1, 7), st.sampled_from([200, 600, 3000]), st.sampled_from([1, 2]), st.sampled_from([4, 8]),
    st.sampled_from(["output_stationary", "weight_stationary"]), st.sampled_from([Fraction(3), Fraction(64)]),
)  # fmt: skip
def test_the_search_finds_what_a_walk_over_all_cuts_finds(
    images, edge, kernel, inputs, outputs, room, fused, bits, flow, bandwidth
):
    of = on(flow, room, fused, bits, bandwidth)
    layer = ConvGemm(
        "x", images * edge * edge, outputs, kernel**2 * inputs, images=images, edge=edge, kernel=kernel
    )  # fmt: skip
    slow = slow_search((images, edge, kernel, inputs, outputs), of, room, fused, bits)
    if slow is None:
        with pytest.raises(InfeasibleError, match="memories"):
            map_gemm(layer, of)
        return
    schedule = map_gemm(layer, of)
    cycles, energy, compute, _, reads, writes = slow
    counts = gemm_counts(schedule, *moved_bits(schedule.body))
    timing = recur(schedule, of.dram_bits_per_cycle)
    assert (timing.cycles, timing.compute_cycles) == (cycles, compute)
    found = schedule.compute_cycles * (12 * PRICES.mac_pj * fused**2 + PRICES.clock_pj_per_cycle)
    found += counts.dram_read_bits * SEARCH_DRAM_PJ_PER_BIT[0] + counts.dram_write_bits * SEARCH_DRAM_PJ_PER_BIT[1]
    for n, name in enumerate("wao"):
        found += counts.sram_read_bits[name] * PRICES.sram_read_pj_per_bit[n]
        found += counts.sram_write_bits[name] * PRICES.sram_write_pj_per_bit[n]
    assert found == pytest.approx(energy, rel=1e-12)  # equals may be different cuts
    assert ENGINES.get("event")(schedule, context(of)) == timing
    assert counts.dram_read_bits + counts.dram_write_bits == sum(moved_bits(schedule.body))
    assert sum(reads.values()) > 0 < sum(writes.values())


def test_plain_gemms_are_fully_connected_layers():
    of = on("output_stationary", 3000)
    plain, own = gemm(8, 6, 10), ConvGemm("test", 8, 6, 10, images=8)
    assert moved_bits(map_gemm(plain, of).body) == moved_bits(map_gemm(own, of).body)
    assert plain.cost_key != own.cost_key
    as_image = ConvGemm("test", 8, 6, 10, images=2, edge=2)
    assert as_image.cost_key != own.cost_key
