"""Inverse design: from what an op-amp should do to sizes on the design grid.

`spec` reads what is wanted, `space` knows the grid, `surrogate` is the forward model, `search` finds designs,
`diagnose` says why a specification cannot be met, `candidates` makes starts.
"""
