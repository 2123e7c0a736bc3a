from tests.data.conftest import unreadable

__all__ = ["unreadable"]
