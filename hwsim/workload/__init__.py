"""Workloads: quantized traces of real models.

:func:`load_workload` turns a model name, a Hugging Face ``config.json``, a trace CSV or a workload
YAML into a :class:`Trace` of :class:`Gemm` and :class:`VectorOp`; :func:`apply_policy` gives every
operand a number format.
"""

from hwsim.workload.footprint import memory_bits, memory_footprint
from hwsim.workload.importers.csv import read_trace, write_trace
from hwsim.workload.loading import load_workload
from hwsim.workload.models import FAMILIES
from hwsim.workload.ops import Gemm, Op, VectorOp, vector_op_names
from hwsim.workload.phase import Phase, decode, prefill
from hwsim.workload.policy import Override, Policy, apply_overrides, apply_policy, policy_names
from hwsim.workload.spec import WorkloadSpec
from hwsim.workload.summary import layer_table, summarize
from hwsim.workload.trace import Trace, check_conserved
from hwsim.workload.zoo import find_model, model_config, model_names

__all__ = [
    "FAMILIES",
    "Gemm",
    "Op",
    "Override",
    "Phase",
    "Policy",
    "Trace",
    "VectorOp",
    "WorkloadSpec",
    "apply_overrides",
    "apply_policy",
    "check_conserved",
    "decode",
    "find_model",
    "layer_table",
    "load_workload",
    "memory_bits",
    "memory_footprint",
    "model_config",
    "model_names",
    "policy_names",
    "prefill",
    "read_trace",
    "summarize",
    "vector_op_names",
    "write_trace",
]
