from tests.store.conftest import project, template

__all__ = ["project", "template"]
