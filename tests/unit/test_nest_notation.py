"""Nests as people read them, and the nests of the three-buffer accelerators."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.hardware.memories_spec import BUFFERS
from hwsim.report.explain import EXPLAINERS, Question
from hwsim.simulate.architecture import load_arch, open_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.nest.count import compute_cycles, loads
from hwsim.simulate.nest.from_schedule import nest_of
from hwsim.simulate.nest.hierarchy import OPERANDS, Widths
from hwsim.simulate.nest.hierarchy_file import load_hierarchy
from hwsim.simulate.nest.loops import Kept, Loop, Nest, check_nest
from hwsim.simulate.nest.notation import notation
from hwsim.spec.data import example_names, example_path
from hwsim.workload import Gemm, load_workload

MACHINES = {}


def machine(name):
    if name not in MACHINES:
        simulated = open_arch(example_path("arch_configs", name))
        w, a = parse_format(simulated.policy.w_format), parse_format(simulated.policy.a_format)
        MACHINES[name] = simulated.machine(w, a, a)
    return MACHINES[name]


def is_single(name):
    return open_arch(example_path("arch_configs", name)).accelerator.cores == 1


#: A nest is of one core.
SINGLE = [
    name
    for name in example_names("arch_configs")
    if is_single(name) and load_arch(example_path("arch_configs", name)).device is None  # no energies on a device
]
#: Policies of other simulators keep tiles by rules of their own.
SEARCHED = [
    name
    for name in SINGLE
    if (arch := load_arch(example_path("arch_configs", name))).mapper.policy == "search" and not arch.memories.levels
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SEARCHED), st.tuples(*[st.integers(1, 3000)] * 3))
def test_the_nest_of_a_schedule_moves_what_the_schedule_says(name, dims):
    """Elements that enter the buffers, and MACs: the nest and the schedule count them each in its own way."""
    found = machine(name)
    schedule = map_gemm(Gemm("layer", *dims), found)
    hierarchy, nest = nest_of(schedule, found.dataflow, found.shape)
    check_nest(hierarchy, nest, Widths())
    entering, traffic = loads(hierarchy, nest), schedule.traffic
    assert entering[1, "a"] == traffic.dram_a
    assert entering[1, "w"] == traffic.dram_w
    assert entering[1, "o"] == traffic.dram_o + traffic.dram_psum_write
    assert compute_cycles(nest) <= schedule.compute_cycles


def test_a_nest_as_it_is_written():
    hierarchy = load_hierarchy("edge8")
    loops = (
        Loop("m", 20),
        Loop("n", 16),
        Loop("k", 5),
        Loop("m", 8),
        Loop("n", 8),
        Loop("m", 1, "rows"),
        Loop("n", 1, "cols"),
        Loop("k", 1),
    )
    kept = [Kept(0, x, 0) for x in OPERANDS]
    kept += [Kept(1, "a", 1), Kept(1, "w", 3), Kept(1, "o", 3), Kept(2, "o", 7)]
    nest = Nest(50, 10, 16, loops, tuple(kept))
    assert notation(hierarchy, nest) == [
        ("DRAM keeps A, W, O", "A 50×10, W 10×16, O 50×16"),
        ("for m2 in [0:3)", "m: 20 each, the last 10"),
        ("  SRAM keeps A", "A 20×10"),
        ("  for k1 in [0:2)", "k: 5 each"),
        ("    SRAM keeps W, O", "W 5×16, O 20×16"),
        ("    for m1 in [0:3)", "m: 8 each, the last 4"),
        ("      for n1 in [0:2)", "n: 8 each"),
        ("        parallel for m0 in [0:8) on rows", "m: 1 each"),
        ("          parallel for n0 in [0:8) on cols", "n: 1 each"),
        ("            Reg keeps O", "O 1×1"),
        ("            for k0 in [0:5)", "k: 1 each"),
        ("              O += A · W", ""),
    ]


def explain(capsys, *words):
    assert run_command(["explain", "mapping", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("where", ["edge8", "ws32", *SINGLE])
def test_explain_shows_nest_traffic_and_energy(where, capsys):
    printed = explain(capsys, where, "opt-125m", "--seq-len", "128", "--layer", "mlp.up_proj")
    for words in (
        "mlp.up_proj on",
        "for ",
        "parallel for",
        "keeps",
        "macs_per_element",
        "energy_pj",
        "total",
        "cycles",
    ):
        assert words in printed


@pytest.mark.parametrize("where", SINGLE)
@pytest.mark.parametrize("layer", ["mlp.up_proj", "attn.score"])
def test_traffic_and_energy_are_those_of_a_run(where, layer):
    """Summed over operands, what the tables show is what the layer table of a run has."""
    simulated = open_arch(example_path("arch_configs", where))
    trace = load_workload("opt-125m", seq_len=100)
    one = replace(trace, ops=tuple(op for op in trace.ops if op.layer == layer))
    row = evaluate(simulated, one).layer_rows[0]
    question = Question(others=("opt-125m",), layer=layer, workload={"seq_len": 100})
    _, traffic, energy, _ = (section.frame for section in EXPLAINERS.get("mapping")(where, question))
    times = row["batch"] * row["repeat"]
    for way in ("read", "write"):
        dram = traffic.loc[traffic["level"] == "DRAM", f"{way}_bits"].sum()
        assert 0 <= row[f"dram_{way}_bytes"] - dram / 8 < times  # bytes are rounded up, once per repeat
        stores = [store.name for store in simulated.accelerator.stores if store.is_sram]
        is_sram = traffic["level"].isin(stores or [f"{buffer} buffer" for buffer in BUFFERS.values()])
        sram = traffic.loc[is_sram, f"{way}_bits"].sum()
        assert 0 <= row[f"sram_{way}_bytes"] - sram / 8 < times
    assert energy["energy_pj"].iloc[-1] == row["energy_pj"]


def test_settings_and_files_reach_the_search(capsys, tmp_path):
    small = explain(capsys, "edge8", "opt-125m", "--layer", "attn.score", "--set", "levels.1.stores.0.size=1 KiB")
    large = explain(capsys, "edge8", "opt-125m", "--layer", "attn.score", "--set", "widths.w=4")
    assert small != large
    assert "figures are of one of 12 instances" in small
    path = tmp_path / "mine.yaml"
    path.write_text("""name: mine
source: made up
mac_energy: 1 pJ
levels:
  - {name: DRAM, read_energy: 10 pJ, write_energy: 10 pJ}
  - name: RF
    stores: [{holds: [a], size: 64 B}, {holds: [w], size: 64 B}, {holds: [o], size: 64 B, double_buffered: true}]
    read_energy: 0.5 pJ
    write_energy: 0.5 pJ
""")
    assert "RF keeps" in explain(capsys, str(path), "opt-125m", "--layer", "attn.score")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["edge8"], "takes an architecture and a workload"),
        (["edge9", "opt-125m", "--layer", "x"], "unknown architecture or hierarchy 'edge9'"),
        (["quad_core_28nm", "opt-125m", "--layer", "mlp.up_proj"], "among 4 cores"),
        (["edge8", "opt-125m"], "--layer is missing"),
        (["edge8", "opt-125m", "--layer", "mlp.up"], "did you mean 'mlp.up_proj'"),
        (
            ["edge8", "opt-125m", "--layer", "mlp.up_proj", "--set", "levels.1.stores.0.size=8 B"],
            "no tile of 2048 × 768 × 3072 fits",
        ),
        (
            [
                "edge8",
                "opt-125m",
                "--layer",
                "mlp.up_proj",
                "--set",
                "levels.2.fan_out=[{name: rows, loops: [m], size: 2}]",
            ],
            "same name",
        ),
        (["edge8", "opt-125m", "--layer", "mlp.up_proj", "--set", "result_level=L3"], "unknown level 'L3'"),
    ],
)
def test_mistakes_are_named(words, message, capsys):
    assert run_command(["explain", "mapping", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_options_of_mapping_are_refused_elsewhere(capsys):
    assert run_command(["explain", "format", "fp16", "--layer", "x"]) == 2
    assert "are for explain mapping" in " ".join(capsys.readouterr().err.split())
