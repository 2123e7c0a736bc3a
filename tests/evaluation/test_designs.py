import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.evaluation import evaluate_draws, evaluate_leave_one_out, evaluate_multi_query, evaluate_ranking


def features(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)


def average_precision(similarity, right, kept):
    order = [i for i in np.argsort(-similarity, kind="stable") if kept[i]]
    hits = [rank for rank, i in enumerate(order, start=1) if right[i]]
    return np.mean([n / rank for n, rank in enumerate(hits, start=1)]) if hits else None


def test_several_images_of_a_query_are_averaged_by_identity_and_camera():
    more, gallery = features(12), features(20, 1)
    more_ids, more_cameras = np.arange(12) % 3, np.arange(12) // 3 % 2
    gallery_ids, gallery_cameras = np.arange(20) % 4, np.arange(20) % 3
    queries = [(0, 0), (1, 1), (2, 0)]
    query_ids, query_cameras = map(np.array, zip(*queries, strict=True))
    result = evaluate_multi_query(
        query_ids, query_cameras, more, more_ids, more_cameras, gallery, gallery_ids, gallery_cameras
    )
    unit, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (more, gallery))
    for number, (identity, camera) in enumerate(queries):
        pooled = unit[(more_ids == identity) & (more_cameras == camera)].mean(axis=0)
        same = gallery_ids == identity
        wanted = average_precision(other @ pooled, same, ~(same & (gallery_cameras == camera)))
        assert result.ap[number] == pytest.approx(wanted)


def test_one_image_per_query_gives_the_usual_scores():
    query, gallery = features(6), features(20, 1)
    ids, cameras = np.arange(6) % 4, np.arange(6)
    gallery_ids, gallery_cameras = np.arange(20) % 4, np.arange(20) % 5
    usual = evaluate_ranking(query, gallery, ids, gallery_ids, cameras, gallery_cameras)
    multi = evaluate_multi_query(ids, cameras, query, ids, cameras, gallery, gallery_ids, gallery_cameras)
    np.testing.assert_allclose(multi.ap, usual.ap)


def test_a_query_without_images_is_named():
    with pytest.raises(UserError, match="query 1: no multi-query image shows identity 7 under camera 2"):
        evaluate_multi_query([1, 7], [1, 2], features(1), [1], [1], features(3), [1, 7, 7], [0, 0, 0])


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(1, 2))
def test_draws_put_so_many_of_each_identity_in_the_gallery_and_average(seed, gallery_images):
    ids = np.repeat(np.arange(7), [1, 2, 3, 4, 5, 6, 7])
    result = evaluate_draws(features(len(ids)), ids, draws=4, gallery_images=gallery_images, seed=seed)
    queries = sum(max(0, n - gallery_images) for n in range(1, 8))
    assert [draw.n_valid for draw in result.draws] == [queries] * 4
    assert result.map == pytest.approx(np.mean([draw.map for draw in result.draws]))
    assert result.cmc[1] == pytest.approx(np.mean([draw.cmc[1] for draw in result.draws]))
    assert result.map_std == pytest.approx(np.std([draw.map for draw in result.draws], ddof=1))


def test_draws_are_a_function_of_the_seed_alone():
    ids = np.repeat(np.arange(6), 5)
    a, b, c = (evaluate_draws(features(30), ids, draws=3, seed=seed).map for seed in (1, 1, 2))
    assert a == b != c


def test_a_draw_by_hand():
    """Two identities of two images, far apart: whatever is drawn, the one query image of each finds its own at once."""
    result = evaluate_draws(np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]]), ["a", "a", "b", "b"])
    assert (result.map, result.cmc[1], result.map_std) == (1, 1, 0)


def test_single_images_cannot_be_split():
    with pytest.raises(UserError, match="no identity has more than 1 images"):
        evaluate_draws(features(3), [1, 2, 3])


def test_leave_one_out_is_the_loop():
    rows, ids, sessions = features(15), np.arange(15) % 4, np.arange(15) // 4
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for marks in (None, sessions):
        result = evaluate_leave_one_out(rows, ids, marks)
        for query in range(15):
            same = ids == ids[query]
            left_out = np.arange(15) == query if marks is None else same & (marks == marks[query])
            wanted = average_precision(unit @ unit[query], same, ~left_out)
            assert result.ap[query] == pytest.approx(wanted)


def test_unsigned_and_signed_identities_are_the_same_numbers():
    """NumPy makes floats of the two together, as which −1 was no junk any more."""
    query, gallery = features(4), features(12, 1)
    ids, gallery_ids = np.array([0, 1, 2, 3]), np.array([-1, 0, 1, 2, 3, -1, 0, 1, 2, 3, -1, 0])
    usual = evaluate_ranking(query, gallery, ids, gallery_ids, None, None)
    for kind in (np.uint8, np.uint64):
        assert evaluate_ranking(query, gallery, ids.astype(kind), gallery_ids, None, None).map == usual.map
    with pytest.raises(UserError, match=r"query ids .* 64 bits"):
        evaluate_ranking(query, gallery, np.array([0, 1, 2, 2**64 - 1], np.uint64), gallery_ids, None, None)
