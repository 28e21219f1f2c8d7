"""Names, units, errors: what every other wing stands on.

==================  ==========================================================================
room                what it is for
==================  ==========================================================================
``errors``          the exception tree; each class owns its exit code
``screen``          an error on one screen: wrapped, cut, counted
``registry``        one file is one member, found without editing any list
``units``           ``512 KiB``, ``25.6 GB/s``, ``0.7 pJ/bit``, at the YAML boundary only
``text``            text files, and why one cannot be read
``scalars``         what a plain YAML 1.2 scalar means
``compose``         YAML text to PyYAML's nodes; syntax mistakes in words of a person
``nodes``           YAML text to plain values, each with its place in the file
``paths``           dotted paths into plain data
``document``        files with ``base:`` and ``--set``, still knowing where every value came from
``model``           the base of every model that a file is bound to
``bind``            a document against a pydantic model; every mistake at once, at its place
``fields``          what a model holds at a place of a validation error
``wording``         what pydantic found wrong, in our words
``schema``          JSON Schema of a model, for editors
``data``            files that ship with hwsim: figures and examples
==================  ==========================================================================

Nothing is imported here: the command line needs ``errors`` at once, but pydantic and yaml late.
"""
