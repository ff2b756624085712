"""What each ingredient is worth: loss weights, clipping, L2-SP, scalers, the logarithm, labels; and the stages' curves."""

import pandas as pd

from lib.progress import Progress
from lib.steps.opamp import ablations as steps
from lib.steps.opamp.stages import ORDER, run_opamp_stages
from lib.studies.opamp_transfer.data import Lab

NO_CLIP = steps.NO_CLIP
NETWORKS = ("folds", "compact", "weights")  # what fits of compact networks read


def sweep(lab: Lab) -> pd.DataFrame:
    """Sweep the weights of CORAL and of the R2 loss, one at a time, and train once without clipping; one inner fold validates.

    Returns parameter, value, seed; on the inner fold nll (nats per value), r2 (mean over outputs, scaled), rise (the loss's
    largest between two evaluations, 0 where it only falls).
    """
    c, spec = lab.config, lab.spec.only(*NETWORKS)
    return lab.table(steps.sweep_opamp_losses, steps.SweepSpec(spec, tuple(c.lambda_grid), tuple(c.alpha_grid), c.seed))


def held_back(lab: Lab) -> pd.DataFrame:
    """Fine-tune the two-headed network with the weight of L2-SP and without: l2sp, seed, metric, scores."""
    return lab.table(steps.sweep_opamp_l2sp, lab.spec.only(*NETWORKS))


def scalers(lab: Lab) -> pd.DataFrame:
    """Compare outputs scaled on the source alone with outputs scaled on each process; nothing else differs.

    Returns scaling, method (source unchanged, fine-tuned), seed, metric and scores; `offset` is the largest mean of a
    scaled target output: the shift that a model is shown.
    """
    return lab.table(steps.sweep_opamp_scalers, lab.spec.only("folds", "compact"))


def logarithm(lab: Lab) -> pd.DataFrame:
    """Compare the target-only network with log1p of the heavy-tailed outputs, without it, and with nothing standardised.

    Returns scale (log1p, linear, unscaled: inputs and outputs as they are, log1p kept), seed, metric and scores.
    """
    return lab.table(steps.sweep_opamp_logarithm, lab.spec.only("folds", "compact"))


def budgets(lab: Lab) -> pd.DataFrame:
    """Score methods that learn from the first n of each split's training rows: labels, method, domain, seed, metric, scores.

    Budgets larger than the training rows are left out; where all are, half of the rows is the one budget.
    """
    out, spec = [], lab.spec.only(*NETWORKS, "gp")
    rows = min(map(len, steps.training(lab)))
    sizes = [n for n in lab.config.budgets if n <= rows] or [rows // 2]
    with Progress("label budgets", len(sizes)) as bar:
        for n in sizes:
            out.append(lab.table(steps.sweep_opamp_budget, steps.BudgetSpec(spec, n, spec.seed)))
            bar.advance(note=f"{n} labels")
    return pd.concat(out, ignore_index=True)


def curves(lab: Lab) -> pd.DataFrame:
    """Run the stages of the two-headed network and return their curves: stage, network, epoch, train, val."""
    folder = lab.folder(run_opamp_stages, lab.spec.only(*NETWORKS))
    return pd.concat([pd.read_csv(folder / stage / "curve.csv") for stage in ORDER], ignore_index=True)
