"""Memory levels in an architecture file: what is refused, what they cost, and where they are the three buffers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.hardware.circuits import Register
from hwsim.hardware.circuits.storage import RegisterTable
from hwsim.hardware.memory import build_buffer
from hwsim.hardware.memory.register_file import build_register_file
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.cost import gemm_counts
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.nest.count import count
from hwsim.simulate.nest.from_schedule import nest_of
from hwsim.simulate.nest.hierarchy import OPERANDS, READ, WRITE
from hwsim.simulate.nest.loops import Kept, Loop, check_nest
from hwsim.simulate.nest.search import search
from hwsim.simulate.policies.loop_nest import lowered, nest_schedule
from hwsim.simulate.schedule import LevelRun, moved_bits
from hwsim.spec.data import example_path
from hwsim.spec.errors import InfeasibleError, SpecError, UsageError
from hwsim.workload import Gemm, Trace
from tests.support.levels import PADS, built, machine_of, pads

FILES = ("eyeriss_like_levels_65nm", "tpu_like_three_level")


def refused(match, **changes):
    with pytest.raises((SpecError, UsageError), match=match):
        built(pads(**changes))


def test_levels_that_contradict_themselves_are_refused():
    refused(
        "no level holds w", memories__levels__1__stores=[{"holds": ["a", "o"], "size": "64 B", "kind": "registers"}]
    )
    refused("w is held in two", memories__levels__1__stores__1__holds=["w", "a"])
    refused("size is missing", memories__levels__0__fan_out__0__name="columns")
    refused(r"7 instances.*2 × 3 = 6 PEs", memories__levels__0__fan_out=[{"name": "x", "loops": ["m"], "size": 7}])
    refused(
        "run over the same loop", memories__levels__0__fan_out=[{"name": x, "loops": ["n"]} for x in ("rows", "cols")]
    )
    refused("sums along k are added", memories__levels__0__fan_out__0__shared=False)
    refused("'shared' is the name of two", memories__levels__1__name="shared", memories__levels__1__stores=None,
            memories__levels__1__holds=["w"], memories__levels__1__size="64 B")  # fmt: skip
    refused("holds: is missing", memories__levels__0__holds=None)
    refused("size: is missing", memories__levels__0__size=None)
    refused("belongs into one of stores", memories__levels__1__size="1 KiB")
    refused("banks: of sram alone", memories__levels__1__stores__1__banks=2)
    refused("port_bits: is missing", memories__levels__0__port_bits="auto")
    refused("below every fan_out", memories__levels__0__kind="pe", memories__levels__0__size=None,
            memories__levels__0__port_bits="auto")  # fmt: skip
    refused("result_level: unknown level 'pad'.*pads", memories__result_level="pad")
    refused("below axis rows, where sums are still added", memories__result_level="pads")


def test_what_does_not_go_with_levels_is_refused():
    refused("leave weights out", memories__weights={"size": "1 KiB"})
    refused("array.dataflow: has no effect", array__dataflow="output_stationary")
    refused("array.fold_overlap: has no effect", array__fold_overlap=True)
    refused("valid on one core", cores={"count": 2, "network": {"topology": "mesh", "router": "park2012"}})
    refused("with memories.levels, valid: search", mapper__policy="scalesim")
    refused("valid with three buffers", residency={"weights": True})
    short = {name: {"size": "4 KiB"} for name in ("weights", "activations", "outputs")}
    with pytest.raises(SpecError, match="loop_nest is for memories.levels"):
        built(pads(memories=short, mapper__policy="loop_nest"))
    with pytest.raises(SpecError, match="exhaustive: is for memories.levels"):
        built(pads(memories=short, mapper__exhaustive=True))
    with pytest.raises(SpecError, match="outputs: missing; give weights, activations and outputs, or levels"):
        built(pads(memories={"weights": {"size": "4 KiB"}, "activations": {"size": "4 KiB"}}))


def test_pes_whose_sums_or_cycles_a_nest_does_not_know_are_refused():
    grouped = built(
        pads(
            pe={"family": "int_mac", "w_format": "int4_g128", "a_format": "int8"},
            memories__levels__1__stores__0__kind="registers",
        )
    )
    with pytest.raises(UsageError, match="no loop nest here knows groups"):
        machine_of(grouped)
    changes = {f"memories__levels__1__stores__{at}__size": "64 B" for at in (1, 2)}
    changes["memories__levels__1__stores__0"] = {"holds": ["w"], "kind": "pe"}
    with pytest.raises(UsageError, match="cycles depend on data"):
        machine_of(built(pads(pe={"family": "laconic"}, **changes)))


def test_a_level_that_is_too_small_says_what_would_do():
    """A double-buffered register of sums for 2 × 3 PEs along k and n."""
    simulated = built(pads(memories__levels__0__size="16 B", memories__levels__0__kind="registers",
                           memories__levels__0__fan_out=[{"name": "rows", "loops": ["k"]}, {"name": "cols", "loops": ["m"]}],
                           memories__levels__0__double_buffered=True))  # fmt: skip
    with pytest.raises(
        InfeasibleError, match=r"memories.levels.0.size: too small for one tile of A and O.*at least (\d+) B"
    ):
        map_gemm(Gemm("layer", 8, 8, 8), machine_of(simulated))
    # A: 3 × 2 of 8 bits, O: 3 of 32, both twice.
    enough = built(pads(memories__levels__0__size="36 B", memories__levels__0__kind="registers",
                        memories__levels__0__fan_out=[{"name": "rows", "loops": ["k"]}, {"name": "cols", "loops": ["m"]}],
                        memories__levels__0__double_buffered=True))  # fmt: skip
    assert map_gemm(Gemm("layer", 8, 8, 8), machine_of(enough)).levels.nest.loops


def test_stores_have_the_prices_of_the_memory_models():
    acc = built(PADS).accelerator
    shared, weights, inputs, sums = acc.stores
    sram = build_buffer(4096, 64, 1, 28)
    assert (shared.memory.read_pj, shared.memory.area_mm2) == (sram.read_pj, sram.area_mm2)
    file = build_register_file(128, 8, 1, 1, 28)
    assert (weights.memory.write_pj, weights.memory.leakage_mw) == (file.write_pj, file.leakage_mw)
    technology = acc.technology
    table, held = technology.price(RegisterTable(8, 8)), technology.price(Register(64))
    assert inputs.memory.read_pj == (table.energy_fj - held.energy_fj) * 1e-3
    assert inputs.memory.area_mm2 == table.area_um2 * 1e-6
    assert sums.memory.width_bits == 32
    assert [store.instances for store in acc.stores] == [1, 6, 6, 6]
    blocks = acc.area_breakdown_mm2
    assert blocks["pads.w"] == 6 * file.area_mm2
    assert acc.area_mm2 == sum(blocks.values())
    bare = built(pads(memories__levels__1__stores__0__size="512 B")).accelerator
    more = 6 * (build_register_file(512, 8, 1, 1, 28).leakage_mw - file.leakage_mw) * 1e-3
    assert bare.leakage_w - acc.leakage_w == pytest.approx(more, rel=1e-9)  # a difference of sums
    assert bare.pe_pitch_mm > acc.pe_pitch_mm


def test_registers_of_the_pe_cost_what_loading_takes():
    data = pads(memories__levels__1__stores__0={"holds": ["w"], "kind": "pe"})
    simulated = built(data)
    store = simulated.accelerator.stores[1]
    assert store.memory.write_pj == simulated.accelerator.technology.price(Register(8)).energy_fj * 1e-3
    assert (store.memory.read_pj, store.area_mm2) == (0.0, 0.0)
    hierarchy = machine_of(simulated).levels.hierarchy
    assert hierarchy.levels[2].stores[0].capacity_bits == 8
    assert hierarchy.levels[2].ports == ()


def test_narrow_words_of_register_files_are_several_steps():
    """CACTI's narrowest row has 8 bits: three weights of 3 bits are a word."""
    acc = built(pads(pe={"family": "int_mac", "w_format": "int3", "a_format": "int8"})).accelerator
    assert acc.stores[1].memory.width_bits == 9


def test_fractions_of_bits_are_counted_exactly():
    """MXFP4 has 4.25 bits per element."""
    simulated = built(pads(pe={"family": "block_dot", "format": "mxfp4", "lanes": 32},
                           memories__levels__1__stores__0__kind="registers", memories__levels__1__stores__1__size="512 B",
                           memories__levels__0__size="16 KiB"))  # fmt: skip
    machine = machine_of(simulated)
    assert machine.levels.denominator == 4
    schedule = map_gemm(Gemm("layer", 3, 5, 64), machine)
    dram = gemm_counts(schedule, *moved_bits(schedule.body))
    assert dram.dram_read_bits >= (3 * 64 + 5 * 64) * 17 // 4
    assert evaluate(simulated, Trace("t", (Gemm("layer", 3, 5, 64),))).layer_rows[0]["macs"] == 3 * 5 * 64


@pytest.mark.parametrize("dims", [(5, 7, 6), (3, 12, 2), (1, 9, 8)])
def test_the_mapping_of_three_buffers_as_a_nest_on_levels(dims):
    """The same buffers as levels: every counter of the buffers and of DRAM is equal, and so is every step's traffic.

    What differs: the PEs' registers are a level with counters of their own, cycles have no fill, skew and drain of a
    systolic array, and the search over nests finds what moves no more.
    """
    m, k, n = dims
    short = pads(memories={name: {"size": "2 KiB"} for name in ("weights", "activations", "outputs")})
    short["array"] = {"rows": 2, "cols": 2}
    simulated = built(short)
    half = 24 * 8  # smaller than SRAM can be, so that tiles are cut
    small = {f"capacity_{x}_bits": half for x in "wao"}
    machine = replace(machine_of(simulated), **small)
    schedule = map_gemm(Gemm("layer", m, n, k), machine)
    hierarchy, nest = nest_of(schedule, machine.dataflow, machine.shape)
    buffers = [{"holds": [x], "size": "48 B", "kind": "registers", "double_buffered": True} for x in "wao"]
    levels = pads(memories={"levels": [
        {"name": "buffers", "stores": buffers,
         "fan_out": [{"name": "rows", "loops": ["k"]}, {"name": "cols", "loops": ["n"]}]},
        {"name": "pes", "holds": ["w"], "kind": "pe"},
    ]})  # fmt: skip
    levels["array"] = {"rows": 2, "cols": 2}
    plan = machine_of(built(levels)).levels
    names = {"k": "rows", "n": "cols"}
    loops = tuple(Loop(p.dim, p.tile, names[p.dim] if p.axis else None) for p in nest.loops)
    at = {(1, "w"): 1, (1, "a"): 2, (1, "o"): 3, (2, "w"): 4}
    kept = tuple(Kept(at.get((p.level, p.operand), 0), p.operand, p.outside) for p in nest.kept)
    same = replace(nest, loops=loops, kept=kept)
    check_nest(plan.hierarchy, same, plan.widths)
    moved, short_counts = count(plan.hierarchy, same, plan.widths), gemm_counts(schedule, *moved_bits(schedule.body))
    assert short_counts.dram_read_bits == sum(moved.at(0, x, READ) for x in OPERANDS)
    assert short_counts.dram_write_bits == moved.at(0, "o", WRITE)
    assert short_counts.sram_read_bits["w"] == moved.at(1, "w", READ)
    assert short_counts.sram_read_bits["a"] == moved.at(2, "a", READ)
    assert short_counts.sram_write_bits["w"] == moved.at(1, "w", WRITE)
    assert short_counts.sram_write_bits["a"] == moved.at(2, "a", WRITE)
    assert short_counts.sram_read_bits["o"] == moved.at(3, "o", READ)
    assert short_counts.sram_write_bits["o"] == moved.at(3, "o", WRITE)
    found = search(plan.hierarchy, dims, plan.widths, "energy")
    run = LevelRun(plan, same, moved, 1, complete=True)
    fixed = nest_schedule(schedule.gemm, machine_of(built(levels)), *lowered(run))
    assert moved_bits(fixed.body) == moved_bits(schedule.body)
    assert fixed.compute_cycles <= schedule.compute_cycles
    assert hierarchy.levels[0].name == "DRAM"
    energies = [
        sum(
            bits * (lv.read_pj_per_bit if key[2] == READ else lv.write_pj_per_bit)
            for key, bits in of.bits.items()
            if (lv := plan.hierarchy.levels[key[0]])
        )
        for of in (found.moved, moved)
    ]
    assert found.energy_pj <= energies[1] + moved.macs * plan.hierarchy.mac_pj + sum(
        bits * pj for bits, pj in zip(moved.wire_bits.values(), plan.hierarchy.wire_pj_per_bit, strict=True)
    ) * (1 + 1e-9)


def test_a_quick_search_is_near_the_exhaustive_one_and_never_below_it():
    """On the example's hierarchy: 12.5 against 17.4 million mappings and up."""
    simulated = open_arch(example_path("arch_configs", FILES[0]))
    plan = machine_of(simulated).levels
    for dims in ((96, 128, 80), (1, 300, 200)):
        quick = search(plan.hierarchy, dims, plan.widths, "energy", quick=True)
        whole = search(plan.hierarchy, dims, plan.widths, "energy")
        assert whole.complete
        assert whole.energy_pj <= quick.energy_pj <= 1.02 * whole.energy_pj
        assert quick.mappings <= whole.mappings


def test_results_of_their_own_width_reach_the_level_that_is_named():
    wide = built(pads())
    narrow = built(pads(memories__result_level="shared"))
    gemm = Gemm("layer", 8, 8, 8)
    moved = [map_gemm(gemm, machine_of(simulated)).levels.moved for simulated in (wide, narrow)]
    assert moved[0].at(1, "o", WRITE) == 8 * 8 * 32
    assert moved[1].at(1, "o", WRITE) == 8 * 8 * 8


def test_parts_of_the_energy_can_be_left_out():
    gemm = Trace("t", (Gemm("layer", 8, 8, 8),))
    full = evaluate(built(PADS), gemm).layer_rows[0]
    bare = evaluate(built(pads(costs={"leave_out": ["network", "array_wires", "leakage"]})), gemm).layer_rows[0]
    assert bare["energy_network_pj"] == bare["energy_leakage_pj"] == 0
    assert 0 < bare["energy_rf_pj"] < full["energy_rf_pj"]
    assert full["energy_network_pj"] > 0


@pytest.mark.parametrize("name", FILES)
def test_example_files_run_and_explain(name, capsys):
    path = str(example_path("arch_configs", name))
    assert run_command(["run", path, "opt-125m", "--seq-len", "16", "--engine", "event"]) == 0
    assert "memories.levels: transfers between levels" in " ".join(capsys.readouterr().out.split())
    assert run_command(["explain", "arch", path]) == 0
    shown = capsys.readouterr().out
    for words in ("levels, from DRAM inwards", "wire along rows", "way to and from"):
        assert words in shown
    assert run_command(["explain", "mapping", path, "opt-125m", "--seq-len", "16", "--layer", "attn.q_proj"]) == 0
    shown = capsys.readouterr().out
    for words in ("parallel for k", "macs_per_element", "the best of"):
        assert words in shown
    assert run_command(["run", path, "opt-125m", "--seq-len", "16", "--engine", "pe"]) == 2
    assert "a loop nest over memories.levels" in " ".join(capsys.readouterr().err.split())


def test_sizes_of_levels_are_swept(tmp_path, capsys):
    sweep = tmp_path / "sizes.yaml"
    sweep.write_text(f"""name: sizes
base: {example_path("arch_configs", FILES[0])}
workloads: [{{model: opt-125m, phase: decode, context: 16}}]
grid: {{memories.levels.0.size: [27 KiB, 108 KiB]}}
objectives: {{energy_mj: min, area_mm2: min}}
""")
    assert run_command(["sweep", str(sweep), "-o", str(tmp_path / "out")]) == 0
    assert "2 of 2 points: 2 ok" in capsys.readouterr().out
    where = str(tmp_path / "front")
    assert run_command(["pareto", str(tmp_path / "out"), "-x", "energy_mj", "-y", "area_mm2", "-o", where]) == 0
    shown = capsys.readouterr().out
    assert "27" in shown


def test_an_element_along_k_is_a_step_of_all_lanes():
    machine = machine_of(built(pads(pe__lanes=4)))
    schedule = map_gemm(Gemm("layer", 3, 2, 10), machine)
    assert schedule.levels.nest.k == 3
    assert schedule.pe_steps == 3 * 2 * 3
    assert schedule.traffic.dram_w >= 12 * 2  # K is padded to whole steps in memory, too
    assert parse_format("int8").bits == 8
