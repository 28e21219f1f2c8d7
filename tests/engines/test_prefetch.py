"""Loads ahead: engines agree on any head start, and a run of layers on a walk that marks every busy cycle of the port."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.simulate.context import engine_context
from hwsim.simulate.engine import LINKED_ENGINES
from hwsim.simulate.engine.cores import link
from hwsim.simulate.engine.event import replay
from hwsim.simulate.engine.fast import recur_linked, walk
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.residency.prefetch import Timed, _layers, _Run, first_load
from hwsim.simulate.schedule import expand
from hwsim.workload import Gemm, Trace, VectorOp, load_workload
from tests.support.machines import context, schedules
from tests.support.small import array, small


def first_cycles(schedule, of):
    return -(-expand(schedule.body)[0].load_bits // of.dram_bits_per_cycle)


@dataclass
class Port:
    """Every cycle in which the port is busy, one by one."""

    busy: set[int]

    def take(self, begin, cycles):
        for cycle in range(begin, begin + cycles):
            assert cycle not in self.busy
            self.busy.add(cycle)
        return begin + cycles


def run_gemm(schedule, bandwidth, port, begin, head_start):
    """Walk over all steps from ``begin`` on; return the end and when half of the buffers is free for the next."""

    def cycles(bits):
        return -(-bits // bandwidth)

    steps = expand(schedule.body) * schedule.gemm.batch
    ends, free, drained, pending = [], begin, begin, []

    def ended(i):
        return ends[i] if i >= 0 else begin

    def store():
        nonlocal free, drained
        j = pending.pop(0)
        free = drained = port.take(max(free, ended(j)), cycles(steps[j].store_bits))

    for i, step in enumerate(steps):
        due = bool(pending) and pending[0] <= i - 2
        if step.reloads and due:
            store()
            due = False
        loaded = begin
        if step.load_bits:
            left = cycles(step.load_bits) - (head_start if i == 0 else 0)
            free = loaded = port.take(max(free, ended(i - 2)), left)
        if due:
            store()
        ends.append(max(ended(i - 1), loaded, drained if step.opens else 0) + step.compute_cycles)
        if step.store_bits:
            pending.append(i)
    while pending:
        store()
    return max(free, ends[-1]), ended(len(steps) - 2)


@settings(max_examples=400, deadline=None)
@given(schedules(), st.data())
def test_engines_agree_on_every_head_start(case, data):
    schedule, of = case
    assume(schedule.overlap)
    bandwidth = of.dram_bits_per_cycle
    head_start = data.draw(st.integers(0, first_cycles(schedule, of)))
    found = recur_linked(schedule, bandwidth, head_start)
    assert found == link(schedule, bandwidth, head_start)
    assert found.timing == replay([schedule], bandwidth, head_start=head_start).cores[0]
    port = Port(set())
    end, half_free = run_gemm(schedule, bandwidth, port, 0, head_start)
    assert found.timing.cycles == end
    assert found.idle_cycles == len(set(range(half_free, end)) - port.busy)
    without = walk(schedule, bandwidth)
    assert recur_linked(schedule, bandwidth).timing == without
    assert without.cycles - head_start <= found.timing.cycles <= without.cycles


@st.composite
def runs(draw):
    """Layers of products and vector operations, some repeated; all that ``_Run`` is given."""
    pairs = []
    for number in range(draw(st.integers(1, 4))):
        repeat = draw(st.sampled_from([1, 1, 2, 9]))
        for _ in range(draw(st.integers(1, 3))):
            if draw(st.booleans()):
                port = draw(st.integers(0, 30))
                op = VectorOp(f"v{number}", draw(st.sampled_from(["add", "softmax"])), 4, 4, repeat=repeat)
                pairs.append((op, {"cycles": port + draw(st.integers(0, 40)), "port_cycles": port}))
                continue
            schedule, of = draw(schedules())
            role = draw(st.sampled_from(["other", "ffn", "value"]))
            sources = {
                "w_source": draw(st.sampled_from(["dram", "dram", "kv"])),
                "a_source": draw(st.sampled_from(["activation", "activation", "dram"])),
            }
            op = replace(schedule.gemm, repeat=repeat, role=role, **sources)
            room = of.capacity_w_bits, of.capacity_a_bits
            least = draw(st.sampled_from([0, 0, 500]))
            timed = Timed(schedule, context(of), least, room)
            cycles = max(walk(schedule, of.dram_bits_per_cycle).cycles, least)
            pairs.append((op, {"cycles": cycles, "timed": timed}))
    return pairs


@settings(max_examples=200, deadline=None)
@given(runs(), st.sampled_from(["fast", "event"]))
def test_a_run_is_what_a_walk_over_all_layers_takes(pairs, engine):
    saved = _Run(pairs, engine).walk()
    port, now, half_free, room, took = Port(set()), 0, 0, None, [0] * len(pairs)
    for places in _layers(pairs):
        for _ in range(pairs[places[0]][0].repeat):
            for place in places:
                op, row = pairs[place]
                begin, timed = now, row.get("timed")
                if timed is None:
                    port.take(now, row["port_cycles"])
                    now += row["cycles"]
                elif not timed.schedule.overlap:
                    now += row["cycles"]
                    half_free, room = now, None
                else:
                    last = pairs[place - 1][0] if place else None
                    early = 0
                    for cycle in range(half_free, now):  # one cycle of the first load after the other, where it is free
                        if early < first_load(op, last, timed, room) and cycle not in port.busy:
                            port.take(cycle, 1)
                            early += 1
                    end, half_free = run_gemm(timed.schedule, timed.context.dram_bits_per_cycle, port, now, early)
                    now, room = max(end, now + timed.vector_cycles), timed.room_bits
                took[place] += now - begin
                assert now - begin <= row["cycles"]
    assert took == [row["cycles"] * op.repeat - less for (op, row), less in zip(pairs, saved, strict=True)]


def test_of_the_first_load_only_what_is_there_may_move():
    of = small("int8", array=array("weight_stationary"))
    ops = (
        Gemm("q", 16, 16, 16, role="qkv"), Gemm("k", 16, 16, 16, role="qkv"), Gemm("x", 16, 16, 16),
        Gemm("s", 16, 16, 16, w_source="kv", role="score"), VectorOp("p", "softmax", 16, 16),
        Gemm("v", 16, 16, 16, w_source="kv", role="value"), Gemm("d", 16, 16, 16, a_source="dram"),
    )  # fmt: skip
    found = {}
    int8 = parse_format("int8")
    machine = of.machine(int8, int8, int8)
    for before, op in zip((None, *ops), ops, strict=False):
        if isinstance(op, Gemm):
            schedule = map_gemm(op, machine)
            timed = Timed(schedule, engine_context(of, machine, (int8, int8), None), 0, (10**6, 10**6))
            t, rate = schedule.tiling, machine.dram_bits_per_cycle
            weights, activations = t.tile_k * t.tile_n * 8, t.tile_m * t.tile_k * 8
            moved = first_load(op, before, timed, None) * rate
            found[op.layer] = [
                name
                for name, bits in {"-": 0, "w": weights, "wa": weights + activations}.items()
                if bits <= moved < bits + rate
            ]
            assert first_load(op, before, timed, (0, 0)) == 0
    assert found == {"q": ["w"], "k": ["wa"], "x": ["w"], "s": ["-"], "v": ["w"], "d": ["wa"]}


NETWORK = st.lists(
    st.one_of(
        st.builds(
            lambda m, n, k, role, source, repeat: Gemm("g", m, n, k, role=role, w_source=source, repeat=repeat),
            st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.sampled_from(["other", "qkv", "ffn"]),
            st.sampled_from(["dram", "dram", "kv"]), st.sampled_from([1, 4]),
        ),
        st.builds(lambda m, n, repeat: VectorOp("v", "relu", m, n, repeat=repeat),
                  st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 4])),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ops=NETWORK, flow=st.sampled_from(["weight_stationary", "output_stationary", "broadcast"]),
       size=st.sampled_from([1024, 4096]), also=st.sampled_from([{}, {"outputs": True}, {"weights": True}]))  # fmt: skip
def test_no_row_is_slower_and_rows_add_up(ops, flow, size, also):
    trace = Trace("t", tuple(replace(op, layer=f"{op.layer}{i}") for i, op in enumerate(ops)), {})
    memories = {name: {"size": size} for name in ("weights", "activations", "outputs")}
    plain, ahead = (
        small("int8", array=array(flow), memories=memories, residency=r) for r in (also, {**also, "prefetch": True})
    )
    before, after = evaluate(plain, trace), evaluate(ahead, trace)
    assert after.layer_rows == evaluate(ahead, trace, "event").layer_rows
    for old, new in zip(before.layer_rows, after.layer_rows, strict=True):
        assert new["compute_cycles"] <= new["cycles"] <= old["cycles"]
        assert new["energy_pj"] <= old["energy_pj"] * (1 + 1e-9)  # settled to another quantum
        assert 0 <= new["utilization"] <= 1 + 1e-9
        same = {key for key in old if "cycles" not in key and not key.startswith(("energy", "time", "util"))}
        assert {key: new[key] for key in same} == {key: old[key] for key in same}
    moved = sum(row["dram_read_bytes"] + row["dram_write_bytes"] for row in after.layer_rows)
    rate = plain.accelerator.dram_bits_per_cycle
    total = sum(row["cycles"] for row in after.layer_rows)
    assert total >= (moved - 2 * sum(op.repeat for op in ops)) * 8 / rate  # bytes of a row are rounded up


def test_layers_of_a_model_are_jumped_over_exactly():
    model = {"model": "gpt2", "seq_len": 64, "phase": "prefill"}
    trace = load_workload(model)
    of = small("int8", residency={"prefetch": True})
    flat = [op for op in trace.ops if op.repeat == 1]
    layers = [op for op in trace.ops if op.repeat > 1]
    at = trace.ops.index(layers[0])
    unrolled = [*flat[:at]]
    for number in range(layers[0].repeat):
        unrolled += [replace(op, repeat=1, layer=f"{number}.{op.layer}") for op in layers]
    unrolled += flat[at:]
    folded, long = evaluate(of, trace), evaluate(of, Trace("long", tuple(unrolled), {}))
    assert folded.design_row["latency_ms"] == long.design_row["latency_ms"]
    assert folded.design_row["latency_ms"] < evaluate(small("int8"), trace).design_row["latency_ms"]


def test_roofline_has_nothing_to_wait_for():
    trace = Trace("t", (Gemm("a", 8, 8, 8), Gemm("b", 8, 8, 8)), {})
    of = small("int8", residency={"prefetch": True})
    result = evaluate(of, trace, "roofline")
    assert result.layer_rows == evaluate(small("int8"), trace, "roofline").layer_rows
    assert any("no loads to wait for" in note for note in result.notes)
    assert set(LINKED_ENGINES.names()) == {"fast", "event"}
