"""All that inverse design needs, in one folder: forward ensemble, mixture density network, design space, known designs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor

from lib.data.opamp import Scaler, read_numbers
from lib.files import read_json, replacing, write_csv, write_json, write_text
from lib.inverse.candidates import conditions, design_table, known_and_random
from lib.inverse.search import Found, SearchConfig, search
from lib.inverse.space import Space
from lib.inverse.spec import Goals, Spec
from lib.inverse.surrogate import ScaledSurrogate, Surrogate
from lib.legible import legible
from lib.models.ensemble import Ensemble, EnsembleConfig
from lib.models.mdn import MDN, MDNConfig
from lib.runtime import generator
from lib.weights import fill, read_weights

UNIT_SD = 12**-0.5  # the mixture speaks unit coordinates, standardised as a uniform variable


@dataclass(frozen=True)
class InverseModel:
    """Forward and inverse networks of one op-amp.

    known      measured designs: features and metrics in input units
    forward    forward model of the search (None: the ensemble); it is not saved with the others
    y_scaler   of the ensemble and of the mixture's conditions
    low, high  range of the scaled metrics of the training rows
    """

    ensemble: Ensemble
    mixture: MDN
    space: Space
    y_scaler: Scaler
    low: list[float]
    high: list[float]
    known: pd.DataFrame
    forward: Surrogate | None = None  # in place of the ensemble
    scout: Surrogate | None = None  # a cheaper form of `forward`, to move designs by

    @property
    def features(self) -> list[str]:
        """Names of the design variables."""
        return self.space.names

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics."""
        return self.y_scaler.names

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.ensemble.parameters()).device

    def surrogate(self) -> ScaledSurrogate:
        """Return the forward model in physical units, differentiable."""
        return self.forward or ScaledSurrogate(self.ensemble.combined, None, self.y_scaler, self.low, self.high, self.device)

    def goals(self, specs: list[Spec]) -> Goals:
        """Return specifications as tensors on the model's device."""
        return Goals.stack(specs, self.metrics, torch.tensor(self.known[self.metrics].to_numpy(), device=self.device))

    def sample(self, specs: list[Spec], n: int, seed: int = 0) -> Tensor:
        """Draw candidates (S, n, D) in input units, snapped to the grid, from the mixture density network."""
        rng = np.random.default_rng(seed)
        wanted = np.concatenate([conditions(s, self.known, self.metrics, n, rng) for s in specs])
        scaled = self.y_scaler.transform(pd.DataFrame(wanted, columns=self.metrics))
        scaled = torch.from_numpy(scaled).to(self.device)
        v = self.mixture.sample(scaled, generator(seed, 2, device=self.device))
        x = self.space.from_unit(self.space.snap((0.5 + v.double() * UNIT_SD).clamp(0, 1)))
        return x.reshape(len(specs), n, -1)

    def starts(self, specs: list[Spec], n: int, seed: int) -> Tensor:
        """Return starts (S, n, D): half drawn by the mixture, a quarter the best known designs, the rest uniform."""
        y, x = (torch.tensor(self.known[c].to_numpy()) for c in (self.metrics, self.features))
        drawn = self.sample(specs, max(n // 2, 1), seed)
        rest = n - drawn.shape[1]
        if rest < 1:
            return drawn
        more = known_and_random(Goals.stack(specs, self.metrics, y), y, x, self.space, rest, generator(seed, 3))
        return torch.cat([drawn, more.to(drawn)], 1)

    def find(self, specs: list[Spec], config: SearchConfig, seed: int = 0, init: Tensor | None = None) -> Found:
        """Search designs for all specifications at once, from `init` (S, n, D) or from fresh starts."""
        begin = self.starts(specs, config.n_init, seed) if init is None else init
        return search(self.surrogate(), self.space, self.goals(specs), begin.to(self.device), config, scout=self.scout)

    @torch.no_grad()
    def ranked(self, spec: Spec, x: Tensor) -> pd.DataFrame:
        """Return designs x (n, D) with predicted metrics, `meets` and `distance`, best first."""
        y, sd = (t.double() for t in self.surrogate()(x.float()))
        goals = self.goals([spec])
        order = goals.merit(y, sd).argsort()
        x, y, sd = x[order], y[order], sd[order]
        parts = [t.cpu().numpy() for t in (x, y, sd, goals.meets(y), goals.distance(y))]
        return tidy(design_table(*parts, {"features": self.features, "metrics": self.metrics}), self.space)

    def designs(self, found: Found, which: int) -> pd.DataFrame:
        """Return the designs found for one specification, best first."""
        parts = [t[which].cpu().numpy() for t in (found.x, found.y, found.sd, found.meets, found.distance)]
        return tidy(design_table(*parts, {"features": self.features, "metrics": self.metrics}), self.space)

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), scalers, space and configs (JSON), and the known designs (CSV)."""
        for name, net in (("ensemble", self.ensemble), ("mixture", self.mixture)):
            with replacing(folder / f"{name}.safetensors") as temporary:
                save_file({k: v.detach().cpu().contiguous() for k, v in net.state_dict().items()}, temporary)
        sizes = {"ensemble": asdict(self.ensemble.config), "mixture": asdict(self.mixture.config)}
        surrogate = "ensemble" if self.forward is None else "published"
        write_json(folder / "inverse.json", {**sizes, "low": self.low, "high": self.high, "surrogate": surrogate})
        write_text(folder / "space.json", self.space.model_dump_json(indent=1) + "\n")
        self.y_scaler.save(folder / "y_scaler.json")
        write_csv(folder / "known.csv", self.known[self.features + self.metrics])

    @classmethod
    def load(cls, folder: Path, device: Any = "cpu") -> "InverseModel":
        """Read what `save` wrote; ValueError names the file that is missing or does not fit."""
        with legible(folder, "an inverse model"):
            return cls._load(folder, device)

    @classmethod
    def _load(cls, folder: Path, device: Any) -> "InverseModel":
        state = read_json(folder / "inverse.json", ("ensemble", "mixture", "low", "high"))
        space = Space.checked(read_json(folder / "space.json"))
        y_scaler = Scaler.read(folder / "y_scaler.json")
        known = read_numbers(folder / "known.csv")
        sizes = {**state["ensemble"], "names": tuple(state["ensemble"]["names"])}
        ensemble, mixture = Ensemble(EnsembleConfig(**sizes)), MDN(MDNConfig(**state["mixture"]))
        limits = ([float(v) for v in state[k]] for k in ("low", "high"))
        for name, net in (("ensemble", ensemble), ("mixture", mixture)):
            file = folder / f"{name}.safetensors"
            fill(net, read_weights(file)[0], file).to(device).requires_grad_(False)
        return cls(ensemble, mixture, space, y_scaler, *limits, known)


def tidy(frame: pd.DataFrame, space: Space) -> pd.DataFrame:
    """Write the grid's own numbers (5e-06, not 5.000000000000001e-06) where a design sits on the grid."""
    for name, levels in zip(space.names, space.levels, strict=True):
        if levels:
            near = np.abs(np.asarray(levels)[None] - frame[name].to_numpy()[:, None]).argmin(1)
            frame[name] = np.asarray(levels)[near]
    return frame
