"""DataFrame -> Axes, one module per study; the style is `report.mplstyle`, a method keeps its colour everywhere."""
