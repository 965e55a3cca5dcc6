"""Power laws: how an error falls with the number of pairs, and how sure that is far from what was measured.

    error(x) = floor + scale · x ^ -exponent

The floor is what no amount of data would take away; without it the law is a straight line over two logarithms
(Hestness et al. 2017, Kaplan et al. 2020; with a floor: Hoffmann et al. 2022). Fitted by least squares of the
errors themselves, since seeds scatter alike everywhere. Axes: N measurements, R draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar, nnls

from cpack_lib.evaluation.scores.intervals import Interval, interval

EXPONENTS = np.geomspace(0.003, 4, 60)  # where the best one is looked for first
DRAWS = 400  # of a bootstrap: a fit each


class PowerLaw(NamedTuple):
    """A floor, and what is above it at x = 1; the higher the exponent, the sooner it is gone."""

    floor: float
    scale: float
    exponent: float

    def at(self, x: float | np.ndarray) -> float | np.ndarray:
        """The error at some x."""
        return self.floor + self.scale * np.asarray(x, dtype=np.float64) ** -self.exponent


def fit_power_law(x: Sequence[float], y: Sequence[float], floor: bool = True) -> PowerLaw:
    """The law of least squares; with `floor` False the floor is 0.

    For each exponent the rest is linear, so the search is over one number, and finds the same law always.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    check_places(x, y, 3 if floor else 2)
    middle = np.exp(np.log(x).mean())  # places are measured from here, lest a power over- or underflow
    place = np.log(x / middle)

    def solved(exponent: float) -> tuple[np.ndarray, float]:
        columns = [np.exp(-exponent * place)] + ([np.ones_like(place)] if floor else [])
        return nnls(np.stack(columns, axis=1), y)

    far = [solved(exponent)[1] for exponent in EXPONENTS]
    best = int(np.argmin(far))
    bounds = np.log(EXPONENTS[[max(best - 1, 0), min(best + 1, len(EXPONENTS) - 1)]])
    found = minimize_scalar(lambda log: solved(np.exp(log))[1], bounds=bounds, method="bounded")
    exponent = float(np.exp(found.x))
    parts = solved(exponent)[0]
    return PowerLaw(float(parts[1]) if floor else 0.0, float(parts[0] * middle**exponent), exponent)


def check_places(x: np.ndarray, y: np.ndarray, least: int) -> None:
    """ValueError where a law cannot be fitted."""
    if x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all() and (x > 0).all()):
        raise ValueError(
            f"a law needs pairs of finite numbers, x above 0; here are x {x.tolist()}, y {y.tolist()}"
        )
    if len(np.unique(x)) < least:
        raise ValueError(
            f"a law of {least} numbers needs {least} places or more; here are {len(np.unique(x))}"
        )


@dataclass(frozen=True)
class Fitted:
    """A law, the laws of R bootstrap draws, and the scatter of measurements around it (N,)."""

    law: PowerLaw
    drawn: list[PowerLaw]
    scatter: np.ndarray

    def exponent(self, level: float = 0.95) -> Interval:
        """The exponent with its interval."""
        return interval(self.law.exponent, np.array([law.exponent for law in self.drawn]), level)

    def floor(self, level: float = 0.95) -> Interval:
        """The floor with its interval."""
        return interval(self.law.floor, np.array([law.floor for law in self.drawn]), level)

    def at(self, x: float, level: float = 0.95) -> Interval:
        """The error to expect at x: how sure the law is."""
        return interval(float(self.law.at(x)), np.array([law.at(x) for law in self.drawn]), level)

    def measured_at(self, x: float, seeds: int, seed: int = 0, level: float = 0.95) -> Interval:
        """The mean over so many new measurements at x: how sure the law is, and their own scatter."""
        draw = np.random.default_rng(seed)
        noise = draw.choice(self.scatter, size=(len(self.drawn), seeds)).mean(axis=1)
        found = np.array([law.at(x) for law in self.drawn]) + noise
        return interval(float(self.law.at(x)), found, level)


def fit_with_draws(
    x: Sequence[float], y: Sequence[float], floor: bool = True, draws: int = DRAWS, seed: int = 0
) -> Fitted:
    """A law with what other seeds could have made of it: its residuals drawn anew at every place.

    The residuals are lengthened by what the fit has taken from them, sqrt(N / (N - numbers of the law)).
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    law, numbers = fit_power_law(x, y, floor), 3 if floor else 2
    if len(x) <= numbers:
        raise ValueError(
            f"{len(x)} measurements fit a law of {numbers} numbers without saying how sure; take more"
        )
    scatter = (y - law.at(x)) * np.sqrt(len(x) / (len(x) - numbers))
    draw = np.random.default_rng(seed)
    made = law.at(x) + draw.choice(scatter, size=(draws, len(x)))
    return Fitted(law, [fit_power_law(x, each, floor) for each in made], scatter)
