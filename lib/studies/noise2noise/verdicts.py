"""The measured side of every claim: a value with its interval, or the reason why this run cannot judge it."""

from dataclasses import dataclass

import numpy as np

from lib.metrics import t_interval

SEEDS_NEEDED = 3  # fewer seeds cannot tell a better configuration from a lucky one


@dataclass(frozen=True)
class Measured:
    """A value with a 95% interval (None: a single run has none), or why there is no value, in both languages."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    why: tuple[str, str] | None = None  # zh, en

    def numbers(self):
        """Return value, low and high as keyword arguments of a claim."""
        return {"value": self.value, "low": self.low, "high": self.high}


def _missing(names):
    said = ", ".join(names)
    return Measured(why=(f"本次运行不含 {said}。", f"Not part of this run: {said}."))


def _too_short(epochs):
    return Measured(why=(f"本次运行只训练了 {epochs} 轮。", f"This run trains for {epochs} epochs only."))


def _interval(values):
    mean, low, high = t_interval(values)
    return Measured(mean) if np.isnan(low) else Measured(mean, low, high)


def _cells(scored, name, column, path, sweep, at):
    """Return the values of a configuration per (seed, slice), averaged over the two domains; empty where it did not run."""
    rows = scored[(scored.sweep == sweep) & (scored.config == name) & (scored.path == path)]
    if at is not None:
        rows = rows[np.isclose(rows.value, at)]
    return rows.groupby(["seed", "slice"])[column].mean()


def arm(scored, name, column, *, path="cross", sweep="main", at=None):
    """Return the mean of a score of one configuration; interval over seeds where there are three, else over slices."""
    cells = _cells(scored, name, column, path, sweep, at)
    if cells.empty:
        return _missing([name if at is None else f"{name} ({sweep} = {at})"])
    by_seed = cells.groupby("seed").mean()
    return _interval(by_seed if len(by_seed) >= SEEDS_NEEDED else cells.groupby("slice").mean())


def gain(scored, name, *, sweep="main", at=None):
    """Return the PSNR of the cross output over that of the noisy image, in dB."""
    return arm(scored.assign(gain_db=scored.psnr_db - scored.noisy_psnr_db), name, "gain_db", sweep=sweep, at=at)


def gap(scored, one, other, column, *, path="cross"):
    """Return score(one) - score(other), paired by seed; one and other: (name,) or (name, sweep, value)."""
    cells = [_cells(scored, arm[0], column, path, *(arm[1:] or ("main", None))) for arm in (one, other)]
    absent = [_name(arm) for arm, found in zip((one, other), cells, strict=True) if found.empty]
    if absent:
        return _missing(absent)
    return _over_seeds(*(found.groupby("seed").mean() for found in cells))


def setting(name, sweep):
    """Return a function value -> (name, sweep, value): one point of a sweep, as `gap` takes it."""
    return lambda value: (name, sweep, value)


def _name(arm):
    return arm[0] if len(arm) == 1 else f"{arm[0]} ({arm[1]} = {arm[2]})"


def _over_seeds(one, other):
    difference = (one - other).dropna()
    if len(difference) < SEEDS_NEEDED:
        return Measured(
            why=(
                f"只有 {len(difference)} 个随机种子；比较两个配置至少需要 {SEEDS_NEEDED} 个。",
                f"Only {len(difference)} seed(s); comparing two configurations takes at least {SEEDS_NEEDED}.",
            )
        )
    return _interval(difference)


def cost_gap(costs, one, other, column):
    """Return cost(one) - cost(other) over the seeds, a column of `study.costs`; one and other as in `gap`."""
    arms = (one, other)
    found = [_costs(costs, *(arm if len(arm) == 3 else (*arm, "main", None)))[column] for arm in arms]
    absent = [_name(arm) for arm, values in zip(arms, found, strict=True) if values.empty]
    if absent:
        return _missing(absent)
    never = [_name(arm) for arm, values in zip(arms, found, strict=True) if values.isna().all()]
    if never:
        said = ", ".join(never)
        return Measured(
            why=(f"{said} 在本次运行中始终没有达到这个阈值。", f"{said} never gets below that threshold in this run.")
        )
    return _over_seeds(*found)


def _costs(costs, name, sweep, at):
    rows = costs[(costs.sweep == sweep) & (costs.config == name)]
    return (rows if at is None else rows[np.isclose(rows.value, at)]).set_index("seed")


def cost(costs, name, column):
    """Return a cost of one main configuration, a column of `study.costs`; interval over seeds."""
    rows = costs[(costs.sweep == "main") & (costs.config == name)]
    return _interval(rows[column]) if len(rows) else _missing([name])


def best_gap(scored, one, others, column):
    """Return score(one) minus the better of `others` per seed: a plan that trains several and keeps the best."""
    cells = {name: _cells(scored, name, column, "cross", "main", None).groupby("seed").mean() for name in (one, *others)}
    absent = [name for name, found in cells.items() if found.empty]
    if absent:
        return _missing(absent)
    best = cells[others[0]]
    for name in others[1:]:
        best = np.maximum(best, cells[name])
    return _over_seeds(cells[one], best)


def at_epoch(histories, name, column, epoch):
    """Return a loss of a main configuration after an epoch (-1: the last); interval over seeds."""
    rows = histories[(histories.sweep == "main") & (histories.config == name)]
    if rows.empty:
        return _missing([name])
    last = int(rows.epoch.max())
    if epoch > last:
        return _too_short(last)
    return _interval(rows[rows.epoch == (last if epoch < 0 else epoch)].groupby("seed")[column].mean())


def after_first_stage(trained, histories, name, column):
    """Return a loss of a staged configuration at the end of its first stage; interval over seeds."""
    points = trained[(trained.sweep == "main") & (trained.config == name)].point
    return at_epoch(histories, name, column, points.iloc[0].recipe.stages[0].epochs) if len(points) else _missing([name])


def one_setting(name, one, other):
    """Return why the effect of a parameter is not judged: a run has one value of it, and this is how to compare two."""
    return Measured(
        why=(
            f"一次运行只用一个 `{name}`。可分别用 `-p {name} {one}` 和 `-p {name} {other}` 各跑一次，再用 `python -m lib.render compare` 并排比较。",
            f"A run has one `{name}`. Run with `-p {name} {one}` and with `-p {name} {other}`, and set both side by side with `python -m lib.render compare`.",
        )
    )


def epoch_gap(histories, one, other, column, epoch):
    """Return loss(one) - loss(other) after an epoch, paired by seed."""
    main = histories[histories.sweep == "main"]
    absent = [name for name in (one, other) if name not in set(main.config)]
    if absent:
        return _missing(absent)
    losses = [_losses(main, name, column, epoch) for name in (one, other)]
    return _too_short(int(main.epoch.max())) if losses[0].empty or losses[1].empty else _over_seeds(*losses)


def early_fall(histories, name, floor, epoch=5):
    """Return what is left, after some epochs, of the first epoch's excess of the cross loss over its noise floor."""
    short = at_epoch(histories, name, "train_cross", epoch)
    if short.why:
        return short
    first, later = (_losses(histories, name, "train_cross", e) - floor for e in (1, epoch))
    return _interval(later / first)


def first_stage_fall(trained, histories, name, column):
    """Return a loss at the end of a staged configuration's first stage over that of its first epoch; interval over seeds."""
    absent = after_first_stage(trained, histories, name, column)
    if absent.why:
        return absent
    points = trained[(trained.sweep == "main") & (trained.config == name)].point
    last = points.iloc[0].recipe.stages[0].epochs
    return _interval(_losses(histories, name, column, last) / _losses(histories, name, column, 1))


def kept_latent(histories, name):
    """Return the latent's standard deviation at the end over its largest: near zero it has collapsed; interval over seeds."""
    rows = histories[(histories.sweep == "main") & (histories.config == name)]
    if rows.empty:
        return _missing([name])
    return _interval(rows.groupby("seed").val_latent_std.agg(lambda std: std.iloc[-1] / std.max()))


def _losses(histories, name, column, epoch):
    rows = histories[(histories.sweep == "main") & (histories.config == name) & (histories.epoch == epoch)]
    return rows.set_index("seed")[column]


def offset(measured, by):
    """Return the value and its interval less `by`."""
    return _mapped(measured, lambda v: v - by)


def over(measured, by):
    """Return the value and its interval over `by` > 0."""
    return _mapped(measured, lambda v: v / by)


def _mapped(measured, change):
    if measured.why:
        return measured
    return Measured(*(None if v is None else change(v) for v in (measured.value, measured.low, measured.high)))


def floor_gap(floors, name):
    """Return held-out cross loss minus noise floor of a configuration, from `study.floor_test`."""
    rows = floors[floors.config == name]
    return _missing([name]) if rows.empty else Measured(*rows.iloc[0][["difference", "low", "high"]].astype(float))


def passes_best(histories):
    """Return the configuration whose cross loss ends lowest: the one that the document's milestones would choose."""
    main = histories[histories.sweep == "main"]
    last = main[main.epoch == main.groupby("config").epoch.transform("max")]
    return last.groupby("config").train_cross.mean().idxmin()


def said(measured, spec="z.2f"):
    """Return the value as text for a sentence, written by `spec`; a dash where there is none."""
    return "—" if measured.why else f"{measured.value:{spec}}"
