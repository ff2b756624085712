"""What the claims of vit_scaling are judged by, and the sentences said of them, on hand-made results."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from lib.studies.vit_scaling import VitScalingConfig, arms, claims, flux_error, words
from lib.studies.vit_scaling.config import Point


class Made:
    """Points with given R2; a gain has an interval of 0.01 either way."""

    def __init__(self, *scored, **config):
        self.points = [point for point, _ in scored]
        self.r2 = {id(point): r2 for point, r2 in scored}
        self.config = SimpleNamespace(seed=42, noise_level=1.0, **config)
        self.sets = SimpleNamespace(train=SimpleNamespace(device=torch.device("cuda")))

    def chosen(self, group, **fields):
        return [p for p in self.points if p.group == group and all(getattr(p, k) == v for k, v in fields.items())]

    def documented(self):
        return max(self.points, key=lambda p: (p.protocol == "fresh", p.n_train))

    def largest(self, protocol):
        return {p.model: p for p in sorted(self.chosen("ladder", protocol=protocol), key=lambda p: p.n_train)}

    def pred(self, point):
        return self.r2[id(point)]

    def applied(self, point):
        return self.r2[id(point)] - 0.3

    def difference(self, a, b):
        return {"gain": a - b, "low": a - b - 0.01, "high": a - b + 0.01}

    def gain(self, point, other):
        return self.difference(self.pred(point), self.pred(other))

    def curves(self):
        curves = {}
        for p in self.chosen("ladder"):
            curves.setdefault((p.protocol, p.model), {})[p.n_train] = self.r2[id(p)]
        return curves, {key: {n: np.full(5, r2) for n, r2 in curve.items()} for key, curve in curves.items()}


def vit(n=100, protocol="fixed", *, group="ladder", arm="run_1", level=1.0, **settings):
    return Point("vit", protocol, n, 42, level, 8, SimpleNamespace(**settings), group, arm)


def arm(name, **settings):
    return vit(group="ablation", arm=name, **settings)


def test_a_gain_per_doubling_is_asked_of_the_largest_sizes_and_only_at_the_documents_scale():
    ladder = [(vit(n, "fresh"), r2) for n, r2 in ((1_000, 0.2), (250_000, 0.60), (1_000_000, 0.64))]
    found = claims.doubling_gain(Made(*ladder))
    assert (found["value"], found["before"], found["n"]) == (pytest.approx(0.02), 250_000, 1_000_000)
    assert found["high"] == pytest.approx(0.025)
    assert claims.doubling_gain(Made(*ladder[:2])) is None
    assert claims.doubling_gain(Made(ladder[2])) is None


def test_fresh_noise_is_worth_the_stars_that_reach_its_r2():
    fixed = [(vit(n), r2) for n, r2 in ((100, 0.2), (400, 0.6))]
    found = claims.equivalent_stars(Made(*fixed, (vit(100, "fresh"), 0.4)))
    assert (found["value"], found["n"], found["epochs"]) == (pytest.approx(2), 100, 8)
    assert claims.equivalent_stars(Made(*fixed, (vit(100, "fresh"), 0.7))) is None  # the curve does not reach it
    assert claims.equivalent_stars(Made(*fixed)) is None


def test_the_smallest_size_compares_the_two_models_there():
    trees = [Point("lightgbm", "fixed", n, 42, 1.0) for n in (100, 400)]
    scores = ((vit(100), 0.1), (vit(400), 0.6), (trees[0], 0.3), (trees[1], 0.5))
    found = claims.smallest_gain(Made(*scores, sizes=[100, 400]))
    assert (found["n"], found["value"]) == (100, pytest.approx(-0.2))


def test_training_without_noise_is_compared_with_the_same_training_with_noise():
    blind, seeing = vit(level=0.0, group="noise"), vit(group="ablation")
    found = claims.noise_training_gain(Made((blind, 0.9), (seeing, 0.4), (vit(200), 0.7)))
    assert (found["value"], found["n"]) == (pytest.approx(0.4 - 0.6), 100)
    assert claims.noise_training_gain(Made((blind, 0.9), (vit(200), 0.7))) is None
    assert claims.noise_training_gain(Made((seeing, 0.4))) is None


def test_a_pooling_is_set_against_cls_whichever_of_them_run_1_has():
    by_cls = Made((arm("run_1", pooling="cls"), 0.5), (arm("pooling_mean", pooling="mean"), 0.6))
    by_mean = Made((arm("run_1", pooling="mean"), 0.6), (arm("pooling_cls", pooling="cls"), 0.5))
    for made in (by_cls, by_mean):
        assert arms.pooling_gain(made, "mean")["value"] == pytest.approx(0.1)
        assert arms.pooling_gain(made, "attention") is None
    assert arms.pooling_gain(Made((arm("run_1", pooling="mean"), 0.6)), "mean") is None


def test_a_normalisation_has_its_loss_only_where_both_gains_say_so():
    scores = {"run_1": 0.5, "norm_minmax": 0.4, "minmax_l1": 0.45, "loss_l1": 0.47}
    made = Made(*((arm(name), r2) for name, r2 in scores.items()))
    assert arms.suited_losses(made)["value"] == pytest.approx(-0.02)
    assert arms.suited_losses(Made((arm("run_1"), 0.5))) is None
    best = arms.best_gain(made, "norm_minmax", "loss_l1", "clip_off")
    assert (best["arm"], best["value"]) == ("loss_l1", pytest.approx(-0.03))


def test_mixed_precision_is_the_documents_kind_where_it_was_run():
    points = {name: arm(f"precision_{name}") for name in ("fp32", "bf16", "fp16")}
    made = Made(*((p, 0.5) for p in points.values()))
    made.found = {id(p): [{"peak_mib": mib}] for p, mib in zip(points.values(), (100, 40, 60), strict=True)}
    assert arms.precision_ratio(made, "peak_mib") == {"value": 0.6, "kind": "FP16"}
    made.points.remove(points["fp16"])
    assert arms.precision_ratio(made, "peak_mib") == {"value": 0.4, "kind": "bf16"}
    made.sets.train.device = torch.device("cpu")
    assert arms.precision_ratio(made, "peak_mib") is None


def test_sigma_is_asked_about_flux_only_where_it_is_a_stars_own(monkeypatch):
    flux = torch.rand(4, 50, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(flux_error, "observe", lambda *_: SimpleNamespace(flux=flux, sigma=flux.sqrt()))
    sets, config = SimpleNamespace(grid=object(), test=None), SimpleNamespace(error_source="clean")
    results = SimpleNamespace(sets=sets, config=config, truth=np.zeros(4))
    assert flux_error.with_flux(results)["value"] == pytest.approx(1)
    config.error_source = "reference"
    assert flux_error.with_flux(results) is None


def test_the_scope_names_what_differs_from_the_document():
    config = VitScalingConfig(pooling="mean", dropout=0.1, patch_size=16, hidden_size=256, num_layers=6, num_heads=8)
    said = words.scope(config, np.linspace(8412.4, 8850, 1024))["en"]
    assert "1,024 pixels of 8412 to 8850" in said
    assert "differs from the document's in `pooling` mean (document cls)." in said
    assert "differs" not in words.scope(config.model_copy(update={"pooling": "cls"}), np.linspace(7100, 8850, 4096))["en"]


@pytest.mark.parametrize(("raw", "judged"), [(0.53, "over-confident"), (0.8, "under-confident")])
def test_coverage_is_said_from_the_number(raw, judged):
    table = pd.DataFrame({"nominal": [0.5, words.NOMINAL], "raw": [0.4, raw], "rescaled": [0.5, 0.7]})
    assert judged in words.calibrated(table)["en"]
    assert words.calibrated(table[:0]) == {"zh": "", "en": ""}


def test_noise_and_cells_are_said_from_their_ends():
    noise = pd.DataFrame({"noise_level": [2.0, 0.0], "r2": [0.02, 0.99]})
    assert "level 0 to 2, R² goes from 0.990 to 0.020" in words.noisier(noise)["en"]
    assert words.noisier(noise[:1])["en"] == ""
    cells = pd.DataFrame({"t_eff": [4000.0, 6000.0], "m_h": [-1.0, 0.0], "r2": [0.3, 0.7]})
    assert "0.70, is at T_eff around 6000 K" in words.uneven(cells)["en"]
    assert words.uneven(cells[:1])["en"] == ""
