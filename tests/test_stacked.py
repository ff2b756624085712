"""Stacked training gives every network what it would have got alone."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lib.losses.domain import l2sp
from lib.models.opamp import MLP, DualHeadMLP, OpampNetConfig
from lib.train.stacked import StackedConfig, clip_each, fit_stacked, predict_stacked

CONFIG = OpampNetConfig(3, 2, hidden=6, layers=2, dropout=0.0, activation="silu")
FAST = StackedConfig(epochs=6, batch_size=8, lr=1e-2, patience=0)


def mse(net, batch):
    return nn.functional.mse_loss(net(batch["x"]), batch["y"])


def problem(K=3, n=40):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 3, generator=generator)
    data = {"x": x[None], "y": torch.stack([x[:, 0] * x[:, 1], x[:, 2].sin()], 1)[None]}
    nets = []
    with torch.random.fork_rng():
        for k in range(K):
            torch.manual_seed(k)
            nets.append(MLP(CONFIG))
    rows = [np.random.default_rng(k).permutation(n)[:24] for k in range(K)]
    return nets, data, rows, [np.setdiff1d(np.arange(n), r) for r in rows]


def alone(net, data, rows, config, seed):
    """Train one network with the plain loop that stacking stands for."""
    net = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), config.lr, weight_decay=config.weight_decay)
    order = torch.Generator().manual_seed(seed)
    for _ in range(config.epochs):
        for part in torch.as_tensor(rows)[torch.randperm(len(rows), generator=order)].split(config.batch_size):
            optimiser.zero_grad()
            nn.functional.mse_loss(net(data["x"][0, part]), data["y"][0, part]).backward()
            nn.utils.clip_grad_norm_(net.parameters(), config.clip)
            optimiser.step()
    return net


def test_stacked_networks_learn_what_each_learns_in_a_plain_loop():
    nets, data, rows, _ = problem()
    together = fit_stacked(nets, data, rows, mse, FAST, seeds=[5, 6, 7]).nets
    for k, net in enumerate(nets):
        single = alone(net, data, rows[k], FAST, seed=5 + k)
        torch.testing.assert_close(together[k](data["x"][0]), single(data["x"][0]), atol=1e-5, rtol=1e-4)


def test_stacked_training_leaves_its_arguments_as_they_were_and_repeats():
    nets, data, rows, val = problem()
    before = copy.deepcopy(nets[0].state_dict())
    first, second = (fit_stacked(nets, data, rows, mse, FAST, val_rows=val) for _ in range(2))
    assert all(torch.equal(v, before[k]) for k, v in nets[0].state_dict().items())
    assert torch.equal(first.nets[1](data["x"][0]), second.nets[1](data["x"][0]))
    assert first.curves.equals(second.curves)


def test_each_network_keeps_its_own_best_epoch():
    nets, data, rows, val = problem()
    config = StackedConfig(epochs=40, batch_size=8, lr=5e-2, patience=4)
    fit = fit_stacked(nets, data, rows, mse, config, val_rows=val)
    for k, net in enumerate(fit.nets):
        curve = fit.curves[fit.curves.network == k].set_index("epoch").val
        reached = nn.functional.mse_loss(net(data["x"][0, val[k]]), data["y"][0, val[k]]).item()
        assert reached == pytest.approx(curve[fit.best_epoch[k]], rel=1e-4)
        assert reached == pytest.approx(curve[: fit.best_epoch[k] + config.patience].min(), rel=1e-4)


def test_only_trainable_parameters_change():
    nets, data, rows, _ = problem()
    dual = [DualHeadMLP(CONFIG) for _ in nets]
    fit = fit_stacked(dual, data, rows, mse, FAST, trainable=lambda name: name == "head_B.bias")
    changed = {n for n, p in fit.nets[0].state_dict().items() if not torch.equal(p, dual[0].state_dict()[n])}
    assert changed == {"head_B.bias"}
    with pytest.raises(ValueError, match="no parameter is trainable"):
        fit_stacked(dual, data, rows, mse, FAST, trainable=lambda name: False)


def test_each_network_has_its_own_hyper_parameter_and_start():
    nets, data, rows, _ = problem(2)

    def held(net, batch):
        return mse(net, batch) + net.hyper["pull"] * l2sp(net.params, net.start)

    fit = fit_stacked([nets[0], nets[0]], data, [rows[0]] * 2, held, FAST, seeds=[1, 1], hyper={"pull": [0.0, 100.0]})
    away = [sum(((p - q) ** 2).sum() for p, q in zip(n.parameters(), nets[0].parameters(), strict=True)) for n in fit.nets]
    assert away[1] < 0.05 * away[0]


def test_gradients_are_clipped_for_each_network_alone():
    p = nn.Parameter(torch.zeros(2, 3))
    p.grad = torch.tensor([[3.0, 0.0, 4.0], [0.03, 0.0, 0.04]])
    clip_each({"p": p}, 1.0)
    torch.testing.assert_close(p.grad, torch.tensor([[0.6, 0.0, 0.8], [0.03, 0.0, 0.04]]), atol=1e-5, rtol=0)


def test_stacked_prediction_is_each_networks_own():
    nets, data, _, _ = problem()
    nets = [n.eval() for n in nets]
    out = predict_stacked(nets, data["x"][0])
    torch.testing.assert_close(out[2], nets[2](data["x"][0]))


def test_lists_that_disagree_in_length_are_refused():
    nets, data, rows, _ = problem()
    with pytest.raises(ValueError, match="rows has 2 entries for 3 networks"):
        fit_stacked(nets, data, rows[:2], mse, FAST)
    with pytest.raises(ValueError, match="schedule must be"):
        StackedConfig(schedule="linear")
