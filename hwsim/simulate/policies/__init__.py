"""Mapping policies that follow a rule, each in one file: those of other simulators, for comparison with them.

A policy registers in :data:`hwsim.simulate.mapping.POLICIES`, where ``search`` is, which looks for the best mapping.
"""
