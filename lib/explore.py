"""One viewer for the last section of a notebook: controls in a live JupyterLab, one static figure everywhere else."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from lib.report.display import encoded, figure_of, png


def explore(draw: Callable[..., Any], **choices: Sequence[Any]) -> None:
    """Show `draw(**chosen)` with a control per keyword; ValueError where a control has nothing to choose.

    A person in JupyterLab gets drop-down lists, or sliders for numbers (extra `explore`). A batch run (papermill, nbval,
    nbconvert) and a kernel without ipywidgets get the figure of the first choices. A page leaves cells tagged `explore` out.
    """
    empty = [name for name, values in choices.items() if not len(values)]
    if empty:
        raise ValueError(f"Nothing to choose for {empty}: give each control one value or more.")
    if is_live() and find_spec("ipywidgets") is not None:
        _controls(draw, choices)
    else:
        _show(draw(**{name: values[0] for name, values in choices.items()}))


def is_live() -> bool:
    """Tell whether a person's notebook asked for this cell: JupyterLab names the cell in its request, a batch run does not."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is not None and "cellId" in (kernel.get_parent("shell") or {}).get("metadata", {})


def _controls(draw: Callable[..., Any], choices: dict[str, Sequence[Any]]) -> None:
    import ipywidgets

    def control(name: str, values: Sequence[Any]) -> Any:
        numbers = all(isinstance(v, int | float) for v in values)
        kind = ipywidgets.SelectionSlider if numbers and len(values) > 1 else ipywidgets.Dropdown
        return kind(options=list(values), description=name.replace("_", " "))

    chosen = {name: control(name, values) for name, values in choices.items()}
    shown = ipywidgets.interactive_output(lambda **values: _show(draw(**values)), chosen)
    from IPython.display import display

    display(ipywidgets.VBox([*chosen.values(), shown]))


def _show(drawn: Any) -> None:
    import matplotlib.pyplot as plt
    from IPython.display import display

    figure = figure_of(drawn)
    display({"image/png": encoded(png(figure)), "text/plain": "figure"}, raw=True)
    plt.close(figure)
