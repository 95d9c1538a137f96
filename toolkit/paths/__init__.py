"""Every equal-cost path of a flow over the declared topology, and what becomes of it when something fails."""

from toolkit.paths.alternatives import Alternatives
from toolkit.paths.failure import HEALTHY, Failure, single_failures
from toolkit.paths.finder import Hop, Path, PathFinder

__all__ = ["HEALTHY", "Alternatives", "Failure", "Hop", "Path", "PathFinder", "single_failures"]
