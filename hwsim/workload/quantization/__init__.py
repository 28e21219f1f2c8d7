"""What a checkpoint's ``quantization_config`` says: one file per method, found by the registry.

A method reads the configuration into a :class:`Scheme`: formats of weights and activations of the modules that are
quantized, and which are not. :func:`apply_scheme` gives them to the trace of a model. Formats follow what the
method stores: where a checkpoint's tensors are known too (:mod:`hwsim.workload.checkpoints`), their bits must be equal.
"""

from hwsim.workload.quantization.base import METHODS, Parts, Scheme, Stored, plain_format, read_scheme
from hwsim.workload.quantization.trace import apply_scheme

__all__ = ["METHODS", "Parts", "Scheme", "Stored", "apply_scheme", "plain_format", "read_scheme"]
