import pytest

from harness.errors import UserError
from harness.evaluation.variants import named, parsed


@pytest.mark.parametrize(
    ("steps", "designs", "protocol", "transductive", "cameras"),
    [
        ([], [], "reid-v1", False, False),
        (["none"], [], "reid-v1", False, False),
        (["rerank"], [], "reid-v1+rerank", True, False),
        (["camnorm"], [], "reid-v1+camnorm", True, True),
        (["rerank", "flip", "camnorm", "rerank"], [], "reid-v1+flip+camnorm+rerank", True, True),
        (["rerank"], ["sessions", "draws"], "reid-v1+draws+sessions+rerank", True, False),
        ([], ["multi-query"], "reid-v1+multi-query", False, False),
    ],
)
def test_a_variant_has_one_name(steps, designs, protocol, transductive, cameras):
    variant = named(steps, designs)
    assert (variant.protocol, variant.transductive, variant.test_cameras) == (protocol, transductive, cameras)
    assert parsed(protocol) == variant


@pytest.mark.parametrize(
    ("steps", "designs", "said"),
    [
        (["rank"], [], "no test-time step is called 'rank'; did you mean 'rerank'?"),
        ([], ["draw"], "no design is called 'draw'; did you mean 'draws'?"),
        ([], ["draws", "multi-query"], "multi-query and draws each say which images are queries"),
        (["rerank"], ["leave-one-out"], "each would stand on both sides"),
    ],
)
def test_what_is_no_variant_is_refused(steps, designs, said):
    with pytest.raises(UserError, match=said.replace("?", "[?]")):
        named(steps, designs)


@pytest.mark.parametrize("name", ["reid-v2", "reid-v1+", "reid-v1+rerank+flip", "reid-v1+rerank+rerank", "+rerank"])
def test_only_the_one_name_is_parsed(name):
    with pytest.raises(UserError, match="no protocol is called"):
        parsed(name)
