"""Every method that runs on the drawn benchmark holds what a method must hold."""

from tests.methods.case import MethodCase, UnlabeledMethodCase
from tests.pipeline.tiny import drawn_methods, shipped

for _name in drawn_methods():
    _case = UnlabeledMethodCase if shipped().methods[_name].setting in ("usl", "uda") else MethodCase
    _title = "Test" + "".join(part.capitalize() for part in _name.split("-"))
    globals()[_title] = type(_title, (_case,), {"method": _name})
