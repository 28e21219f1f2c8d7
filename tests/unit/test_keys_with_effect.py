"""Every key of an architecture file changes what comes out somewhere, and is refused where it cannot."""

from __future__ import annotations

import typing

import pytest

from hwsim.simulate.architecture import ArchSpec, simulate_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.bind import Spec, validate_mapping
from hwsim.spec.errors import HwsimError, SpecError
from hwsim.workload import Gemm, Trace, VectorOp
from tests.support.chips import LINKS
from tests.support.small import BASE, array

TRACE = Trace(
    "attention",
    (
        Gemm("qkv", 12, 48, 16, repeat=2, role="qkv"),
        Gemm("score", 12, 12, 8, batch=2, repeat=2, w_source="kv", role="score"),
        VectorOp("softmax", "softmax", 12, 12, 2, repeat=2),
        Gemm("value", 12, 8, 12, batch=2, repeat=2, w_source="kv", role="value"),
        Gemm("out", 12, 16, 16, repeat=2, role="attn_out"),
        VectorOp("act", "gelu", 12, 16),
        VectorOp("big", "relu", 256, 64),
        Gemm("large", 96, 100, 200),
    ),
)

CHIPS = {"count": 2, "parallel": "tensor", **LINKS}
PIPELINE = {"chips": {"count": 2, "parallel": "pipeline", **LINKS}}
SUMS = {"cores": {"count": 2, "split": "k"}}
RING = {"cores": {"count": 2, "split": "k", "reduce": "network", "link_bits": 8}}
MESH = {"network": {"topology": "mesh", "rows": 2, "cols": 2, "router_energy": "0.1 pJ/bit"}}
CORE_MESH = {"cores": {"count": 4, "network": {"topology": "mesh", "router_energy": "0.1 pJ/bit"}}}
FLOAT = {"pe": {"family": "float_mac", "format": "bf16"}}
STRIDED = {"dram": {"preset": "ddr4_2400", "access": "strided", "stride": 4096}}
PART = {"source": "measured", "area": "1 mm2"}
FIGURES = {
    "source": "measured", "read_energy": "1 pJ", "write_energy": "1 pJ", "leakage": "1 mW", "area": "1 mm2",
    "access_time": "1 ns", "cycle_time": "1 ns",
}  # fmt: skip

SIMD = {"array": array("simd"), "pe": {"family": "float_mac", "format": "fp16"}, "formats": {"weights": "int4"}}
CORE = {"array": array("simd", rows=2)}
SIMD_A = {**SIMD, "formats": {"activations": "int8"}}
SHARED = {"array": {**array("simd"), "issue": {**array("simd")["issue"], "pipes": "shared"}}}
PADS = {"array": {"rows": 4, "cols": 4, "dataflow": "row_stationary",
                  "scratchpads": {"weights": 16, "activations": 4, "sums": 4}}}  # fmt: skip
TABLES = {"array": array("lut_array"), "pe": {"family": "lut", "w_format": "int2", "a_format": "int8", "tile_m": 1,
                                              "tile_n": 1}}  # fmt: skip
BOARD = {"technology": "u280", "clock": 3e8}
LEVELS = {"array": {"rows": 4, "cols": 4}, "memories": {"levels": [
    {"name": "shared", "holds": ["a", "o"], "size": "8 KiB", "port_bits": 64},
    {"name": "beside", "stores": [{"holds": ["w"], "size": "2 KiB", "port_bits": 32},
                                  {"holds": ["o"], "size": "1 KiB", "port_bits": 128}],
     "fan_out": [{"name": "rows", "loops": ["k"]}, {"name": "cols", "loops": ["n"]}]},
    {"name": "pads", "holds": ["w"], "kind": "pe"},
]}}  # fmt: skip
FUSED = {"residency": {"fused_attention": "always"}}
DEVICE_ROOM = {"memories": {name: {"size": 1 << 20} for name in ("weights", "activations", "outputs")}}
ROOM = {"memories": {name: {"size": 65536} for name in ("weights", "activations", "outputs")}}

#: A value that changes something, by key, and what has to be given with it.
EFFECT: dict[str, tuple[object, dict[str, object]]] = {
    "name": ("other", {}),
    "technology.name": ("45nm", {}),
    "technology.vdd": ("0.8 V", {}),
    "technology.temperature": ("330 K", {}),
    "technology.delay_law": ("alpha_power", {"technology": {"name": "28nm", "vdd": "0.8 V"}}),
    "technology.sram_device": ("lstp", {}),
    "technology.wires.style": ("delay_optimal", {}),
    "technology.wires.device": ("lstp", {}),
    "technology.wires.projection": ("aggressive", {}),
    "clock": ("400 MHz", {}),
    "array.rows": (8, {}),
    "array.cols": (8, {}),
    "array.dataflow": ("output_stationary", {}),
    "array.weight_double_buffer": (True, {}),
    "array.fold_overlap": (True, {}),
    "array.ragged": ("used", {"array": {"rows": 5, "cols": 5}}),
    "array.scalesim_os_cycles": (True, {"array": {"rows": 4, "cols": 4, "dataflow": "output_stationary"}}),
    "pe": ({"family": "float_mac", "format": "bf16"}, {}),
    "memories.temperature": ("330 K", {}),
    "dram.preset": ("ddr3_1600", {}),
    "dram.bandwidth": ("5 GB/s", {}),
    "dram.energy": ("9 pJ/bit", {}),
    "dram.write_energy": ("9 pJ/bit", {}),
    "dram.background": ("70 mW", {}),
    "dram.access": ("random", {}),
    "dram.request": (512, STRIDED),
    "dram.stride": (128, STRIDED),
    "dram.read_share": (0.5, {}),
    "dram.address_map": ("rochrababgco", {}),
    "dram.channels": (4, {}),
    "dram.banks": (True, {}),
    "vector_unit.lanes": (8, {}),
    "vector_unit.format": ("bf16", {}),
    "vector_unit.functions": ({"exp": "table"}, {}),
    "vector_unit.softmax": ("online", {}),
    "vector_unit.softmax_block": (4, {"vector_unit": {"lanes": 4, "softmax": "fused"}}),
    "vector_unit.exp": ("rational", {}),
    "vector_unit.arithmetic": ("i_vit", {"vector_unit": {"lanes": 4, "format": "int32"}}),
    "network.topology": ("h_tree", {"network": {"topology": "bus", "rows": 2, "cols": 2}}),
    "network.rows": (4, MESH),
    "network.cols": (4, MESH),
    "network.router_energy": ("0.3 pJ/bit", MESH),
    "network.router": ("park2012", MESH),
    "cores.count": (4, SUMS),
    "cores.split": ("m", SUMS),
    "cores.multicast": (True, {"cores": {"count": 2, "split": "m"}}),
    "cores.reduce": ("network", RING),
    "cores.link_bits": (16, RING),
    "cores.network.topology": ("bus", {"cores": {"count": 4, "network": {"topology": "h_tree"}}}),
    "cores.network.rows": (1, CORE_MESH),
    "cores.network.cols": (1, CORE_MESH),
    "cores.network.router_energy": ("0.3 pJ/bit", CORE_MESH),
    "cores.network.router": ("park2012", CORE_MESH),
    "chips.count": (4, {"chips": CHIPS}),
    "chips.parallel": ("pipeline", {"chips": CHIPS}),
    "chips.link_bandwidth": ("1 GB/s", {"chips": CHIPS}),
    "chips.link_energy": ("1 pJ/bit", {"chips": CHIPS}),
    "chips.link_latency": ("40 us", {"chips": CHIPS}),
    "chips.reduce_bits": (16, {"chips": CHIPS}),
    "chips.micro_batches": (3, PIPELINE),
    "formats.weights": ("int4", {}),
    "formats.activations": ("int4", {}),
    "formats.kv_cache": ("int4", {}),
    "formats.outputs": ("int4", {}),
    "formats.weight_bits": (4.5, {}),
    "dequantize.weights": (["int8_g32"], {}),
    "dequantize.activations": (["int8_g32"], {}),
    "mapper.objective": ("latency", {}),
    "mapper.policy": ("scalesim", {}),
    "costs.leave_out": (["leakage"], {}),
    "residency.fused_attention": ("always", {}),
    "residency.weights": (True, {}),
    "residency.outputs": (True, ROOM),
    "residency.prefetch": (True, {}),
    "residency.fused_overlap": (False, {**ROOM, **FUSED}),
    "vector_unit.dequantize": (True, {"formats": {"outputs": "bf16"}}),
    "array.scratchpads.weights": (32, PADS),
    "array.scratchpads.activations": (8, PADS),
    "array.scratchpads.sums": (8, PADS),
    "array.tables": ("ahead", TABLES),
    "array.issue.pipes": ("shared", SIMD),
    "array.issue.rows": (4, SIMD),
    "array.issue.vectors": (4, SIMD),
    "array.issue.unroll": (4, SIMD),
    "array.issue.mac": (4, SIMD),
    "array.issue.load_weights": (7, SHARED),
    "array.issue.load_activations": (7, SHARED),
    "array.issue.convert_weights": (9, SIMD),
    "array.issue.convert_activations": (9, SIMD_A),
    "array.issue.prepare_activations": (9, SIMD),
    "array.issue.store": (9, SHARED),
    "array.issue.core_energy": ("5 pJ", SIMD),
    "array.issue.core_area": ("0.5 mm2", SIMD),
    "memories.levels": (LEVELS["memories"]["levels"], {"memories": {}}),
    "memories.result_level": ("shared", LEVELS),
    "mapper.exhaustive": (True, LEVELS),
    "target.device": ("u280", {"clock": 3e8}),
    "target.dsp": ("never", BOARD),
    "target.memory": ("uram", BOARD),
    "target.fill": (True, {**BOARD, **DEVICE_ROOM}),
    "target.reserve": ("20%", BOARD),
    "target.shell": ({"hbm_interface": 1}, BOARD),
    "target.grade": ("-1", {**BOARD, "clock": 7e8}),
    "target.board_bandwidth": (True, BOARD),
    "target.power": ("3 W", {**BOARD, "target": {"power": "2 W", "power_source": "measured"}}),
    "target.stages": (3, BOARD),
    "target.static_power": ("2 W", {**BOARD, "target": {"static_power": "1 W", "static_power_source": "measured"}}),
    "target.static_power_source": (
        "stated",
        {**BOARD, "target": {"static_power": "1 W", "static_power_source": "measured"}},
    ),
    "target.power_source": ("stated", {**BOARD, "target": {"power": "2 W", "power_source": "measured"}}),
}
#: Keys that say something to people alone.
WORDS = {"description"}

for _buffer, _tight in (("weights", 64), ("activations", 64), ("outputs", 64)):
    _of = f"memories.{_buffer}."
    EFFECT |= {
        f"{_of}size": (16384, {}),
        f"{_of}banks": (4, {}),
        f"{_of}port_bits": (16, {}),
        f"{_of}macro_bits": (16, {}),
        f"{_of}double_buffered": (False, {}),
        f"{_of}ports": ("1r1w", {}),
        f"{_of}ecc": ("secded", {}),
        f"{_of}figures": (PART, {}),
        f"{_of}figures.source": (None, {}),
        **{f"{_of}figures.{key}": ({**PART, key: FIGURES[key]}, {}) for key in FIGURES if key != "source"},
    }


def keys(model, prefix=""):
    """Yield the paths of all keys of a spec that hold no further ones."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *typing.get_args(field.annotation)]
        below = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Spec)]
        if below and name != "figures":
            yield from keys(below[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_key_is_here():
    listed = {key for key in EFFECT if ".figures." not in key}
    assert listed | WORDS == set(keys(ArchSpec))


def changed(base, path, value):
    first, _, rest = path.partition(".")
    below = base.get(first)
    if first == "technology" and isinstance(below, str):
        below = {"name": below}
    return {**base, first: changed(below or {}, rest, value) if rest else value}


def outcome(fields):
    """What comes out, as text: figures that nobody knows are NaN, which equals nothing."""
    try:
        simulated = simulate_arch(validate_mapping(fields, ArchSpec))
    except HwsimError as error:
        return str(error)
    result = evaluate(simulated, TRACE, "event" if fields["dram"].get("banks") else "fast")
    acc = simulated.accelerator
    cycle_ns = {key: (sram.cycle_ns, sram.access_ns) for key, sram in acc.srams.items()}
    supply = getattr(acc.technology, "supply", None)
    placed = getattr(acc, "placement", None)
    return repr((result.layer_rows, result.design_row, result.notes, cycle_ns, supply, acc.dram_bits_per_cycle, placed))


@pytest.mark.parametrize("path", [key for key in EFFECT if not key.endswith("figures.source")])
def test_every_key_changes_something(path):
    value, given = EFFECT[path]
    base = {**BASE, **given}
    where = path if ".figures." not in path else path.rpartition(".")[0]
    if ".figures." in path:
        base = changed(base, where, PART if not path.endswith("area") else {"source": "x", "read_energy": "1 pJ"})
    if path == "cores.reduce":  # the other value is the one without a link
        base = {**BASE, **SUMS}
        after = {**BASE, **RING}
    elif path.endswith("network.router"):  # instead of the energy that is given
        after = changed(base, path.replace("router", "router_energy"), None)
        after = changed(after, path, value)
    else:
        after = changed(base, where, value)
    before = outcome(base)
    assert before.startswith("(") or path == "memories.levels"  # no message: it runs
    assert outcome(after) != before


REFUSED = [
    ("cores.link_bits", 8, SUMS, "link_bits: has no effect without reduce: network"),
    ("cores.multicast", True, SUMS, "multicast: has no effect with split: k.*valid: split: m, n, auto"),
    ("cores.multicast", True, {"cores": {"count": 2, "split": "batch"}}, "multicast: has no effect with split: batch"),
    *(
        ("cores.split", split, RING, f"reduce: has no effect with split: {split}.*valid: split: k, auto")
        for split in ("m", "n", "batch")
    ),
    ("chips.reduce_bits", 16, PIPELINE, "reduce_bits: has no effect in a pipeline.*valid: parallel: tensor"),
    ("chips.micro_batches", 2, {"chips": CHIPS}, "valid: parallel: pipeline"),
    ("costs.leave_out", ["leakage", "network", "leakage"], {}, "names leakage more than once"),
    ("dram.request", 512, {}, "request: has no effect with access: sequential.*valid: access: strided, random, tiles"),
    ("dram.stride", 512, {}, "stride: has no effect with access: sequential.*valid: access: strided, tiles"),
    ("dram.read_share", 0.5, {"dram": {"preset": "ddr4_2400", "access": "peak"}}, "read_share: has no effect"),
    ("dram.address_map", "rochrababgco", {"dram": {"preset": "ddr4_2400", "access": "peak"}}, "address_map: has no"),
    ("dram.bandwidth", "5 GB/s", {"dram": {"preset": "ddr4_2400", "banks": True}}, "banks: .*bandwidth is given"),
    ("vector_unit.softmax_block", 4, {}, "softmax_block: has no effect with softmax: held.*valid: softmax: fused"),
    ("technology.delay_law", "alpha_power", {}, "delay_law: has no effect at the nominal supply"),
    ("mapper.objective", "energy", {"mapper": {"policy": "scalesim"}}, "mapper.objective: has no effect with policy"),
    *(
        (f"memories.weights.{key}", value, {"memories": {**BASE["memories"], "weights": {"size": 8192, "figures": FIGURES}}},
         f"{key}: has no effect beside figures of everything")
        for key, value in (("banks", 4), ("macro_bits", 16), ("ports", "1r1w"), ("ecc", "secded"))
    ),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "given", "said"), REFUSED)
def test_a_key_without_effect_is_refused(path, value, given, said):
    with pytest.raises(SpecError, match=f"(?s){said}"):
        validate_mapping(changed({**BASE, **given}, path, value), ArchSpec)
