from tests.pipeline.conftest import tiny

__all__ = ["tiny"]
