"""Classes of synthesised units; one file per family. Widths of paths are in full-adder delays (see ``unit``)."""
