"""Make lib/data/embedded/mni152_contrasts.npz from the MNI152 template inside the PyPI package nilearn (BSD-3).

Run by hand, once, in an environment of its own (nilearn is no dependency of this project):

    python -m venv /tmp/nilearn && /tmp/nilearn/bin/pip install nilearn
    /tmp/nilearn/bin/python tools/make_mni_contrasts.py lib/data/embedded/mni152_contrasts.npz

Writes three uint8 stacks (z, y, x) of the same 152-person average, 2 mm in the plane and 1 mm along z: `t1` (measured,
skull-stripped, 255 = the template's maximum), `gm` and `wm` (tissue probability, 255 = 1). The template's own notice
(McConnell Brain Imaging Centre, MNI, McGill University) is in NOTICE and inside the file.
"""

import sys
from pathlib import Path

import nibabel
import numpy as np
from nilearn.datasets import struct

BOX = np.s_[20:180, 22:214, 0:154]  # 1-mm voxels: 160 x 192 x 154 mm hold the whole brain
NOTICE = (
    "Derived from the MNI ICBM152 2009a template. Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging "
    "Centre, Montreal Neurological Institute, McGill University. Permission to use, copy, modify, and distribute this "
    "software and its documentation for any purpose and without fee is hereby granted, provided that the above "
    "copyright notice appear in all copies. The authors and McGill University make no representations about the "
    'suitability of this software for any purpose. It is provided "as is" without express or implied warranty. The '
    "authors are not responsible for any data loss, equipment damage, property loss, or injury to subjects or patients "
    "resulting from the use or misuse of this software package."
)


def stack(path):
    """Return the template at `path` as a uint8 stack (z, y, x), averaged over 2 x 2 voxels in the plane."""
    volume = np.asarray(nibabel.load(path).dataobj)[BOX].astype(np.float32)  # (x, y, z)
    x, y, z = volume.shape
    plane = volume.reshape(x // 2, 2, y // 2, 2, z).mean((1, 3))
    return np.ascontiguousarray(plane.transpose(2, 1, 0)[:, ::-1].round().astype(np.uint8))  # anterior up


def main(out):
    """Write the stacks to `out`."""
    files = {"t1": struct.MNI152_FILE_PATH, "gm": struct.GM_MNI152_FILE_PATH, "wm": struct.WM_MNI152_FILE_PATH}
    np.savez_compressed(out, notice=np.array(NOTICE), **{name: stack(path) for name, path in files.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
