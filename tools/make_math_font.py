"""Make lib/render/math.woff2: the subset of STIX Two Math that formulas in the reports use.

Run by hand: `npm pack @fontsource/stix-two-math`, unpack, then
    python tools/make_math_font.py package/files/stix-two-math-latin-400-normal.woff2
Needs fonttools and brotli. The font is (c) The STIX Fonts Project Authors, SIL Open Font License 1.1 (see NOTICE).
"""

import sys
from pathlib import Path

from fontTools import subset

RANGES = [
    (0x20, 0x7E), (0xA0, 0xFF), (0x391, 0x3F6), (0x300, 0x308), (0x2010, 0x2044), (0x2061, 0x2064), (0x20D7, 0x20D7),
    (0x2102, 0x2124), (0x2190, 0x21D5), (0x2200, 0x22A5), (0x22C0, 0x22C6), (0x2308, 0x230B), (0x23DE, 0x23DF),
    (0x27E8, 0x27E9), (0x2A7D, 0x2A7E), (0x1D400, 0x1D467), (0x1D49C, 0x1D4CF), (0x1D538, 0x1D56B), (0x1D6A8, 0x1D71B),
]  # fmt: skip


def main(source: str) -> None:
    options = subset.Options()
    options.flavor = "woff2"
    options.layout_features = ["ssty", "dtls", "flac"]
    options.hinting = False
    font = subset.load_font(source, options)
    worker = subset.Subsetter(options)
    worker.populate(unicodes=[c for low, high in RANGES for c in range(low, high + 1)])
    worker.subset(font)
    for record in font["name"].names:
        if record.nameID in (1, 4, 16):
            record.string = "Report Math"
    subset.save_font(font, Path(__file__).parents[1] / "lib" / "render" / "math.woff2", options)


if __name__ == "__main__":
    main(sys.argv[1])
