"""Declarative experiments and an honest leaderboard for unsupervised and cross-domain re-identification."""

from typing import TYPE_CHECKING

from harness.lazy import lazy_attributes

if TYPE_CHECKING:
    from harness.use.model import load as load

__all__ = ["__version__", "load"]

__version__ = "0.1.0"
__getattr__ = lazy_attributes(__name__, {"load": "harness.use.model:load"})
