"""Small accelerators and traces for tests of whole evaluations."""

from __future__ import annotations

from hwsim.hardware.pe import pairing
from hwsim.simulate.architecture import ArchSpec, simulate_arch
from hwsim.spec.bind import validate_mapping
from hwsim.workload import Gemm, Trace, VectorOp

BASE = {
    "name": "small",
    "technology": "28nm",
    "clock": 5e8,
    "array": {"rows": 4, "cols": 4, "dataflow": "weight_stationary"},
    "pe": {"family": "int_mac", "format": "int8"},
    "memories": {"weights": {"size": 8192}, "activations": {"size": 8192}, "outputs": {"size": 8192}},
    "dram": {"preset": "ddr4_2400"},
    "vector_unit": {"lanes": 4},
}


def small(label=None, **fields):
    """Return a machine; ``label`` names the format that its PE is built for."""
    data = {**BASE, **fields}
    if label is not None:
        data["pe"] = dict(pairing(label).pe_spec)
        if data["array"]["dataflow"] == "lut_array":
            data["pe"] = {"family": "lut", "w_format": label, "a_format": "int8", "tile_m": 1, "tile_n": 1}
    return simulate_arch(validate_mapping(data, ArchSpec))


#: What some dataflows need beside rows and columns.
NEEDS = {
    "simd": {
        "issue": {
            "pipes": "separate",
            "rows": 2,
            "vectors": 2,
            "mac": 1,
            "load_weights": 1,
            "load_activations": 1,
            "convert_weights": 2,
            "convert_activations": 1,
            "store": 1,
            "core_energy": "1 pJ",
            "core_area": "0.01 mm2",
        }
    },
    "lut_array": {"tables": "between"},
    "row_stationary": {"scratchpads": {"weights": 48, "activations": 12, "sums": 4}},
}


def array(dataflow="weight_stationary", rows=4, cols=4):
    return {"rows": rows, "cols": cols, "dataflow": dataflow, **NEEDS.get(dataflow, {})}


TRACE = Trace(
    "mixed",
    (
        Gemm("one", m=9, n=10, k=33, repeat=3),
        Gemm("two", m=1, n=16, k=24, batch=2, w_source="kv"),
        Gemm("one again", m=9, n=10, k=33),
        VectorOp("norm", "rmsnorm", 9, 10, repeat=2),
        VectorOp("soft", "softmax", 9, 24, 2),
    ),
    {},
)
