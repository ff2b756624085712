"""The parameters that say which spectra a study of the denoiser works on, and the specs of its sets."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lib import paths
from lib.config import StudyConfig, check_files, param
from lib.data.noise import preset
from lib.data.sets import PROBE_STREAM, SPLITS, SpectraSpec, Splits, content_of, open_grid
from lib.files import fingerprint

LABELS = ("t_eff", "log_g", "m_h", "a_m", "c_m")


class SpectraConfig(StudyConfig):
    """The parameters that say which spectra are used."""

    train_path: list[str] = param(
        [], "HDF5 file or shards to train on (empty: the grid)", "训练用 HDF5 文件或分片（空：内置网格）"
    )
    val_path: str = param("", "HDF5 file of validation spectra", "验证光谱的 HDF5 文件")
    test_path: str = param("", "HDF5 file of test spectra", "测试光谱的 HDF5 文件")
    grid_path: str = param("", "spectral grid (empty: the embedded synthetic grid)", "光谱网格文件（空：内置合成网格）")
    window_aa: list[float] = param([8412.0, 8850.0], "wavelength window (empty: all pixels)", "波长窗口（空：全部像素）")
    mask_ratio: float = param(
        1.0, "keep this part of a file's pixels, those of least error", "保留文件中误差最小的这部分像素", gt=0, le=1
    )
    noise_preset: str = param("mag215", "observing conditions: mag215 or mag205_225", "观测条件：mag215 或 mag205_225")
    error_source: Literal["reference", "noisy", "clean"] = param(
        "reference", "whose photons set sigma (see lib.data.noise)", "噪声标准差取自何处（见 lib.data.noise）"
    )
    noise_level: float = param(0.3, "factor on sigma", "噪声倍数", gt=0, le=10)
    n_train: int = param(512, "training spectra of the probes", "探针的训练光谱数", ge=32)
    n_val: int = param(128, "validation spectra", "验证光谱数", ge=16)
    n_test: int = param(256, "test spectra", "测试光谱数", ge=16)
    labels: list[str] = param(list(LABELS), "labels to read off the latents", "要读出的标签", min_length=1)

    def check_spectra(self) -> None:
        """Raise ValueError for parameters that contradict each other."""
        check_files(self)
        if "log_g" not in self.labels:
            raise ValueError(f"'labels' is {self.labels}; log_g must be among them.")
        if self.mask_ratio < 1 and not self.train_path:
            raise ValueError("'mask_ratio' applies to files; without 'train_path' choose pixels by 'window_aa'.")

    @property
    def embedded(self) -> bool:
        """Whether spectra come from a grid rather than from files."""
        return not self.train_path

    def spectra(self, split: str, n: int, *, stream: int = 0, **noise: Any) -> SpectraSpec:
        """Return the spec of n spectra of a split (train, val, test); `noise` changes noise_level or error_source."""
        noise = {"noise_level": self.noise_level, "error_source": self.error_source} | noise
        masks = self.files("train") if self.mask_ratio < 1 and not self.window_aa else ()
        spec = SpectraSpec(
            split, n, tuple(self.labels), preset(self.noise_preset, **noise), tuple(self.window_aa), self.mask_ratio, "", self.seed,
            stream, self.grid_path, files=self.files(split), mask_files=masks,
        )  # fmt: skip
        return replace(spec, fingerprint=content_of(spec))

    def splits(self, **noise: Any) -> Splits:
        """Return the specs of the probes' sets, whose stars are not the denoiser's."""
        return Splits(*(self.spectra(s, getattr(self, f"n_{s}"), stream=PROBE_STREAM, **noise) for s in SPLITS))

    def files(self, split: str) -> tuple[str, ...]:
        """Return the paths of the user's files of a split, none where there are none."""
        named = {"train": self.train_path, "val": [self.val_path], "test": [self.test_path]}[split]
        return () if self.embedded else tuple(str(locate(self, name)) for name in named)


def locate(config: SpectraConfig, name: str) -> Path:
    """Return the path of a data file, relative to `data_dir` where that is given; ValueError if it is not there."""
    path = paths.resolve(f"{config.data_dir}/{name}" if config.data_dir else name)
    if not path.is_file():
        raise ValueError(f"Spectra file {path} does not exist; it is named by train_path, val_path, test_path or data_dir.")
    return path


def describe(config: SpectraConfig) -> dict[str, Any]:
    """Return source, name and fingerprint of the data, for the report."""
    if config.embedded:
        grid = open_grid(config.grid_path, tuple(config.window_aa))
        name = config.grid_path or "synthetic grid"
        label = {"zh": config.grid_path or "合成光谱网格", "en": name}
        return {"source": "embedded", "name": name, "label": label, "fingerprint": grid.fingerprint, "n_dropped": 0}
    files = [Path(file) for split in ("train", "val", "test") for file in config.files(split)]
    return {"source": "hdf5", "name": files[0].name, "fingerprint": fingerprint(*files), "n_dropped": 0}
