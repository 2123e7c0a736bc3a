from tests.store.conftest import project, store, template

__all__ = ["project", "store", "template"]
