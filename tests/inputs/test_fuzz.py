from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.faults.fuzzing import case
from benchmarks.faults.gates import GATES, survives

QUIET = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("gate", GATES)
def test_damaged_inputs_are_read_or_refused(gate: str, tmp_path: Path) -> None:
    seeds = GATES[gate][0]()
    for number in range(150):
        data = case(gate, number, 0, seeds)
        fault = survives(gate, data, tmp_path)
        assert fault is None, (fault, data[:2000])


@pytest.mark.parametrize("gate", GATES)
@given(data=st.binary(max_size=300))
@QUIET
def test_any_bytes_are_read_or_refused(gate: str, tmp_path: Path, data: bytes) -> None:
    assert survives(gate, data, tmp_path) is None


@pytest.mark.parametrize("gate", ["YAML", "JSON", "CSV", "XML", "list", "table of labels", "pattern"])
@given(text=st.text(max_size=300))
@QUIET
def test_any_text_is_read_or_refused(gate: str, tmp_path: Path, text: str) -> None:
    assert survives(gate, text.encode("utf-8", "surrogatepass"), tmp_path) is None
