import numpy as np
import pytest
import torch
from spectra_cases import TinyGrid

from lib.data.batches import SpectraBatches, whole_set
from lib.data.generated import GeneratedSpectra
from lib.data.noise import BLOCK, NoiseConfig, PfsNoise, draw_block, preset, snr
from lib.data.sky import airglow, airglow_per_pixel, fibre_losses, fibre_rates, pixel_edges
from lib.data.spectra import SpectraDataset
from lib.data.views import First, Kept
from lib.data.windows import GRAVITY_FEATURES, QUICK_WINDOW_AA, features_between, pixel_slice

WAVE = torch.linspace(7100.0, 8850.0, 4096, dtype=torch.float64)


def test_airglow_conserves_flux_and_stands_at_the_atlas_positions():
    edges = pixel_edges(WAVE.numpy())
    per_pixel = airglow_per_pixel(edges)
    lines = airglow()
    assert per_pixel.sum() == pytest.approx(lines.flux[lines.wave_aa < 8847].sum() * 1e-16, rel=0.01)
    brightest = WAVE[int(per_pixel.argmax())]
    assert abs(float(brightest) - 8827.11) < 0.5  # OH 7-3 P1(2), Hanuschik 2003


def test_fibre_takes_less_of_the_star_as_seeing_zenith_and_field_angle_grow():
    base = np.array([[0.6, 0.9, 0.6, 0.6], [0.0, 0.0, 60.0, 0.0], [0.0, 0.0, 0.0, 0.65]])
    kept, area, airmass = fibre_losses(*base)
    assert (kept[1:] < kept[0]).all()
    assert area[0] == pytest.approx(np.pi * 0.56**2 * 0.94, rel=0.01)  # 1.12 arcsec fibre
    assert airmass[2] == pytest.approx(2.0)


def test_sigma_is_photon_sky_and_read_noise_in_electrons():
    noise = PfsNoise(WAVE, NoiseConfig(magnitude=(21.5, 21.5)))
    conditions = noise.conditions(3, seed=0)
    flux = torch.rand(3, 4096) + 0.5
    rates = fibre_rates(WAVE.numpy())
    kept, area, airmass = fibre_losses(*conditions.numpy().T[1:])
    seconds = 12 * 900.0
    star = 10 ** (-0.4 * 21.5) * kept[:, None] * seconds * rates.star
    sky = (area * airmass * seconds)[:, None] * (rates.continuum + rates.lines)
    variance = star * flux.numpy() + sky + 5 * (12 * 4.0**2 + 1e-4 * seconds)
    expected = np.sqrt(variance) / star
    assert np.allclose(noise.sigma(noise.weights(conditions), flux).numpy(), expected, rtol=1e-4)


def test_snr_at_magnitudes_is_near_the_reported_calculator():
    noise = PfsNoise(WAVE)
    magnitudes = [18.0, 20.0, 21.5, 22.0, 22.5, 23.0]
    sigma = noise.sigma(noise.at_magnitude(magnitudes))
    reported = torch.tensor([87.4, 24.0, 7.1, 4.6, 3.0, 1.9])  # reported.yaml: vit_scaling.public.fisher_ceiling
    assert (snr(torch.ones(6, 4096), sigma) / reported - 1).abs().max() < 0.1


def test_noise_of_a_block_is_keyed_by_seed_epoch_and_block():
    draws = []
    for block, seed, epoch in ((0, 3, 0), (0, 3, 0), (1, 3, 0), (0, 4, 0), (0, 3, 1)):
        draws.append(torch.empty(BLOCK, 64))
        draw_block(draws[-1], block, seed=seed, epoch=epoch)
    assert torch.equal(draws[0], draws[1])
    assert all(not torch.equal(draws[0], other) for other in draws[2:])
    assert draws[0].std() == pytest.approx(1.0, abs=0.03)


def test_a_small_set_is_the_beginning_of_a_large_one():
    large, small = (GeneratedSpectra(TinyGrid(), n, seed=1, norm="none").spectra() for n in (700, 300))
    for a, b in zip(large, small, strict=True):
        assert torch.equal(a[:300], b)


def test_splits_and_seeds_share_no_star():
    sets = [GeneratedSpectra(TinyGrid(), 64, seed=s, split=p).parameters for s in (0, 1) for p in ("train", "val", "test")]
    rows = torch.cat(sets)
    assert len(torch.unique(rows, dim=0)) == len(rows)


def test_noise_is_fresh_in_training_and_fixed_in_validation():
    data = GeneratedSpectra(TinyGrid(), 300, noise="mag215")
    fresh, fixed = (SpectraBatches(data, batch_size=100, fresh=f, fields=("noisy", "flux", "labels")) for f in (True, False))
    passes = []
    for batches in (fresh, fixed):
        for epoch in (0, 1):
            batches.set_epoch(epoch)
            passes.append(torch.cat([b[0] for b in batches]))
    assert not torch.equal(passes[0], passes[1])
    assert torch.equal(passes[2], passes[3])
    assert not torch.equal(passes[0], passes[2])


def test_shuffled_fresh_noise_of_a_row_does_not_depend_on_the_batch_size():
    data = GeneratedSpectra(TinyGrid(), 700, norm="none")
    found = []
    for size, window in ((64, 1), (100, 3)):
        batches = SpectraBatches(data, batch_size=size, window=window, shuffle=True, fresh=True, seed=size)
        rows = [(float(y), x) for noisy, labels in batches for x, y in zip(noisy, labels[:, 0], strict=True)]
        found.append(torch.stack([x for _, x in sorted(rows, key=lambda pair: pair[0])]))
    assert torch.equal(*found)


def test_kept_and_first_rows_give_the_spectra_of_their_source():
    made = GeneratedSpectra(TinyGrid(), 600, noise="mag215", norm="none")
    first = First(Kept(made), 300)
    options = {"batch_size": 64, "shuffle": True, "fresh": True, "fields": ("noisy", "sigma", "labels")}
    for a, b in zip(SpectraBatches(made, **options), SpectraBatches(Kept(made), **options), strict=True):
        assert all(torch.allclose(x, y, atol=1e-6) for x, y in zip(a, b, strict=True))
    for a, b in zip(whole_set(first), whole_set(made), strict=True):
        assert torch.allclose(a, b[:300], atol=1e-6)
    assert len(first) == len(first.labels) == 300
    with pytest.raises(ValueError, match="700 rows were asked for, but the set has 600"):
        First(made, 700)
    with pytest.raises(ValueError, match="cannot be kept"):
        Kept(GeneratedSpectra(TinyGrid(), 8, noise=NoiseConfig(error_source="noisy")))


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_noise_has_the_sigma_that_is_told(level):
    data = GeneratedSpectra(TinyGrid(), 2000, noise=preset("mag205_225", noise_level=level))
    batch = data.spectra()
    z = (batch.noisy - batch.flux) / batch.sigma
    assert float(z.std()) == pytest.approx(1.0, abs=0.01)
    assert float(z.mean()) == pytest.approx(0.0, abs=0.01)


def told_sigma(source, labels):
    """The sigma that each error source tells for two stars under the same conditions and noise."""
    grid = TinyGrid()
    noise = PfsNoise(grid.wave, NoiseConfig(error_source=source), grid.flux(torch.tensor([[5000.0, 3.0, 0.0]]))[0])
    weights = noise.at_magnitude([21.0, 21.0])
    return noise.observe(grid.flux(labels), weights, torch.zeros(2, 256))[1]


def test_only_the_reference_sigma_is_blind_to_the_star():
    labels = torch.tensor([[4200.0, 1.5, 0.4], [5800.0, 4.5, -1.5]])
    assert torch.equal(*told_sigma("reference", labels))
    for source in ("clean", "noisy"):
        assert (told_sigma(source, labels)[0] / told_sigma(source, labels)[1] - 1).abs().max() > 0.01


def test_noisy_sigma_carries_the_draw_and_not_the_noiseless_flux():
    grid = TinyGrid()
    noise = PfsNoise(grid.wave, NoiseConfig(error_source="noisy"))
    weights, flux = noise.at_magnitude([21.5]), grid.flux(torch.tensor([[5000.0, 3.0, 0.0]]))
    noisy, sigma = noise.observe(flux, weights, torch.randn(1, 256))
    assert torch.allclose(sigma, noise.sigma(weights, noisy))


def test_a_written_set_reads_back_as_the_documents_layout(tmp_path):
    made = GeneratedSpectra(TinyGrid(), 300, seed=2, noise="mag205_225")
    path = made.write_hdf5(tmp_path / "d.h5")
    read = SpectraDataset.from_hdf5(path, labels=("t_eff", "log_g", "m_h"), norm="none")
    batch = made.spectra()
    assert torch.allclose(read.labels, made.parameters, rtol=1e-6)
    assert torch.equal(read.flux, batch.flux)
    assert torch.equal(read.error, batch.sigma)
    assert np.allclose(read.table.snr, snr(batch.flux, batch.sigma))
    assert read.table.mag.between(20.5, 22.5).all()


def test_a_noisy_sigma_is_not_written_to_a_file(tmp_path):
    made = GeneratedSpectra(TinyGrid(), 8, noise=NoiseConfig(error_source="noisy"))
    with pytest.raises(ValueError, match="keeps one sigma per spectrum"):
        made.write_hdf5(tmp_path / "d.h5")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"magnitude": (22.0, 20.0)}, "low should not exceed high"),
        ({"field_deg": (0.0, 1.0)}, "lie within 0.0 to 0.65"),
        ({"error_source": "truth"}, "one of reference, noisy, clean"),
        ({"noise_level": -1.0}, "should not be negative"),
    ],
)
def test_noise_settings_that_make_no_sense_are_told(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        NoiseConfig(**changes)


def test_unknown_presets_labels_and_splits_are_told():
    with pytest.raises(ValueError, match="preset 'mag999' is unknown: use mag215 or mag205_225"):
        PfsNoise(WAVE, "mag999")
    with pytest.raises(ValueError, match="has no label 'alpha': it has t_eff"):
        GeneratedSpectra(TinyGrid(), 4, labels=("alpha",))
    with pytest.raises(ValueError, match="one of train, val, test"):
        GeneratedSpectra(TinyGrid(), 4, split="dev")


def test_the_quick_window_is_1024_pixels_and_holds_the_calcium_triplet():
    window = pixel_slice(WAVE, *QUICK_WINDOW_AA, multiple=1024)
    assert window.stop - window.start == 1024
    names = {f.name for f in features_between(float(WAVE[window.start]), float(WAVE[window.stop - 1]))}
    assert {"Ca II 8498", "Ca II 8542", "Ca II 8662", "Mg I 8807"} <= names
    assert all(7100 < f.wave_aa < 8850 for f in GRAVITY_FEATURES)


def test_a_window_without_pixels_is_told():
    with pytest.raises(ValueError, match="holds no 1 pixels of a spectrum of 7100 to 8850 A"):
        pixel_slice(WAVE, 9000.0, 9100.0)
