"""A training step: gradients of each operation, recipes of formats per GEMM, optimizers.

==================  ==========================================================================
room                what it is for
==================  ==========================================================================
``backward``        the gradients of GEMMs and vector operations
``recipe``          formats of the three GEMMs of a layer, and what prepares their operands
``optimizer``       what an update reads, writes, computes and stores
==================  ==========================================================================
"""
