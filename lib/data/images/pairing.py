"""Are two stacks of images a pair: the same anatomy, on the same grid, in register?

Two contrasts share edges, not intensities, so both questions are asked of the edge maps.
"""

import numpy as np
from skimage.filters import gaussian, sobel
from skimage.registration import phase_cross_correlation

N_CHECKED = 8  # slices of a volume that are looked at


def edge_map(image):
    """Return the Sobel magnitude of a slightly blurred image, (H, W)."""
    return sobel(gaussian(image, 1.0))


def edge_correlation(a, b):
    """Return (own, other): the mean edge correlation of slices with their own partners, and with others' partners.

    a, b (n, H, W). `other` shifts b by half the stack; it is NaN for fewer than four slices.
    """
    edges_a, edges_b = (np.stack([edge_map(image) for image in stack]) for stack in (a, b))
    own = np.mean([np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(edges_a, edges_b, strict=True)])
    if len(a) < 4:
        return float(own), np.nan
    rolled = np.roll(edges_b, len(b) // 2, axis=0)
    other = np.mean([np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(edges_a, rolled, strict=True)])
    return float(own), float(other)


def shift_px(a, b):
    """Return the median displacement of b against a over the slices, (dy, dx) in pixels.   a, b (n, H, W)"""
    pairs = zip(a, b, strict=True)
    shifts = [phase_cross_correlation(edge_map(x), edge_map(y), upsample_factor=10, normalization=None)[0] for x, y in pairs]
    dy, dx = -np.median(shifts, axis=0)
    return float(dy), float(dx)


def check_pair(a, b, name, max_shift_px=1.5):
    """Raise ValueError with a sentence where the stacks `a` and `b` of `name` are no registered pair.

    a, b (n, H, W) magnitudes. Refuses different shapes, other anatomy and a displacement over max_shift_px pixels.
    """
    if a.shape != b.shape:
        raise ValueError(f"{name}: the two contrasts have the shapes {a.shape} and {b.shape}; a pair must be on one grid")
    shown = np.flatnonzero((edge_energy(a) > 0) & (edge_energy(b) > 0))
    if not len(shown):
        raise ValueError(f"{name}: no slice shows an object in both contrasts; pair images of one subject, slice by slice")
    busiest = np.sort(shown[np.argsort(edge_energy(a)[shown])[-N_CHECKED * 2 :]])
    picked = busiest[np.linspace(0, len(busiest) - 1, min(N_CHECKED, len(busiest))).astype(int)]
    if min(edge_energy(stack[picked]).min() for stack in (a, b)) == 0:
        raise ValueError(
            f"{name}: images are constant where the other contrast shows something; a pair shows one anatomy twice"
        )
    own, other = edge_correlation(a[picked], b[picked])
    dy, dx = shift_px(a[picked], b[picked])
    if np.hypot(dy, dx) > max_shift_px:
        raise ValueError(
            f"{name}: the second contrast lies {dy:+.1f} px (rows) and {dx:+.1f} px (columns) off the first; "
            f"register the images first (at most {max_shift_px} px)"
        )
    if not own > max(0.1, 0.0 if np.isnan(other) else other):
        versus = "" if np.isnan(other) else f", with other slices {other:.2f}"
        raise ValueError(
            f"{name}: the two contrasts do not show the same anatomy (edge correlation {own:.2f}{versus}); "
            "pair images of one subject, slice by slice"
        )


def edge_energy(stack):
    """Return the standard deviation of each image of a stack, (n,): empty slices have none."""
    return stack.reshape(len(stack), -1).std(axis=1)
