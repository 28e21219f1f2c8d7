"""Classes of synthesised units; one file per family. Paths are in levels (see ``unit``)."""
