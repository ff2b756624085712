"""Formal solution of the transfer equation in LTE: emergent flux of a plane-parallel atmosphere."""

import torch

# Gauss-Legendre on 0..1: integral of mu I(mu) d mu with three angles.
MU = (0.1127016654, 0.5, 0.8872983346)
WEIGHT = (5 / 18, 8 / 18, 5 / 18)
HC_OVER_K = 1.438776877e8  # Angstrom K


def planck(wave_aa, temperature, reference_k):
    """Return B_lambda over 2 h c^2 lambda^-5 exp(-h c / lambda k T0): no overflow in single precision.

    wave_aa (W,), temperature (D, 1) or (D, B, 1); reference_k a temperature T0 near the warmest layer that is seen, a number or
    (B, 1).
    """
    x, x0 = HC_OVER_K / (wave_aa * temperature), HC_OVER_K / (wave_aa * reference_k)
    return (x0 - x).exp() / -torch.expm1(-x)


def emergent_flux(absorption, reference, tau, source):
    """Return the flux integral 2 * int mu I(mu) d mu (W,) of one star or (B, W) of many, in the unit of the source function.

    absorption (D, W) or (D, B, W) and reference (D,) or (D, B) in cm^-1 at the wavelength and at 5000 A; tau (D,) at 5000 A;
    source like absorption. It is linear in optical depth within a layer; the deepest layer continues its gradient.
    """
    along_depth = (-1, *(1 for _ in reference.shape[1:]))
    slope = absorption * (tau.reshape(along_depth) / reference).to(absorption.dtype).unsqueeze(-1)  # d tau_wave / d ln tau_5000
    layer = torch.log(tau).to(absorption.dtype).diff().reshape(along_depth).unsqueeze(-1)
    depth = 0.5 * (slope[1:] + slope[:-1]) * layer
    total = torch.cat([slope[:1], slope[:1] + torch.cumsum(depth, 0)])  # the top layer has a constant absorption per gram
    change = (source[1:] - source[:-1]) / depth.clamp_min(1e-30)
    flux = torch.zeros_like(source[0])
    for mu, weight in zip(MU, WEIGHT, strict=True):
        seen = (-total / mu).exp()
        inside = mu * change * _first_moment(depth / mu) * seen[:-1]
        intensity = source[0] * -torch.expm1(-total[0] / mu) + (source[:-1] * (seen[:-1] - seen[1:]) + inside).sum(0)
        intensity = intensity + seen[-1] * (source[-1] + mu * change[-1])
        flux = flux + 2.0 * weight * mu * intensity
    return flux


def _first_moment(x):
    """Return 1 - (1 + x) exp(-x), the integral of t exp(-t) from 0 to x; a series where x is small."""
    series = x * x * (0.5 - x * (1 / 3 - x * (0.125 - x / 30)))
    return torch.where(x < 0.05, series, 1.0 - (1.0 + x) * (-x).exp())
