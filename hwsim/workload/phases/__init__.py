"""What is run of a model beyond one prefill or one decode step, one file per phase.

A phase is a dataclass whose fields are those of :class:`~hwsim.workload.spec.WorkloadSpec` that shape it;
:meth:`Run.trace` makes its trace from the prefills and decode steps that any family offers. A row's ``repeat``
counts layers × passes, ``passes`` how often they run, and ``stage/…`` begins the names where a phase has parts.

==================  ==========================================================================
room                what it is for
==================  ==========================================================================
``growth``          few lengths that stand for a growing context, sums exact
``passes``          forward passes over sequences at any place, from a family's decode steps
``chunked``         a prompt in chunks
``generation``      a prefill and so many decode steps
``speculative``     a draft model proposes, the target verifies
``mixed``           a continuous batch: prompts and decode steps in one pass
``training``        forward, gradients and optimizer of one step
==================  ==========================================================================
"""

from hwsim.workload.phases.base import PHASES, Basic, Run
from hwsim.workload.phases.passes import Build

__all__ = ["PHASES", "Basic", "Build", "Run"]
