"""From one evaluation to a design space: what varies, what becomes of each point, which are best.

==================  ==========================================================================
room                what it is for
==================  ==========================================================================
``metrics``         the figures that a sweep can aim at, and which way each is better
``values``          quantities with units, and the short forms of an axis
``labels``          short names of values, designs and workloads
``variables``       fields of an architecture as the variables of an expression
``grammar``         what an expression may hold, and what each part of it means
``constraints``     conditions such as ``area_mm2 <= 12``, read from text
``space``           every combination of the axes, numbered the same way every time
``sweep_file``      the sweep file as a model
``spec``            a sweep file with its architecture, both checked
``outcome``         what became of a point: its metrics, or the reason why it has none
``worker``          one worker process
``executors``       where points are evaluated: in this process, or in several
``evaluation``      a point on the simulator: what a sweep's executor calls
``identity``        what makes two evaluations the same: the key of a stored result
``database``        a SQLite file, written all or none, its errors in plain words
``store``           results on disk, by key
``merge``           one store from several, or why they contradict each other
``search``          which points to evaluate, and in which order; one file per method
``result``          the design table, judged by the constraints
``pareto``          fronts, hypervolume, knee
``sweep``           ``run_sweep``: all of the above for one sweep
``compare``         number formats side by side on one architecture
``api``             what ``import hwsim`` offers
==================  ==========================================================================

Nothing is imported here: a command line that needs one room does not pay for the others.
"""
