"""Where water begins: one class per form of shore."""

from typing import NamedTuple

import numpy as np

from pipelines.landscapes import noise
from pipelines.landscapes.noise import Floats

# Farther than anything in a picture.
NOWHERE = 1e4


class NoShore(NamedTuple):
    """Land everywhere."""

    def distance(self, x: Floats, z: Floats) -> Floats:
        """Returns how far inland a point is; negative in water."""
        return np.full(np.broadcast_shapes(x.shape, z.shape), NOWHERE, np.float32)


class SideShore(NamedTuple):
    """The sea on one side, from the camera to the horizon."""

    side: float
    start: float
    lean: float
    roughness: float
    offset: float

    def distance(self, x: Floats, z: Floats) -> Floats:
        """Returns how far inland a point is; negative in water."""
        bays = noise.sample(noise.fractal(), z * 0.006 + self.offset, x * 0.004)
        return x * self.side - self.start + self.lean * z + self.roughness * bays * (z + 3)


class FrontShore(NamedTuple):
    """A beach at the feet of the camera, the sea beyond it, islands far out."""

    edge: float
    lean: float
    roughness: float
    islands: float
    offset: float

    def distance(self, x: Floats, z: Floats) -> Floats:
        """Returns how far inland a point is; negative in water."""
        bays = noise.sample(noise.fractal(), x * 0.01 + self.offset, z * 0.002)
        beach = self.edge + self.lean * x + self.roughness * bays * 6 - z
        shoals = noise.sample(noise.fractal(), x * 0.004 + self.offset, z * 0.004 + 0.37)
        island = (shoals - self.islands) * 60 - (z < 18) * NOWHERE
        return np.maximum(beach, island)


class Lake(NamedTuple):
    """A lake with a ragged oval shore."""

    x: float
    z: float
    width: float
    depth: float
    roughness: float
    offset: float

    def distance(self, x: Floats, z: Floats) -> Floats:
        """Returns how far inland a point is; negative in water."""
        a, b = (x - self.x) / self.width, (z - self.z) / self.depth
        ragged = noise.sample(noise.fractal(), x * 0.012 + self.offset, z * 0.012)
        return (np.sqrt(a * a + b * b) - 1 + self.roughness * ragged) * (0.6 * self.depth)


class River(NamedTuple):
    """A river winding away from the camera."""

    x: float
    lean: float
    winding: float
    length: float
    width: float
    phase: float
    end: float

    def distance(self, x: Floats, z: Floats) -> Floats:
        """Returns how far inland a point is; negative in water."""
        bend = noise.wave(z / self.length + self.phase) * self.winding * noise.smoothstep(0, 8, z)
        middle = self.x + self.lean * z + bend
        ragged = noise.sample(noise.fractal(), x * 0.02, z * 0.02 + self.phase)
        banks = np.abs(x - middle) - self.width * (1 + 0.5 * ragged)
        return np.maximum(banks, 0.15 * (z - self.end))


Shore = NoShore | SideShore | FrontShore | Lake | River
