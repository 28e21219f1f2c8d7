"""Traces of computation graphs, whatever wrote them.

A reader walks a graph in order and tells of every tensor what :class:`~hwsim.workload.graph.tensor.Tensor`
holds: shape, which extents are repeats of one another, whether its values are known before the run.
:mod:`products` turns contractions and convolutions of such tensors into GEMMs, :mod:`collect` gathers
operations into a trace.
"""
