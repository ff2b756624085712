"""The LTE synthesizer against textbooks, SciPy, a MARCS model and SME."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import wofz

from tools.synthesis import bands, build, molecules
from tools.synthesis.atmosphere import build_atmosphere
from tools.synthesis.chemistry import K_BOLTZMANN, K_EV, ln_partition, ln_saha, log_abundances, solve_gas
from tools.synthesis.lines import embedded_lines
from tools.synthesis.spectrum import fine_ln_wave, line_flux, observe, pixel_wave, stars_at_once, synthesize
from tools.synthesis.transfer import emergent_flux
from tools.synthesis.voigt import voigt

SUN = (5777.0, 4.44, 0.0, 0.0, 0.0)
# MARCS solar model (Gustafsson et al. 2008), every tenth layer: T, P_gas, P_e, log P of H2, CO, CN, TiO; log tau_5000.
MARCS_SUN = """
4504.9 3.3817e3 2.6833e-1 -0.11 -0.86 -4.67 -10.35 -3.0049
5088.6 4.0385e4 3.4525    1.44 -0.11 -3.49 nan    -1.0711
6235.2 1.1865e5 4.0062e1  1.50 -1.22 -3.98 nan    -0.1071
8620.2 1.6628e5 1.9943e3  0.69 -3.67 -5.63 nan    0.8301
"""


def labels(*rows):
    return torch.tensor(rows or (SUN,), dtype=torch.float64)


@pytest.mark.parametrize(
    ("element", "temperature", "electron_pressure", "ratio"),
    [(1, 5777.0, 15.0, 7.70e-5), (20, 5777.0, 15.0, 918.0), (1, 9600.0, 200.0, 1.05)],
)
def test_saha_ionisation_equals_textbook_values(element, temperature, electron_pressure, ratio):
    """Carroll & Ostlie 2007, examples 8.1.4 and 8.1.5 (1 N/m2 = 10 dyn/cm2)."""
    t = torch.tensor(temperature, dtype=torch.float64)
    electrons = electron_pressure / (K_BOLTZMANN * t)
    assert (ln_saha(element, 1, t).exp() / electrons).item() == pytest.approx(ratio, rel=0.05)


def test_partition_functions_equal_textbook_values():
    """Carroll & Ostlie 2007: Z of Ca I 1.32, Ca II 2.30 in the Sun; hydrogen 2."""
    t = torch.tensor(5777.0, dtype=torch.float64)
    for element, ion, value in ((20, 0, 1.32), (20, 1, 2.30), (1, 0, 2.0)):
        assert ln_partition(element, ion, t).exp().item() == pytest.approx(value, rel=0.03)


def test_partition_function_of_an_unknown_stage_is_refused():
    with pytest.raises(ValueError, match="no partition function"):
        ln_partition(26, 7, torch.tensor(5000.0))


def test_voigt_equals_the_faddeeva_function():
    a = torch.logspace(-4.9, 1.9, 120)[:, None]
    u = torch.linspace(-150, 150, 1501)[None]
    exact = wofz(u.numpy() + 1j * a.numpy()).real
    assert np.abs(voigt(a, u).numpy() / exact - 1).max() < 2e-3


def test_gas_has_the_electrons_and_molecules_of_a_marcs_model():
    table = np.array([[float(x) for x in line.split()] for line in MARCS_SUN.split("\n") if line])
    t, p = torch.tensor(table[:, :2].T.copy())[:, None]
    gas = solve_gas(t, p, log_abundances(labels()))
    pressure = lambda n: (n[0] * K_BOLTZMANN * t[0]).numpy()  # noqa: E731
    np.testing.assert_allclose(pressure(gas.electrons), table[:, 2], rtol=0.03)
    for column, name in enumerate(("H2", "CO", "CN", "TiO"), start=3):
        known = np.isfinite(table[:, column])
        np.testing.assert_allclose(np.log10(pressure(gas.molecules[name]))[known], table[known, column], atol=0.12)


def test_elements_and_charge_are_conserved():
    gas = solve_gas(torch.full((1, 1), 3500.0).double(), torch.full((1, 1), 1e4).double(), log_abundances(labels()))
    titanium = sum(gas.density(22, i) for i in range(3)) + gas.molecules["TiO"] + gas.molecules["TiO2"]
    torch.testing.assert_close(titanium, gas.hydrogen * gas.ln_abundance[:, 22:23].exp(), rtol=1e-6, atol=0)
    ions = sum(ion * n for (_, ion), n in gas.atoms.items())
    torch.testing.assert_close(ions, gas.electrons, rtol=1e-6, atol=0)


def test_pressure_of_the_solar_atmosphere_is_that_of_marcs():
    atmosphere = build_atmosphere(labels())
    table = np.array([[float(x) for x in line.split()] for line in MARCS_SUN.split("\n") if line])
    pressure = np.interp(table[:, -1], np.log10(atmosphere.tau.numpy()), atmosphere.pressure[0].log().numpy())
    np.testing.assert_allclose(np.exp(pressure), table[:, 1], rtol=0.05)


def test_flux_of_a_linear_source_function_is_the_eddington_barbier_value():
    tau = torch.logspace(-6, 2, 400, dtype=torch.float64)
    absorption = torch.ones(400, 1, dtype=torch.float64) * 2.0  # twice the reference: tau_wave = 2 tau
    flux = emergent_flux(absorption, torch.ones(400, dtype=torch.float64), tau, 1.0 + 3.0 * 2.0 * tau[:, None])
    assert flux.item() == pytest.approx(1.0 + 3.0 * 2 / 3, rel=1e-3)


def test_lines_and_continuum_equal_sme_in_the_same_atmosphere():
    """Fixture: tools/make_sme_reference.py; twelve lines alone in six atmospheres."""
    reference = json.loads((Path(__file__).parent / "data" / "sme_reference.json").read_text())
    lines = embedded_lines()
    empty = lines.take(torch.tensor([], dtype=torch.long))
    atmospheres = build_atmosphere(labels(*[model["labels"] for model in reference["models"]]), n_depth=64)
    for k, (element, ion, wave) in enumerate(reference["lines"]):
        low, high = reference["windows"][k]
        ln_wave = torch.arange(np.log(low), np.log(high), 2e-6, dtype=torch.float64)
        mine = (lines.element == element) & (lines.ion == ion) & ((lines.wave - wave).abs() < 0.01)
        flux = line_flux(atmospheres, ln_wave, lines=lines.take(mine.nonzero()[:1, 0]), cut=1e-6, blended=False)
        continuum = line_flux(atmospheres, ln_wave, lines=empty, blended=False)
        width = ((1 - flux / continuum) * ln_wave.exp()).sum(1).numpy() * 2e-3
        expected = np.array([model["equivalent_width_ma"][k] for model in reference["models"]])
        np.testing.assert_allclose(width, expected, rtol=0.03, err_msg=f"equivalent width of {element}.{ion} {wave}")
        expected = np.array([model["continuum"][k] for model in reference["models"]])
        physical = 2 * np.pi * 6.62607015e-27 * 2.99792458e10**2 * 1e32 * continuum.median(1).values.numpy()
        np.testing.assert_allclose(physical, expected, rtol=0.03, err_msg=f"continuum near {wave}")


def test_calcium_triplet_of_the_sun_is_as_strong_as_observed():
    """Ca II 8542 alone: 3.67 A in Moore, Minnaert & Houtgast 1966; LTE models give 3.3-3.5."""
    ln_wave = torch.arange(np.log(8522.0), np.log(8562.0), 2e-6, dtype=torch.float64)
    atmosphere, lines = build_atmosphere(labels()), embedded_lines()
    mine = lines.take(((lines.element == 20) & (lines.ion == 1) & ((lines.wave - 8542.09).abs() < 0.1)).nonzero()[:, 0])
    none = lines.take(torch.tensor([], dtype=torch.long))
    flux, continuum = (line_flux(atmosphere, ln_wave, lines=x, blended=False) for x in (mine, none))
    assert 3.1 < ((1 - flux / continuum) * ln_wave.exp()).sum().item() * 2e-6 < 3.8


def test_calcium_triplet_falls_then_rises_with_gravity_and_grows_with_metallicity():
    lines = embedded_lines()
    calcium = (lines.element == 20) & (lines.ion == 1)
    triplet = [((lines.wave - wave).abs() < 0.1) & calcium for wave in (8498.02, 8542.09, 8662.14)]
    mine = lines.take((triplet[0] | triplet[1] | triplet[2]).nonzero()[:, 0])
    ln_wave = torch.arange(np.log(8440.0), np.log(8720.0), 6e-6, dtype=torch.float64)
    rows = [(4500.0, g, 0.0, 0.0, 0.0) for g in (1.0, 3.0, 5.0)] + [(4500.0, 3.0, m, 0.0, 0.0) for m in (-2.5, -1.0)]
    atmospheres = build_atmosphere(labels(*rows))
    flux, continuum = (line_flux(atmospheres, ln_wave, lines=x, blended=False) for x in (mine, mine.take(slice(0, 0))))
    giant, middle, dwarf, poorest, poor = (((1 - flux / continuum) * ln_wave.exp()).sum(1) * 6e-6).tolist()
    assert giant > 1.3 * middle
    assert dwarf > 1.05 * middle
    assert poorest < 0.5 * poor < 0.5 * middle


def test_honl_london_factors_add_up_to_the_degeneracy():
    for omega, step in ((1, 1), (2, 1), (3, 1), (1, -1), (3, -1), (0, 1)):
        j = np.arange(omega + 3, 60.0)
        np.testing.assert_allclose(sum(bands.honl_london(j, omega, step)), 2 * j + 1)


def test_franck_condon_factors_of_a_level_add_up_to_one():
    mass = bands.reduced_mass(47.94795, bands.OXYGEN)
    overlap = bands.franck_condon(bands.TIO["A"], bands.TIO["X"], mass)
    np.testing.assert_allclose(overlap[:3].sum(1), 1.0, atol=1e-3)
    assert overlap[0].argmax() == 0


def test_band_heads_lie_where_they_are_observed():
    """TiO gamma (0,1) 7589 and epsilon (0,0) 8432 A (Kirkpatrick, Henry & McCarthy 1991); CN red (2,0) 7873 A."""
    ln_wave = fine_ln_wave()
    section = molecules.cross_sections(float(ln_wave[0]), float(ln_wave[1] - ln_wave[0]), len(ln_wave))[:, 9].exp()
    wave = ln_wave.exp()
    for row, head, tolerance in ((0, 7589.0, 3.0), (0, 8432.0, 2.0), (1, 7873.0, 4.0)):
        after = section[row, (wave > head + tolerance) & (wave < head + tolerance + 8)].mean()
        before = section[row, (wave > head - tolerance - 8) & (wave < head - tolerance)].mean()
        assert after > 1.4 * before, head


def test_partition_functions_of_tio_and_cn_agree_with_tabulated_ones():
    """TiO at 3000 K: 6.5e4 (Sauval & Tatum 1984, ApJS 56, 193)."""
    assert float(bands.partition(bands.TIO, 3000.0)) == pytest.approx(6.5e4, rel=0.1)


def test_resolution_element_is_a_five_thousandth_of_the_wavelength():
    ln_wave = fine_ln_wave()
    spike = torch.zeros(1, len(ln_wave), dtype=torch.float64)
    spike[0, len(ln_wave) // 2] = 1.0
    seen = observe(spike, ln_wave)[0]
    centre = float((seen * pixel_wave()).sum() / seen.sum())
    sigma = float(((seen * (pixel_wave() - centre) ** 2).sum() / seen.sum()).sqrt())
    pixel = 1750 / 4095
    assert sigma**2 - pixel**2 / 12 == pytest.approx((centre / 5000 / 2.3548) ** 2, rel=0.02)


def test_spectra_follow_gravity_and_metallicity():
    """Na I 8194 grows with gravity (pressure broadening) and with metallicity."""
    rows = [(4500.0, 4.5, -0.3, 0.0, -0.3), (4500.0, 1.5, -0.3, 0.0, -0.3), (4500.0, 4.5, -1.5, 0.0, -0.3)]
    wave = pixel_wave()
    line, edge = (wave - 8194.8).abs() < 2.5, ((wave - 8194.8).abs() - 9.5).abs() < 2.5
    dwarf, giant, poor = (float((1 - flux[line] / flux[edge].mean()).mean()) for flux in synthesize(labels(*rows)))
    assert dwarf > 1.3 * giant
    assert dwarf > 1.3 * poor


def test_a_star_does_not_depend_on_its_batch():
    rows = [(5000.0, 3.0, -0.5, 0.0, -0.2), (5000.0, 3.0, -0.5, 0.4, -0.6)]
    torch.testing.assert_close(synthesize(labels(*rows))[1], synthesize(labels(rows[1]))[0], rtol=3e-4, atol=0)


def test_a_block_of_stars_gives_what_they_give_one_by_one():
    """A cool giant, a warm dwarf and a metal-poor star: their lines are cut at other places, in one block all the same."""
    rows = [(4000.0, 1.0, 0.3, 0.0, -0.3), (5900.0, 4.5, 0.0, 0.0, -0.2), (5000.0, 3.0, -2.0, 0.4, -0.6)]
    atmospheres = build_atmosphere(labels(*rows), n_depth=16)
    ln_wave = torch.arange(np.log(8480.0), np.log(8680.0), 1e-5, dtype=torch.float64)
    alone, pair, all_three = (line_flux(atmospheres, ln_wave, block=size) for size in (1, 2, 3))
    torch.testing.assert_close(pair, alone, rtol=1e-5, atol=0)
    torch.testing.assert_close(all_three, alone, rtol=1e-5, atol=0)
    assert not torch.allclose(alone[0], alone[1], rtol=0.01, atol=0)


def test_stars_pass_together_as_far_as_memory_goes_on_a_gpu_and_alone_on_a_cpu():
    assert stars_at_once(32, 40_000, torch.device("cpu")) == 1
    many, longer = (stars_at_once(32, n, torch.device("cuda")) for n in (40_000, 80_000))
    assert many >= 32
    assert many // 2 - 1 <= longer <= many // 2 + 1
    assert stars_at_once(10_000, 10_000_000, torch.device("cuda")) == 1


def test_labels_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="expected"):
        synthesize(torch.zeros(2, 3))


def test_stopped_build_goes_on_and_saves_a_grid(tmp_path, monkeypatch):
    tiny = {"t_eff": (5000, 5500), "log_g": (3,), "m_h": (-1.0,), "a_m": (0.0,), "c_m": (-0.6, 0.0)}
    monkeypatch.setitem(build.NODES, "tiny", tiny)
    monkeypatch.setattr(build, "RUNS", tmp_path)
    monkeypatch.setattr(build, "RANGES", {name: (values[0], values[-1]) for name, values in tiny.items()})
    monkeypatch.setattr(
        build, "synthesize", lambda x, device: torch.ones(len(x), 4096) + x[:, :1] / 1e5 * torch.linspace(0, 1, 4096)
    )
    grid = build.build("tiny", tmp_path / "g.safetensors")
    assert grid.metadata["profile"] == "tiny"
    monkeypatch.setattr(build, "synthesize", lambda x, device: pytest.fail("a stored block was computed again"))
    assert build.build("tiny", tmp_path / "h.safetensors").fingerprint == grid.fingerprint
    with pytest.raises(ValueError, match="no grid profile"):
        build.build("huge", tmp_path / "x")


def test_boltzmann_constants_agree():
    assert pytest.approx(K_EV, rel=1e-8) == K_BOLTZMANN / 1.602176634e-12
