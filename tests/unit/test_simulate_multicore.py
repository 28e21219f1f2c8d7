"""Several cores on one chip: nothing is lost or done twice, nobody is faster than the port, one core is as before."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.dataflow import ArrayShape
from hwsim.simulate.dataflow.base import Extents
from hwsim.simulate.engine.fast import recur
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import build_schedule, map_gemm
from hwsim.simulate.multicore import plans_of
from hwsim.simulate.multicore.cut import cut, share_of
from hwsim.simulate.multicore.gang import COMMON, gang_machine, gang_schedule
from hwsim.simulate.schedule import expand, loop_visits, moved_bits
from hwsim.simulate.vector_ops import vector_kind
from hwsim.simulate.vector_unit import work
from hwsim.spec.errors import ConservationError, InfeasibleError, SpecError, UsageError
from hwsim.workload import Gemm, Trace, VectorOp
from tests.support.machines import DATAFLOW_NAMES, gemm, machine
from tests.support.small import TRACE, array, small


def quad(**fields):
    """A small chip of four cores; ``fields`` are those of ``cores``."""
    return small("int8", cores={"count": 4, **fields})


def one(m=64, n=64, k=64, batch=1):
    return Trace("one", (Gemm("one", m, n, k, batch, w_format="int8", a_format="int8", o_format="int8"),))


def row_of(simulated, trace, engine="fast"):
    return evaluate(simulated, trace, engine).layer_rows[0]


def plans(simulated, op):
    w, a, o = (parse_format(name) for name in (op.w_format, op.a_format, op.o_format))
    return plans_of(simulated, op, lambda part: simulated.machine(w, a, o, part))


# One core


@pytest.mark.parametrize("engine", ["fast", "event", "pe"])
def test_one_core_is_what_it_was_without_cores(engine):
    plain = evaluate(small("int8"), TRACE, engine)
    for more in ({}, {"split": "k"}, {"multicast": True}):
        cores = evaluate(small("int8", cores={"count": 1, **more}), TRACE, engine)
        assert cores.layer_rows == plain.layer_rows
        assert cores.design_row == plain.design_row
        assert cores.notes == plain.notes


# Cuts


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 20))
def test_a_cut_is_even_in_whole_units_and_loses_nothing(extent, unit, parts):
    sizes = cut(extent, unit, parts)
    assert sum(sizes) == extent
    assert len(sizes) == min(parts, -(-extent // unit))
    assert all(size % unit == 0 for size in sizes[:-1])
    assert sizes[0] == max(sizes)
    assert max(sizes[:-1], default=0) - min(sizes[:-1], default=0) <= unit
    assert [int(share_of(extent, unit, parts, part)) for part in range(len(sizes), parts)] == [0] * (parts - len(sizes))


# The chip


def test_area_leakage_and_peak_are_those_of_all_cores_and_a_core_stays_as_it_is():
    chip, core = quad().accelerator, small("int8").accelerator
    w, a = core.pe.w_format, core.pe.a_format
    assert chip.area_mm2 == pytest.approx(4 * core.area_mm2)
    assert chip.leakage_w == pytest.approx(4 * core.leakage_w)
    assert chip.peak_macs_per_s(w, a) == 4 * core.peak_macs_per_s(w, a)
    assert (chip.pe_pitch_mm, chip.buffer_distance_mm) == (core.pe_pitch_mm, core.buffer_distance_mm)
    assert chip.array_clock_pj_per_cycle == core.array_clock_pj_per_cycle
    assert chip.dram_bits_per_cycle == core.dram_bits_per_cycle
    assert core.core_network is None
    assert chip.core_network.grid.nodes == 4


def test_a_network_of_a_core_lies_over_a_core_and_that_between_cores_over_the_chip():
    mesh = {"topology": "mesh", "rows": 2, "cols": 2, "router_energy": "0.1 pJ/bit"}
    chip = small("int8", network=mesh, cores={"count": 4, "network": mesh}).accelerator
    assert chip.core_network.pitch_mm == pytest.approx(2 * chip.network.pitch_mm)
    alone = small("int8", network=mesh).accelerator
    assert chip.network.pitch_mm == pytest.approx(alone.network.pitch_mm)


# Every way of sharing

chips = st.fixed_dictionaries(
    {"count": st.integers(1, 5), "split": st.sampled_from(["auto", "m", "n", "k", "batch"])},
    optional={"multicast": st.booleans(), "link_bits": st.sampled_from([8, 64])},
).map(lambda cores: with_effect(**cores))


def with_effect(split, multicast=False, link_bits=None, **cores):
    """Leave out what other keys make void."""
    ring = {"reduce": "network", "link_bits": link_bits} if link_bits and split in ("auto", "k") else {}
    return {**cores, "split": split, "multicast": multicast and split in ("auto", "m", "n"), **ring}


gemms = st.builds(
    Gemm,
    st.just("g"),
    *[st.integers(1, 40)] * 3,
    batch=st.integers(1, 5),
    w_format=st.just("int8"),
    a_format=st.just("int8"),
    o_format=st.just("int8"),
)


@settings(max_examples=200, deadline=None)
@given(chips, gemms, st.sampled_from(DATAFLOW_NAMES), st.sampled_from(["1 GB/s", "50 GB/s"]))
def test_nothing_is_lost_and_nobody_is_faster_than_the_port_or_slower_than_serial(cores, op, dataflow, bandwidth):
    dram = {"preset": "ddr4_2400", "bandwidth": bandwidth}
    simulated = small("int8", array=array(dataflow), cores=cores, dram=dram)
    result = evaluate(simulated, Trace("t", (op,)))
    row = result.layer_rows[0]
    assert row["macs"] == op.macs
    assert row == evaluate(simulated, Trace("t", (op,)), "event").layer_rows[0]
    port = simulated.accelerator.dram_bits_per_cycle
    for plan in plans(simulated, op):
        assert sum(schedule.gemm.macs for schedule in plan.schedules) == op.macs
        assert plan.cores <= cores["count"]
        if cores["split"] == "auto":
            continue  # which plan was taken is the objective's business
        alone = [recur(schedule, port).cycles for schedule in plan.schedules]
        after = plan.reduction.cost(simulated)[0] if plan.reduction else 0
        assert max(alone) + after <= row["cycles"]
        if row["bound"] != "vector":
            assert row["cycles"] <= sum(alone) + after
        counts = plan.counts()
        bits = counts.dram_read_bits + counts.dram_write_bits
        assert row["cycles"] >= bits / port
        assert row["dram_read_bytes"] == -(-counts.dram_read_bits // 8)
    assert 0 < row["utilization"] <= 1
    assert row["energy_pj"] == sum(row[part] for part in ENERGY_PARTS)


@pytest.mark.parametrize("batch", [1, 3])  # one instance: one core alone takes the least energy
def test_the_best_way_by_the_objective_is_taken(batch):
    trace = one(m=64, n=96, k=64, batch=batch)
    for objective, figure in (("latency", "cycles"), ("energy", "energy_pj")):
        mapper = {"objective": objective}
        each = [
            row_of(small("int8", mapper=mapper, cores={"count": 3, "split": split}), trace)[figure]
            for split in ("m", "n", "k", "batch")
        ]
        best = row_of(small("int8", mapper=mapper, cores={"count": 3}), trace)[figure]
        assert best == pytest.approx(min(each))


def test_cores_with_bandwidth_to_spare_share_the_time_and_those_without_share_the_port():
    trace = one(m=64, n=64, k=512)
    wide, narrow = ({"preset": "ddr4_2400", "bandwidth": bandwidth} for bandwidth in ("2000 GB/s", "200 MB/s"))
    alone, four = (
        row_of(small("int8", dram=wide, **more), trace) for more in ({}, {"cores": {"count": 4, "split": "m"}})
    )
    assert alone["cycles"] / 4 <= four["cycles"] < alone["cycles"] / 2  # weights are loaded into every array
    starved = row_of(small("int8", dram=narrow, cores={"count": 4, "split": "m"}), trace)
    port = small("int8", dram=narrow).accelerator.dram_bits_per_cycle
    moved = 8 * (starved["dram_read_bytes"] + starved["dram_write_bytes"]) / port
    assert moved <= starved["cycles"] < 1.1 * moved + starved["compute_cycles"]
    assert starved["bound"] == "dram"


def test_idle_cores_cost_leakage_alone():
    trace = one(m=1, n=64, k=64)
    alone, four = row_of(small("int8"), trace), row_of(quad(split="m"), trace)
    assert four["cycles"] == alone["cycles"]
    assert four["utilization"] == pytest.approx(alone["utilization"] / 4)
    for part in ("energy_pe_pj", "energy_rf_pj", "energy_sram_pj", "energy_dram_pj"):
        assert four[part] == pytest.approx(alone[part])
    assert four["energy_leakage_pj"] == pytest.approx(4 * alone["energy_leakage_pj"])


def test_energy_of_the_network_is_every_bit_to_its_core_and_common_ones_to_all():
    trace, simulated = one(m=64, n=16, k=16), quad(split="m")
    w = parse_format("int8")
    unit = simulated.unit_costs(w, w)
    row = row_of(simulated, trace)
    inside = 8 * (row["sram_read_bytes"] + row["sram_write_bytes"]) * unit.network_pj_per_bit
    dram_bits = 8 * (row["dram_read_bytes"] + row["dram_write_bytes"])
    assert row["energy_network_pj"] == pytest.approx(inside + dram_bits * unit.cores_pj_per_bit)
    assert unit.cores_pj_per_bit > 0

    together = quad(split="m", multicast=True)
    row = row_of(together, trace)
    common = 16 * 16 * 8
    dram_bits = 8 * (row["dram_read_bytes"] + row["dram_write_bytes"])
    assert dram_bits == (64 * 16 + 16 * 16 + 64 * 16) * 8  # everything once
    inside = 8 * (row["sram_read_bytes"] + row["sram_write_bytes"]) * unit.network_pj_per_bit
    between = (dram_bits - common) * unit.cores_pj_per_bit + common * unit.multicast_pj_per_bit
    assert row["energy_network_pj"] == pytest.approx(inside + between)


@pytest.mark.parametrize(("split", "common"), [("m", 256), ("n", 1024)])
def test_multicast_reads_what_all_cores_need_once_and_writes_it_into_every_buffer(split, common):
    trace = one(m=64, n=16, k=16)
    apart, together = (row_of(quad(split=split, multicast=multicast), trace) for multicast in (False, True))
    assert apart["dram_read_bytes"] - together["dram_read_bytes"] == 3 * common
    assert apart["dram_write_bytes"] == together["dram_write_bytes"] == 64 * 16
    assert apart["sram_write_bytes"] == together["sram_write_bytes"]
    assert apart["sram_read_bytes"] == together["sram_read_bytes"]


# Sums of several cores


@pytest.mark.parametrize("vector_lanes", [1, 8])
def test_sums_through_dram_are_written_by_all_read_back_added_quantized_and_written(vector_lanes):
    simulated = small("int8", cores={"count": 4, "split": "k"}, vector_unit={"lanes": vector_lanes})
    trace = one(m=8, n=8, k=64)
    row = row_of(simulated, trace)
    sums = 4 * 64 * 4  # INT32, four cores
    assert row["dram_write_bytes"] == sums + 64
    assert row["dram_read_bytes"] == 2 * 8 * 64 + sums
    (plan,) = plans(simulated, trace.ops[0])
    port = simulated.accelerator.dram_bits_per_cycle
    lanes = work(simulated, vector_kind("add"), 3 * 64, 4)[0]
    lanes += work(simulated, vector_kind("quantize"), 64, 4, rows=8)[0]
    after, added_pj = plan.reduction.cost(simulated)
    assert (lanes * port > 8 * (sums + 64)) == (vector_lanes == 1)
    assert after == max(lanes, -(-(8 * (sums + 64)) // port))
    assert row["energy_vector_pj"] > added_pj > 0


def test_sums_in_a_ring_never_leave_the_chip_and_every_tile_waits_for_them():
    simulated = quad(split="k", reduce="network", link_bits=16)
    trace = one(m=8, n=8, k=64)
    row = row_of(simulated, trace)
    assert row["dram_read_bytes"] == 2 * 8 * 64
    assert row["dram_write_bytes"] == 64
    (plan,) = plans(simulated, trace.ops[0])
    assert plan.reduction.network_bits == 3 * 64 * 32
    adds = partial(work, simulated, vector_kind("add"))
    plain = expand(gang_schedule_of(simulated, trace.ops[0]).body)
    waiting = expand(plan.schedules[0].body)
    visits = loop_visits(trace.ops[0], plan.schedules[0].tiling)
    assert len({step.store_bits for step in plain}) > 1  # tiles that stay open do not wait
    for before, after, visit in zip(plain, waiting, visits, strict=True):
        each = -(-visit["m"][1] * visit["n"][1] // 4)
        ring = 3 * max(each * 32 // 16, adds(each)[0]) if before.store_bits else 0
        assert after == replace(before, compute_cycles=before.compute_cycles + ring)


def gang_schedule_of(simulated, op):
    fmt = parse_format("int8")
    return gang_schedule(op, gang_machine(simulated.machine(fmt, fmt, fmt), "k", 4), "k")


def test_waiting_for_the_ring_is_no_work_and_bounds_what_it_takes_most_of():
    trace = one()
    asked = {"split": "k", "reduce": "network", "link_bits": 16}
    row = row_of(quad(**asked), trace)
    assert row["bound"] == "link"
    assert row_of(quad(**{**asked, "link_bits": 1 << 20}), trace)["bound"] == "compute"
    banks = small("int8", cores={"count": 4, **asked}, dram={"preset": "ddr4_2400", "banks": True})
    stepped = row_of(banks, trace, "event")
    assert stepped["compute_cycles"] == row["compute_cycles"]
    assert stepped["energy_rf_pj"] == pytest.approx(row["energy_rf_pj"])


# Gangs against their tiles

shapes = st.builds(ArrayShape, st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2]))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(DATAFLOW_NAMES), shapes, st.tuples(*[st.integers(1, 40)] * 3), st.integers(2, 5),
    st.sampled_from("mnk"), st.integers(60, 4000),
)  # fmt: skip
def test_a_gang_computes_its_tiles_and_each_share_fits_its_core(name, shape, dims, cores, split, room):
    core = machine(name, shape, capacities=(room, room, room))
    gang = gang_machine(core, split, cores)
    op = gemm(*dims)
    try:
        schedule = gang_schedule(op, gang, split)
    except InfeasibleError:
        return
    unit = core.dataflow.units(shape)[split]
    cycles = 0
    for visit in loop_visits(op, schedule.tiling):
        sizes = {loop: size for loop, (_, size) in visit.items()}
        shares = cut(sizes[split], unit, cores)
        mine = [{**sizes, split: share} for share in shares]
        cycles += max(core.dataflow.tile_cycles(shape, s["m"], s["k"], s["n"], visit["k"][0] == 0) for s in mine)
        for s in mine:
            assert core.bits.move(s["m"] * s["k"], "a") <= core.capacity_a_bits
            assert core.bits.move(s["k"] * s["n"], "w") <= core.capacity_w_bits
            assert core.bits.move(s["m"] * s["n"], "psum") <= core.capacity_o_bits
    assert schedule.compute_cycles == cycles
    assert schedule.pe_steps * shape.lanes >= op.macs


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(DATAFLOW_NAMES), shapes, st.tuples(*[st.integers(1, 30)] * 3), st.integers(2, 5), st.sampled_from("mn")
)  # fmt: skip
def test_sram_accesses_of_a_gang_are_those_of_its_cores_tile_by_tile(name, shape, dims, cores, split):
    core = machine(name, shape, capacities=(2000, 2000, 2000))
    gang = gang_machine(core, split, cores)
    op = gemm(*dims)
    schedule = gang_schedule(op, gang, split)
    tiling, unit = schedule.tiling, core.dataflow.units(shape)[split]
    k = Extents(op.k, tiling.tile_k, -(-op.k // tiling.tile_k))
    found = [0] * 4
    for m, n in {(v["m"], v["n"]) for v in loop_visits(op, tiling)}:
        sizes = {"m": m[1], "n": n[1]}
        for share in cut(sizes[split], unit, cores):
            s = {**sizes, split: share}
            totals = core.dataflow.totals(shape, Extents(s["m"], s["m"], 1), k, Extents(s["n"], s["n"], 1))
            found = [have + int(more) for have, more in zip(found, totals[1:], strict=True)]
    t = schedule.traffic
    assert [t.sram_w_read, t.sram_a_read, t.sram_psum_read, t.sram_psum_write] == found


def test_a_gang_of_one_is_a_core():
    core = machine(capacities=(900, 900, 900))
    for op in (gemm(9, 17, 13), gemm(1, 3, 40)):
        alone = map_gemm(op, core)
        for split in "mnk":
            gang = gang_machine(core, split, 1)
            assert build_schedule(op, alone.tiling, gang) == alone
    assert COMMON == {"m": "w", "n": "a", "k": ""}


# Vector operations, banks, words


def test_vector_operations_are_spread_over_all_units():
    trace = Trace("v", (VectorOp("soft", "softmax", 8, 64, a_format="int8", o_format="int8"),))
    alone, four = row_of(small("int8"), trace), row_of(quad(), trace)
    assert four["compute_cycles"] == -(-alone["compute_cycles"] // 4)
    assert four["sram_read_bytes"] == alone["sram_read_bytes"]


def test_banks_behind_the_port_serve_all_cores():
    dram = {"preset": "ddr4_2400", "banks": True}
    stepped = row_of(small("int8", dram=dram, cores={"count": 2, "split": "m"}), one(), "event")
    closed = row_of(small("int8", cores={"count": 2, "split": "m"}), one())
    assert closed["cycles"] < stepped["cycles"]
    assert closed["dram_read_bytes"] == stepped["dram_read_bytes"]


def test_notes_say_how_the_work_was_shared():
    notes = evaluate(quad(split="k"), TRACE).notes
    assert "4 cores share the DRAM port" in notes[0]
    assert "parts of sums (k): one, two, one again" in notes[0]
    assert "DRAM, after the products" in notes[1]
    assert "read what all need once" in evaluate(quad(split="m", multicast=True), TRACE).notes[1]
    assert "not in area_mm2" in notes[-1]
    assert "one, which does all: one;" in evaluate(quad(split="batch"), Trace("both", TRACE.ops[:2], {})).notes[0] + ";"


def test_what_cannot_be_is_refused_with_what_would_be_valid():
    with pytest.raises(UsageError, match="valid: event, fast"):
        evaluate(quad(), one(), "pe")
    with pytest.raises(SpecError, match="2 × 3 are 6 nodes for 4 cores"):
        quad(network={"topology": "bus", "rows": 2, "cols": 3})
    with pytest.raises(SpecError, match="needs link_bits"):
        quad(reduce="network")
    with pytest.raises(UsageError, match=r"cores\.network: .*no energy of its routers"):
        quad(network={"topology": "mesh", "rows": 2, "cols": 2})
    tiny = {"weights": {"size": 8}, "activations": {"size": 8192}, "outputs": {"size": 8192}}
    with pytest.raises(InfeasibleError, match=r"memories\.weights\.size"):
        evaluate(small("int8", memories=tiny, cores={"count": 4}), one())


def test_a_chip_faster_than_its_port_is_noticed(monkeypatch):
    from hwsim.simulate.multicore import run as module

    plain = module.SHARED_ENGINES.get("fast")
    hasty = lambda schedules, context: replace(plain(schedules, context), cycles=Fraction(1))  # noqa: E731
    monkeypatch.setattr(module.SHARED_ENGINES, "get", lambda name: hasty)
    with pytest.raises(ConservationError, match="busy for longer"):
        evaluate(quad(), one())


def test_moved_bits_of_a_gang_count_common_operands_once():
    core = machine(capacities=(10**6, 10**6, 10**6))
    op = gemm(16, 16, 16)
    apart = [map_gemm(gemm(4, 16, 16), core)] * 4
    together = gang_schedule(op, gang_machine(core, "m", 4), "m")
    loads = sum(moved_bits(s.body)[0] for s in apart)
    assert loads - moved_bits(together.body)[0] == 3 * core.bits.move(16 * 16, "w")


@pytest.mark.parametrize(("given", "grid"), [({}, (3, 4)), ({"rows": 2}, (2, 6)), ({"cols": 3}, (4, 3))])
def test_cores_lie_in_a_grid_as_near_a_square_as_can_be_or_as_asked(given, grid):
    network = {"topology": "mesh", "router_energy": "0.1 pJ/bit", **given}
    found = small("int8", cores={"count": 12, "network": network}).accelerator.core_network.grid
    assert (found.rows, found.cols) == grid
    with pytest.raises(SpecError, match="nodes for 7 cores"):
        small("int8", cores={"count": 7, "network": {"topology": "bus", "rows": 2}})


def test_clocks_of_a_gang_run_where_its_cores_compute_and_its_counts_are_integers():
    trace = one(n=20)  # five folds, two of them on the first core
    together, apart = (row_of(quad(split="n", multicast=shared), trace) for shared in (True, False))
    assert together["energy_rf_pj"] == pytest.approx(apart["energy_rf_pj"])
    assert type(together["sram_read_bytes"]) is type(together["sram_write_bytes"]) is int
