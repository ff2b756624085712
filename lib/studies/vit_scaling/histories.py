"""What the claims on the course of a training are judged by: frames of arm, epoch, train_loss, val_r2, one row per epoch."""

import numpy as np
import pandas as pd

LAST = 4  # the late part of a training: its last quarter


def of_arm(history: pd.DataFrame, *arms: str) -> pd.DataFrame:
    """Return the epochs of the first of these arms that there is; an empty frame without any."""
    there = [arm for arm in arms if (history.arm == arm).any()]
    return history[history.arm == there[0]] if there else history[:0]


def rise_from(epochs: pd.DataFrame, share: float) -> dict[str, float] | None:
    """Return what the validation R2 gains from this share of the epochs on, and that epoch; None with one epoch.

    share  of all epochs, in (0, 1);  since: the epoch counted from, 1 the first
    """
    r2 = epochs.val_r2.to_numpy()
    since = max(1, round(share * len(r2)))
    return {"value": float(r2[-1] - r2[since - 1]), "since": since, "epochs": len(r2)} if since < len(r2) else None


def smallest_step(epochs: pd.DataFrame) -> dict[str, float] | None:
    """Return the smallest step of one epoch upward in validation R2 or downward in training loss; None with one epoch."""
    if len(epochs) < 2:
        return None
    return {"value": float(min(np.diff(epochs.val_r2).min(), -np.diff(epochs.train_loss).max())), "epochs": len(epochs)}


def step_spread(history: pd.DataFrame, arm: str, other: str = "run_1") -> dict[str, float] | None:
    """Return the standard deviation of an arm's steps of validation R2, epoch to epoch, less that of another arm.

    None where either arm is missing or has fewer than three epochs.
    """
    steps = [np.diff(of_arm(history, name).val_r2) for name in (arm, other)]
    if min(map(len, steps)) < 2:
        return None
    return {"value": float(steps[0].std() - steps[1].std()), "own": float(steps[0].std()), "others": float(steps[1].std())}


def late_spread(history: pd.DataFrame, arm: str, other: str = "run_1") -> dict[str, float] | None:
    """Return the standard deviation of an arm's validation R2 over the last quarter of its epochs, less that of another arm.

    None where either arm is missing or has fewer than four epochs; of the last two where a quarter is one.
    """
    whole = [of_arm(history, name).val_r2.to_numpy() for name in (arm, other)]
    if min(map(len, whole)) < LAST:
        return None
    own, others = (float(r2[-max(2, len(r2) // LAST) :].std()) for r2 in whole)
    return {"value": own - others, "own": own, "others": others}
