"""The benchmarks: what `chainrule bench` measures, beside whichever other libraries are installed.

`import chainrule` loads nothing of this. `harness` is how everything is measured, `workloads` what is trained,
`engines` who takes part. A file for each group of figures measures it; `report` and `picture` turn what was stored
into pages.
"""
