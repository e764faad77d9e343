"""Random number generators, each named by what it decides.

A generator depends on the seed and its labels only, never on how much was drawn before: what one
day holds does not depend on where a run began.
"""

from hashlib import blake2b

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

Label = str | int


def _entropy(seed: int, labels: tuple[Label, ...]) -> int:
    text = "\x1f".join((str(seed), *map(str, labels)))
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")


def generator(seed: int, *labels: Label) -> Generator:
    """A generator of its own for this seed and these labels."""
    return Generator(PCG64(SeedSequence(_entropy(seed, labels))))


def fraction(seed: int, *labels: Label) -> float:
    """One number in [0, 1) for these labels: cheaper than a generator."""
    return _entropy(seed, labels) / 2**128


def whole(seed: int, below: int, *labels: Label) -> int:
    """One whole number in [0, below) for these labels."""
    return _entropy(seed, labels) % below


def gamma_noise(rng: Generator, cv: float, shape: tuple[int, ...]) -> np.ndarray:
    """Gamma factors of mean 1 with a coefficient of variation: the overdispersion of counts."""
    k = 1.0 / (cv * cv)
    return rng.gamma(k, 1.0 / k, size=shape)
