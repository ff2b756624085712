"""Networks, features and Gaussian processes of the op-amp study."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

from lib.data.opamp_features import physics_features
from lib.models.gp import GaussianProcess, GPConfig, negative_log_likelihood
from lib.models.opamp import MLP, AlignHeteroMLP, DualHeadMLP, OpampNetConfig, ResonantHead, start_from

CONFIG = OpampNetConfig(in_dim=4, out_dim=3, hidden=8, layers=2, dropout=0.1)


def x(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_default_sizes_are_the_documents():
    config = OpampNetConfig(7, 5)
    assert (config.hidden, config.layers, config.dropout) == (512, 6, 0.1)


def test_networks_return_what_they_promise():
    mu, logvar, features = AlignHeteroMLP(CONFIG)(x(5, 4))
    assert mu.shape == logvar.shape == (5, 3)
    assert features.shape == (5, 8)
    assert MLP(CONFIG)(x(5, 4)).shape == (5, 3)


def test_dual_head_uses_the_head_it_is_told_to():
    model = DualHeadMLP(CONFIG).eval()
    with torch.no_grad():
        model.head_B.bias += 1
        model.head_B.weight.copy_(model.head_A.weight)
        gap = model(x(5, 4), domain="B") - model(x(5, 4), domain="A")
    torch.testing.assert_close(gap, (model.head_B.bias - model.head_A.bias).expand(5, 3))
    with pytest.raises(ValueError, match="'A' or 'B', not 'C'"):
        model(x(5, 4), domain="C")


@pytest.mark.parametrize("kind", [MLP, AlignHeteroMLP, DualHeadMLP])
def test_a_loaded_backbone_predicts_what_the_baseline_predicts(kind):
    trained = MLP(CONFIG).eval()
    model = start_from(kind(CONFIG), trained).eval()
    out = model(x(5, 4))
    torch.testing.assert_close(out[0] if isinstance(out, tuple) else out, trained(x(5, 4)))


def test_a_backbone_of_another_size_is_refused_by_name():
    other = MLP(OpampNetConfig(4, 3, hidden=16, layers=2))
    with pytest.raises(ValueError, match="has hidden 16, the model 8"):
        start_from(MLP(CONFIG), other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dropout": 1.0}, "dropout"),
        ({"activation": "tanh"}, "activation"),
        ({"resonant": 3}, "resonant"),
        ({"layers": 0}, "layers"),
    ],
)
def test_contradictory_sizes_are_rejected_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        OpampNetConfig(**(vars(CONFIG) | change))


def test_resonant_head_peaks_where_its_signed_gain_crosses_zero():
    head = ResonantHead(OpampNetConfig(1, 2, hidden=1, layers=1, resonant=1))
    with torch.no_grad():
        head.linear.weight.fill_(1.0)
        head.linear.bias.zero_()
    s = torch.linspace(-2, 2, 41)[:, None]
    out = head(s).detach()
    torch.testing.assert_close(out[:, 0], s[:, 0])
    assert out[:, 1].argmax() == 20
    torch.testing.assert_close(out[:, 1], out.flip(0)[:, 1])


def designs():
    return pd.DataFrame({"w1": [10.0, 2.0], "l1": [1.0, 0.5], "w2": [4.0, 8.0], "ibias": [1e-5, 2e-5], "offset": [-1.0, 0.0]})


def test_physics_features_use_the_columns_that_exist():
    out = physics_features(designs(), plain=("offset",))
    np.testing.assert_allclose(out.ln_drive1, np.log([1e-5 * 1 / 10, 2e-5 * 0.5 / 2]))
    np.testing.assert_allclose(out.sqrt_drive1**2 * 10, [1e-5, 2e-5 * 0.5 / 2 * 10])
    assert "ln_drive2" not in out  # no l2: not a device
    assert list(out.offset) == [-1.0, 0.0]


def test_physics_features_name_a_column_whose_logarithm_does_not_exist():
    with pytest.raises(ValueError, match="Column 'offset' holds -1"):
        physics_features(designs())


def gp_data(n=40):
    inputs = x(1, n, 2).double()
    y = torch.sin(2 * inputs[..., 0]) + 0.3 * inputs[..., 1] + 0.05 * x(1, n, seed=3).double()
    return inputs, (y - y.mean()) / y.std()


def test_gaussian_process_agrees_with_scikit_learn_at_equal_hyper_parameters():
    inputs, y = gp_data()
    gp = GaussianProcess.fit(inputs, y, GPConfig(steps=30, rows=40))
    value = {k: v[0].exp().numpy() for k, v in gp.theta.items()}
    kernel = ConstantKernel(value["ln_a"] ** 2) * RBF(value["ln_l"])
    kernel += ConstantKernel(value["ln_b"] ** 2 / 2) * DotProduct(1e-9, "fixed") + WhiteKernel(value["ln_s"] ** 2 + 1e-6)
    other = GaussianProcessRegressor(kernel, optimizer=None, alpha=0).fit(inputs[0].numpy(), y[0].numpy())
    new = x(7, 2, seed=9).double()
    mean, sd = other.predict(new.numpy(), return_std=True)
    ours = gp.predict(new[None])
    np.testing.assert_allclose(ours[0][0], mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ours[1][0], sd, rtol=1e-5)
    np.testing.assert_allclose(
        -40 * negative_log_likelihood(gp.theta, inputs, y)[0], other.log_marginal_likelihood_value_, rtol=1e-8
    )


def test_leave_one_out_is_what_a_refit_without_the_row_predicts():
    inputs, y = gp_data(25)
    gp = GaussianProcess.fit(inputs, y, GPConfig(steps=20, rows=25))
    mean, sd = gp.leave_one_out(y)
    rest = [i for i in range(25) if i != 6]
    without = GaussianProcess(gp.theta, inputs[:, rest], y[:, rest]).predict(inputs[:, [6]])
    torch.testing.assert_close(mean[0, 6], without[0][0, 0])
    torch.testing.assert_close(sd[0, 6], without[1][0, 0])


def test_a_stored_process_predicts_the_same():
    inputs, y = gp_data()
    gp = GaussianProcess.fit(inputs, y, GPConfig(steps=5))
    again = GaussianProcess.load(gp.state())
    assert torch.equal(gp.predict(inputs)[0], again.predict(inputs)[0])
