from tests.leaderboard.conftest import pictured
from tests.store.conftest import project, template

__all__ = ["pictured", "project", "template"]
