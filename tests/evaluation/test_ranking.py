"""`evaluate_ranking` against a full sort, on every rule of protocol reid-v1."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.errors import UserError
from harness.evaluation import PROTOCOL, RankingResult, counting, evaluate_distances, evaluate_ranking, ranking
from harness.evaluation.matching import Labels

JUNK = -1


def sorted_ranking(similarity, query_ids, gallery_ids, query_cameras, gallery_cameras):
    """The protocol written down plainly: a stable sort, a filter, a loop. Returns a dictionary of lists per query."""
    result = {"ap": [], "inp": [], "trapezoid": [], "first_hit": [], "order": []}
    for q, row in enumerate(similarity):
        order = [
            g
            for g in np.argsort(-row, kind="stable")
            if gallery_ids[g] != JUNK
            and not (gallery_ids[g] == query_ids[q] and gallery_cameras[g] == query_cameras[q])
        ]
        ranks = [rank for rank, g in enumerate(order, start=1) if gallery_ids[g] == query_ids[q] != JUNK]
        n = len(ranks)
        result["order"].append(order)
        result["first_hit"].append(ranks[0] if ranks else 0)
        result["ap"].append(sum(i / r for i, r in enumerate(ranks, 1)) / n if ranks else np.nan)
        result["inp"].append(n / ranks[-1] if ranks else np.nan)
        areas = [(i / r + ((i - 1) / (r - 1) if r > 1 else 1)) / 2 for i, r in enumerate(ranks, 1)]
        result["trapezoid"].append(sum(areas) / n if ranks else np.nan)
    return result


def assert_equal(result: RankingResult, expected) -> None:
    first_hit = np.array(expected["first_hit"])
    valid = first_hit > 0
    np.testing.assert_allclose(result.ap, expected["ap"], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(result.first_hit, first_hit)
    assert result.map == pytest.approx(np.nanmean(expected["ap"]), abs=1e-12)
    assert result.minp == pytest.approx(np.nanmean(expected["inp"]), abs=1e-12)
    assert result.map_trapezoid == pytest.approx(np.nanmean(expected["trapezoid"]), abs=1e-12)
    for rank in (1, 5, 10):
        assert result.cmc[rank] == pytest.approx((first_hit[valid] <= rank).mean(), abs=1e-12)
    assert (result.n_valid, result.n_without_match) == (valid.sum(), (~valid).sum())
    for shown, order in zip(result.top, expected["order"], strict=True):
        wanted = (order + [-1] * len(shown))[: len(shown)]
        np.testing.assert_array_equal(shown, wanted)


@st.composite
def problems(draw):
    """Few distinct distances and identities: ties, junk, distractors, same cameras, unmatched queries abound."""
    queries, gallery = draw(st.integers(1, 12)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ids, cameras, values = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(1, 30))
    return (
        rng.integers(0, values, (queries, gallery)).astype(np.float32),
        rng.integers(JUNK, ids, queries),
        rng.integers(JUNK, ids, gallery),
        rng.integers(0, cameras, queries),
        rng.integers(0, cameras, gallery),
    )


@given(problems(), st.integers(0, 6), st.booleans())
@settings(max_examples=150, deadline=None)
def test_equals_a_stable_sort_whatever_counts_the_ranks(problem, top_k, on_device):
    distances, *labels = problem
    expected = sorted_ranking(-distances, *labels)
    if not any(expected["first_hit"]):
        with pytest.raises(UserError, match="none of the"):
            evaluate_distances(distances, *labels)
        return
    if on_device:
        read = Labels.read(*labels, junk=[JUNK])
        sign = -torch.ones(distances.shape[1])
        strip = torch.from_numpy(distances.copy())
        matches = read.matches(0, len(distances))
        ranks = counting.count_ranks_on_device(strip, sign, read.junk, matches, top_k)
        assert_equal(ranking.score([ranks]), expected)
    else:
        assert_equal(evaluate_distances(distances, *labels, top_k=top_k), expected)


def test_many_right_answers_take_the_other_way_of_counting():
    rng = np.random.default_rng(0)
    gallery_ids = rng.integers(JUNK, 2, 5 * counting.MANY)
    distances = rng.integers(0, 60, (8, len(gallery_ids))).astype(np.float32)
    labels = np.arange(8) % 2, gallery_ids, np.zeros(8, int), rng.integers(0, 3, len(gallery_ids))
    assert_equal(evaluate_distances(distances, *labels), sorted_ranking(-distances, *labels))


def test_a_gallery_longer_than_a_block_of_the_count():
    rng = np.random.default_rng(1)
    gallery_ids = rng.integers(0, 900, 3 * counting.BLOCK + 17)
    distances = rng.integers(0, 3000, (20, len(gallery_ids))).astype(np.float64)
    labels = rng.integers(0, 900, 20), gallery_ids, np.zeros(20, int), rng.integers(0, 3, len(gallery_ids))
    assert_equal(evaluate_distances(distances, *labels), sorted_ranking(-distances, *labels))


def corners(rng: np.random.Generator, rows: int) -> NDArray[np.float32]:
    """Vectors of +-1 in 16 dimensions: norm 4 and inner products are exact in float32, and ties are frequent."""
    return rng.choice(np.array([-1, 1], np.float32), (rows, 16))


def features_problem(seed: int, queries: int = 40, gallery: int = 300):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 9, queries), rng.integers(JUNK, 9, gallery)
    cameras = rng.integers(0, 3, queries), rng.integers(0, 3, gallery)
    return corners(rng, queries), corners(rng, gallery), *labels, *cameras


@pytest.mark.parametrize("strip_queries", [7, 1024])
def test_features_are_ranked_by_cosine_in_strips(monkeypatch, strip_queries):
    monkeypatch.setattr(ranking, "STRIP_QUERIES", strip_queries)
    query, gallery, *labels = features_problem(0)
    expected = sorted_ranking(query @ gallery.T, *labels)
    lengths = np.float32([1, 4, 0.5])[np.arange(len(gallery)) % 3, None]  # the cosine does not see the length
    assert_equal(evaluate_ranking(query * 8, gallery * lengths, *labels, top_k=10), expected)


@pytest.mark.parametrize("keys", [1, 500, 2**23])
def test_the_device_path_gives_the_same(monkeypatch, keys):
    query, gallery, *labels = features_problem(1)
    monkeypatch.setattr(ranking, "STRIP_QUERIES", 16)
    monkeypatch.setattr(counting, "KEYS", keys)
    read = Labels.read(*labels, junk=[JUNK])
    strips = ranking.strips_on_device(torch.from_numpy(query), torch.from_numpy(gallery), read, top_k=3)
    assert_equal(ranking.score(strips), sorted_ranking(query @ gallery.T, *labels))


def test_zeros_of_either_sign_are_a_tie():
    similarity = np.float32([[-0.0, 0.0, 0.5, -0.0, 0.0, -1e-30, 1e-30]])
    labels = np.array([1]), np.array([2, 1, 2, 1, 2, 2, 1]), np.array([0]), np.ones(7, int)
    expected = sorted_ranking(similarity, *labels)
    assert expected["order"] == [[2, 6, 0, 1, 3, 4, 5]]
    assert_equal(evaluate_distances(-similarity, *labels, top_k=7), expected)
    read = Labels.read(*labels, junk=[JUNK])
    strip = torch.from_numpy(similarity.copy())
    ranks = counting.count_ranks_on_device(strip, torch.ones(7), read.junk, read.matches(0, 1), 7)
    assert_equal(ranking.score([ranks]), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_similarities_on_a_device_must_be_finite(value):
    similarity = torch.zeros(2, 3)
    similarity[1, 2] = value
    read = Labels.read([1, 1], [1, 1, 1], [0, 0], [1, 1, 1], [JUNK])
    ranks = counting.count_ranks_on_device(similarity, torch.ones(3), read.junk, read.matches(0, 2), 0)
    with pytest.raises(UserError, match="query 1"):
        ranking.score([ranks])


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype(np.float16),
        lambda x: x.astype(np.float64),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: torch.from_numpy(x),
        lambda x: torch.from_numpy(x).requires_grad_(),
        lambda x: torch.from_numpy(x).bfloat16(),
        lambda x: x.tolist(),
    ],
    ids=["float16", "float64", "fortran", "strided", "torch", "torch with gradient", "bfloat16", "lists"],
)
def test_any_kind_of_features(convert):
    query, gallery, *labels = features_problem(2)
    result = evaluate_ranking(convert(query), convert(gallery), *labels)
    np.testing.assert_array_equal(result.ap, evaluate_ranking(query, gallery, *labels).ap)


def test_real_valued_features_are_ranked_as_in_double_precision():
    """Equal to 1e-6, as are all scores from equal distances above; only where the oracle's similarity of a right
    answer and of another image differ by less than float32 can tell is a query left out."""
    rng = np.random.default_rng(5)
    centers = rng.standard_normal((30, 64))
    query_ids, gallery_ids = rng.integers(0, 30, 200), rng.integers(JUNK, 30, 700)
    query = (centers[query_ids] + 2 * rng.standard_normal((200, 64))).astype(np.float32)
    gallery = (centers[gallery_ids] + 2 * rng.standard_normal((700, 64))).astype(np.float32)
    labels = query_ids, gallery_ids, rng.integers(0, 4, 200), rng.integers(0, 4, 700)
    lengths = [np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True) for x in (query, gallery)]
    similarity = (query / lengths[0]) @ (gallery / lengths[1]).T
    expected = sorted_ranking(similarity, *labels)

    def clear(q: int) -> bool:
        ranked = expected["order"][q]
        right = gallery_ids[ranked] == query_ids[q]
        close = -np.diff(similarity[q, ranked]) < 1e-6
        return not (close & (right[1:] != right[:-1])).any()

    kept = np.array([clear(q) for q in range(200)])
    assert kept.mean() > 0.95
    result = evaluate_ranking(query, gallery, *labels)
    np.testing.assert_allclose(result.ap[kept], np.array(expected["ap"])[kept], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(result.first_hit[kept], np.array(expected["first_hit"])[kept])
    some = np.flatnonzero(kept)
    result = evaluate_ranking(query[some], gallery, labels[0][some], labels[1], labels[2][some], labels[3])
    scores = sorted_ranking(similarity[some], labels[0][some], labels[1], labels[2][some], labels[3])
    first_hit = np.array(scores["first_hit"])
    assert result.map == pytest.approx(np.mean(scores["ap"]), abs=1e-6)
    assert result.minp == pytest.approx(np.mean(scores["inp"]), abs=1e-6)
    for rank in (1, 5, 10):
        assert result.cmc[rank] == pytest.approx((first_hit <= rank).mean(), abs=1e-6)


def test_identical_images_rank_by_gallery_index():
    ids, cameras = np.array([1, 2, 1, 3, 2, 1]), np.array([0, 1, 1, 0, 1, 1])
    same = np.ones((6, 4), np.float32)
    expected = sorted_ranking(np.ones((3, 6)), [1, 2, 3], ids, [0, 0, 1], cameras)
    assert_equal(evaluate_ranking(same[:3], same, [1, 2, 3], ids, [0, 0, 1], cameras, top_k=6), expected)


def test_identities_and_cameras_may_be_strings():
    query, gallery, *labels = features_problem(3)
    as_strings = [np.char.add("", label.astype(str)) for label in labels]
    as_objects = [label.astype(object) for label in as_strings]
    expected = evaluate_ranking(query, gallery, *labels).ap
    np.testing.assert_array_equal(evaluate_ranking(query, gallery, *as_strings).ap, expected)
    np.testing.assert_array_equal(evaluate_ranking(query, gallery, *as_objects).ap, expected)


def test_without_cameras_nothing_is_removed_by_camera():
    query, gallery, query_ids, gallery_ids, *_ = features_problem(4)
    nowhere = np.full(len(query), 0), np.full(len(gallery), 1)
    expected = sorted_ranking(query @ gallery.T, query_ids, gallery_ids, *nowhere)
    assert_equal(evaluate_ranking(query, gallery, query_ids, gallery_ids, None, None), expected)
    unknown = np.full(len(query), -1), np.full(len(gallery), -1)
    assert_equal(evaluate_ranking(query, gallery, query_ids, gallery_ids, *unknown), expected)


@pytest.mark.parametrize(
    ("hits", "ap", "trapezoid"),
    [([2, 4, 5], 0.5333333, 0.4055556), ([1], 1.0, 1.0), ([2], 0.5, 0.25), ([2, 4], 0.5, 1 / 3)],
)
def test_golden_average_precisions(hits, ap, trapezoid):
    gallery_ids = [1 if rank in hits else 2 for rank in range(1, 7)]
    result = evaluate_distances(np.arange(6.0)[None], [1], gallery_ids, [0], [1] * 6)
    assert result.map == pytest.approx(ap, abs=1e-6)
    assert result.map_trapezoid == pytest.approx(trapezoid, abs=1e-6)
    assert result.minp == pytest.approx(len(hits) / hits[-1])
    assert result.first_hit.tolist() == [hits[0]]


@pytest.mark.parametrize(("right", "ap"), [((1, 3), 0.5), ((2, 3), (1 / 3 + 2 / 4) / 2)])
def test_a_tie_goes_to_the_lower_gallery_index(right, ap):
    scores = np.array([[1, 0.5, 0.5, 0]])
    gallery_ids = [1 if g in right else 2 for g in range(4)]
    assert evaluate_distances(-scores, [1], gallery_ids, [0], [1] * 4).map == pytest.approx(ap)


def test_queries_without_a_match_are_left_out_and_counted():
    distances = np.tile(np.arange(4.0), (3, 1))
    # the second query's only image is by its own camera, the third has none
    result = evaluate_distances(distances, [1, 2, 3], [0, 1, 2, JUNK], [0, 0, 0], [1, 1, 0, 1])
    np.testing.assert_array_equal(result.ap, [0.5, np.nan, np.nan])
    assert (result.map, result.n_valid, result.n_without_match) == (0.5, 1, 2)


def test_junk_goes_and_distractors_stay():
    ids = [JUNK, 0, 1]
    assert evaluate_distances(np.arange(3.0)[None], [1], ids, [0], [1] * 3).map == 0.5
    assert evaluate_distances(np.arange(3.0)[None], [1], ids, [0], [1] * 3, junk_ids=[JUNK, 0]).map == 1.0
    assert evaluate_distances(np.arange(3.0)[None], ["1"], [str(i) for i in ids], [0], [1] * 3).map == 0.5


def test_one_query_and_one_gallery_image():
    result = evaluate_ranking([[3.0, 4.0]], [[1.0, 0.0]], [7], [7], [0], [1], top_k=3)
    assert (result.map, result.minp, result.map_trapezoid, result.cmc) == (1, 1, 1, {1: 1, 5: 1, 10: 1})
    assert result.top.tolist() == [[0, -1, -1]]
    assert PROTOCOL == "reid-v1"


def bad_row(value: float) -> NDArray[np.float32]:
    features = np.ones((5, 3), np.float32)
    features[3] = value
    return features


GOOD = np.ones((5, 3), np.float32)
IDS, CAMERAS = np.arange(5), np.zeros(5, int)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((bad_row(np.nan), GOOD, IDS, IDS, CAMERAS, CAMERAS + 1), r"query features: row 3 .* NaN"),
        ((GOOD, bad_row(np.inf), IDS, IDS, CAMERAS, CAMERAS + 1), r"gallery features: row 3 .* infinity"),
        ((GOOD, bad_row(0), IDS, IDS, CAMERAS, CAMERAS + 1), r"gallery features: row 3 has norm zero"),
        ((GOOD.astype(float) * 1e300, GOOD, IDS, IDS, CAMERAS, CAMERAS + 1), "row 0"),
        ((GOOD[0], GOOD, IDS, IDS, CAMERAS, CAMERAS + 1), "must be a non-empty matrix"),
        ((GOOD[:0], GOOD, IDS[:0], IDS, CAMERAS[:0], CAMERAS + 1), "must be a non-empty matrix"),
        ((GOOD[:, :2], GOOD, IDS, IDS, CAMERAS, CAMERAS + 1), r"\(5, 2\), gallery features \(5, 3\)"),
        ((GOOD, GOOD, IDS[:4], IDS, CAMERAS, CAMERAS + 1), "4 query ids for 5 images"),
        ((GOOD, GOOD, IDS, IDS, CAMERAS, CAMERAS[:4]), "4 gallery cameras for 5 images"),
        ((GOOD, GOOD, IDS, IDS, CAMERAS, None), "for query or gallery only"),
        ((GOOD, GOOD, IDS, IDS.astype(str), CAMERAS, CAMERAS + 1), "the same kind"),
        ((GOOD, GOOD, IDS[:, None], IDS, CAMERAS, CAMERAS + 1), "must be a flat list"),
        ((GOOD, GOOD, IDS + 0.5, IDS, CAMERAS, CAMERAS + 1), "must be integers or strings"),
        ((GOOD.astype(str), GOOD, IDS, IDS, CAMERAS, CAMERAS + 1), "must be numbers"),
        ((GOOD, GOOD, IDS, IDS, CAMERAS, CAMERAS), "none of the 5 queries"),
        ((GOOD, GOOD, IDS, IDS + 10, CAMERAS, CAMERAS + 1), "none of the 5 queries"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(UserError, match=message):
        evaluate_ranking(*arguments)


def test_distances_must_be_finite():
    distances = np.ones((2, 3))
    distances[1, 2] = np.nan
    with pytest.raises(UserError, match="query 1"):
        evaluate_distances(distances, [1, 1], [1, 1, 1], [0, 0], [1, 1, 1])
    with pytest.raises(UserError, match="must be a matrix"):
        evaluate_distances(distances[0], [1, 1], [1, 1, 1], [0, 0], [1, 1, 1])
