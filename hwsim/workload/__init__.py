"""Quantized traces of real models."""

from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.trace import Trace, read_trace, write_trace

__all__ = ["Gemm", "Op", "Trace", "VectorOp", "read_trace", "write_trace"]
