"""The ladder: one training step from pure Python down to CUDA, and chainrule itself; `chainrule ladder` climbs it.

Each rung is a short file that trains the same small network on the same rows in the same order; `problem` has the
formulas, and what a rung is given. `rungs` lists the rungs, `agreement` proves step by step that they compute the same,
`command` lets them take turns, `table` and `picture` show what came of it. docs/ladder.md says what each rung buys.

The rungs are to be read, not built upon: they are no part of the engine, which stands in csrc/ and knows nothing of
them. `import chainrule` loads nothing of this. The ladder of benchmarks/ladder is another one: it goes from the
definition of a matrix product to the kernel that the engine has.
"""
