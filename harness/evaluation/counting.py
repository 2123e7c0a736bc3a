"""Ranks of right answers by counting closer items instead of sorting, one strip of queries at a time.

The rank of gallery item p is one plus the number of valid items ranked before it: those with a lower index and at least
its similarity, and those with a higher index and a greater one. Comparing a whole row with one number vectorizes well,
and a query has few right answers.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray

from harness.evaluation.keys import OUT, index_of, ranking_keys
from harness.evaluation.matching import Index, Matches

if TYPE_CHECKING:
    from torch import Tensor

# Values of a row compared at a time: they stay in the L1 cache while they are compared with all right answers.
BLOCK = 4096
# Values tested as one block before they are tested one by one, when the top k of a ranking are searched.
GROUP = 64
# With more right answers than this a binary search per gallery item is cheaper than a comparison per right answer.
MANY = 800
# Chunks of a strip per thread: small, so that a thread delayed by another process delays the strip little.
PIECES = 8
# Keys computed at a time on a device: 64 MB.
KEYS = 2**23


@dataclass(frozen=True)
class Ranks:
    """Ranks of the right answers of a strip of queries.

    `counts` [queries] is the number of right answers, `ranks` their 1-based ranks, flat, ascending within a query (0 if
    its similarities contain NaN or infinity); `top` [queries, top_k] holds gallery indices, padded with -1.
    """

    counts: Index
    ranks: Index
    top: Index


def count_ranks(similarity: NDArray[Any], scale: NDArray[Any], junk: Index, matches: Matches, top_k: int) -> Ranks:
    """Count the ranks of all right answers and find the first `top_k` gallery items of each query.

    `similarity` [queries, gallery] is multiplied by `scale` [gallery] on the way; larger is closer.
    """
    ranks = np.empty(len(matches.right), np.int64)
    top = np.full((len(similarity), top_k), -1, np.int64)
    pieces = min(len(similarity), PIECES * get_num_threads())
    lists = matches.right, matches.right_start, matches.removed, matches.removed_start
    _count_ranks(similarity, scale, junk, *lists, pieces, ranks, top)
    return Ranks(np.diff(matches.right_start), ranks, top)


@njit(parallel=True, cache=True)
def _count_ranks(similarity, scale, junk, right, right_start, removed, removed_start, pieces, ranks, top):  # type: ignore[no-untyped-def]
    queries, gallery = similarity.shape
    for piece in prange(pieces):
        row = np.empty(gallery, similarity.dtype)
        for query in range(piece, queries, pieces):
            finite = _scaled(similarity[query], scale, row)
            # NaN compares false with everything, so removed items are never counted.
            for item in junk:
                row[item] = np.nan
            for item in removed[removed_start[query] : removed_start[query + 1]]:
                row[item] = np.nan
            items = right[right_start[query] : right_start[query + 1]]
            found = ranks[right_start[query] : right_start[query + 1]]
            if items.shape[0] > MANY:
                _search(row, items, found)
            else:
                _compare(row, items, found)
            if not finite:
                for k in range(found.shape[0]):
                    found[k] = 0
            if top.shape[1] > 0:
                _first(row, top[query])


@njit(cache=True, fastmath={"reassoc"})
def _scaled(values, scale, row):  # type: ignore[no-untyped-def]
    total = row.dtype.type(0)
    for j in range(values.shape[0]):
        row[j] = values[j] * scale[j]
        total += row[j] * 0  # NaN if the value is NaN or infinite, else 0
    return total == 0


@njit(cache=True)
def _compare(row, items, ranks):  # type: ignore[no-untyped-def]
    """Compare every block with all right answers, four at a time, to load each value once for four comparisons."""
    infinity = row.dtype.type(np.inf)
    limits = np.full((items.shape[0] + 3) // 4 * 4, infinity, row.dtype)
    counts = np.zeros(limits.shape[0], np.int64)
    for start in range(0, row.shape[0], BLOCK):
        block = row[start : start + BLOCK]
        for k in range(items.shape[0]):
            place, value = items[k] - start, row[items[k]]
            below = np.nextafter(value, -infinity)  # above this is the same as at least the value
            if place >= block.shape[0]:
                limits[k] = below
            elif place < 0:
                limits[k] = value
            else:
                limits[k] = infinity
                counts[k] += _above(block[:place], below) + _above(block[place + 1 :], value)
        for k in range(0, limits.shape[0], 4):
            _add_above(block, limits[k : k + 4], counts[k : k + 4])
    for k in range(items.shape[0]):  # sorted by insertion
        place = k
        while place > 0 and ranks[place - 1] > counts[k] + 1:
            ranks[place] = ranks[place - 1]
            place -= 1
        ranks[place] = counts[k] + 1


@njit(cache=True)
def _above(values, limit):  # type: ignore[no-untyped-def]
    count = 0
    for j in range(values.shape[0]):
        count += values[j] > limit
    return count


@njit(cache=True)
def _add_above(values, limits, counts):  # type: ignore[no-untyped-def]
    a, b, c, d = limits[0], limits[1], limits[2], limits[3]
    above_a = above_b = above_c = above_d = np.int32(0)  # 32 bits, so that a vector holds as many counts as values
    for j in range(values.shape[0]):
        value = values[j]
        above_a = np.int32(above_a + np.int32(value > a))
        above_b = np.int32(above_b + np.int32(value > b))
        above_c = np.int32(above_c + np.int32(value > c))
        above_d = np.int32(above_d + np.int32(value > d))
    counts[0] += above_a
    counts[1] += above_b
    counts[2] += above_c
    counts[3] += above_d


@njit(cache=True)
def _search(row, items, ranks):  # type: ignore[no-untyped-def]
    """Find, for each gallery item, the first right answer ranked after it, by bisection; then take cumulative sums."""
    items = items.copy()
    for gap in (1750, 701, 301, 132, 57, 23, 10, 4, 1):  # Shell sort with Ciura's gaps: quick to compile
        for k in range(gap, items.shape[0]):
            item, place = items[k], k
            while place >= gap and _comes_first(row, item, items[place - gap]):
                items[place] = items[place - gap]
                place -= gap
            items[place] = item
    last = row[items[-1]]
    before = np.zeros(items.shape[0] + 1, np.int64)
    for j in range(row.shape[0]):
        if row[j] >= last:  # false for NaN
            low, high = 0, items.shape[0]
            while low < high:
                middle = (low + high) // 2
                if _comes_first(row, j, items[middle]):
                    high = middle
                else:
                    low = middle + 1
            before[low] += 1
    total = 0
    for k in range(items.shape[0]):
        total += before[k]
        ranks[k] = total + 1


@njit(cache=True)
def _comes_first(row, a, b):  # type: ignore[no-untyped-def]
    return row[a] > row[b] or (row[a] == row[b] and a < b)


@njit(cache=True)
def _first(row, top):  # type: ignore[no-untyped-def]
    """Fill `top` with the indices of the largest values, descending, ties by index, by insertion."""
    filled = 0
    for start in range(0, row.shape[0], GROUP):
        group = row[start : start + GROUP]
        if filled == top.shape[0] and _above(group, row[top[-1]]) == 0:
            continue
        for j in range(start, start + group.shape[0]):
            value = row[j]
            place = min(filled, top.shape[0] - 1)
            if np.isnan(value) or (filled == top.shape[0] and value <= row[top[-1]]):
                continue
            filled = min(filled + 1, top.shape[0])
            while place > 0 and row[top[place - 1]] < value:
                top[place] = top[place - 1]
                place -= 1
            top[place] = j


def count_ranks_on_device(similarity: "Tensor", scale: "Tensor", junk: Index, matches: Matches, top_k: int) -> Ranks:
    """Return what `count_ranks` returns, computed with torch on the device of `similarity`, which is overwritten.

    Only the right answers are sorted. Every gallery item looks up by bisection how many of them come before it; those
    before the last right answer are counted by place, and the running sum of the counts are the ranks.
    """
    import torch

    device = similarity.device
    queries, gallery = similarity.shape

    def there(array: Index) -> "Tensor":
        return torch.from_numpy(array).to(device)

    similarity.mul_(scale)
    finite = similarity.sum(dim=1, keepdim=True).isfinite()
    similarity[:, there(junk)] = -torch.inf
    removed_owner = np.repeat(np.arange(queries), np.diff(matches.removed_start))
    similarity[there(removed_owner), there(matches.removed)] = -torch.inf

    counts = np.diff(matches.right_start)
    most = int(counts.max(initial=0))
    owner = np.repeat(np.arange(queries), counts)
    place = np.arange(len(owner)) - matches.right_start[owner]
    items = there(matches.right)
    right = torch.full((queries, most), torch.iinfo(torch.int64).max, device=device)
    right[there(owner), there(place)] = ranking_keys(similarity[there(owner), items], items)
    right = right.sort(dim=1).values

    bins = most + 1
    offset, size = torch.arange(queries, device=device)[:, None] * bins, there(counts)[:, None]
    passed = torch.zeros(queries * bins, dtype=torch.int64, device=device)
    best = torch.empty((queries, 0), dtype=torch.int64, device=device)
    width = max(1, KEYS // queries)
    for first in range(0, gallery, width):
        last = min(first + width, gallery)
        keys = ranking_keys(similarity[:, first:last], torch.arange(first, last, device=device))
        before = torch.searchsorted(right, keys, right=True)
        passed += torch.bincount((before + offset)[before < size], minlength=len(passed))
        if top_k:
            near = keys.topk(min(top_k, last - first), dim=1, largest=False).values
            best = torch.cat([best, near], dim=1).sort(dim=1).values[:, :top_k]
    ranks = passed.view(queries, bins).cumsum(dim=1) + 1
    ranks.masked_fill_(~finite, 0)

    top = np.full((queries, top_k), -1, np.int64)
    top[:, : best.shape[1]] = index_of(best).masked_fill_(best >= OUT, -1).cpu().numpy()
    return Ranks(counts, ranks.cpu().numpy()[owner, place], top)
