"""The compiled steps of the Jaccard distance: each makes some rows of a sparse matrix and lets other threads run."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def reciprocal_rows(first, last, ranked, reciprocal, reciprocal_size, core, core_size):  # type: ignore[no-untyped-def]
    """Step 1: the neighbours that also have the image among theirs, of all and of the first half."""
    half = core.shape[1]
    for i in range(first, last):
        size = inner = 0
        for a in range(ranked.shape[1]):
            j = ranked[i, a]
            place = _place(ranked[j], i)
            if place < ranked.shape[1]:
                reciprocal[i, size] = j
                size += 1
                if a < half and place < half:
                    core[i, inner] = j
                    inner += 1
        reciprocal_size[i], core_size[i] = size, inner


@njit(cache=True, nogil=True)
def _place(images, image):  # type: ignore[no-untyped-def]
    """Where `image` first stands, or their number; without a branch, so that several are compared at a time."""
    place = images.shape[0]
    for k in range(images.shape[0]):
        place = min(place, k if images[k] == image else images.shape[0])
    return place


@njit(cache=True, nogil=True)
def expanded_sets(first, last, reciprocal, reciprocal_size, core, core_size):  # type: ignore[no-untyped-def]
    """Step 2: the expanded sets, ascending, one after the other; and their sizes."""
    members = np.empty(reciprocal.shape[1] * (core.shape[1] + 1), np.int32)
    # Marked with i: what row i is known to hold. A look-up without a branch, where merging sorted lists has many.
    owned, seen = np.full(reciprocal.shape[0], -1, np.int32), np.full(reciprocal.shape[0], -1, np.int32)
    sizes = np.empty(last - first, np.int64)
    indices = np.empty(64 * (last - first), np.int32)
    end = 0
    for i in range(first, last):
        own = reciprocal[i, : reciprocal_size[i]]
        size = _add_unseen(own, i, seen, members, 0)
        for candidate in own:
            owned[candidate] = i
        for candidate in own:
            other = core[candidate, : core_size[candidate]]
            common = 0
            for image in other:
                common += owned[image] == i
            if 3 * common > 2 * other.shape[0]:
                size = _add_unseen(other, i, seen, members, size)
        _sort(members[:size])
        if end + size > indices.shape[0]:
            indices = _grown(indices, end + size)
        for m in range(size):
            indices[end + m] = members[m]
        sizes[i - first] = size
        end += size
    return sizes, indices[:end].copy()


@njit(cache=True, nogil=True)
def weigh_rows(first, last, order, start, columns, weights, features, ranked, similarities, scale):  # type: ignore[no-untyped-def]
    """Step 3: fill in the weights of the expanded sets of `order[first:last]`, a softmax over each set in float32 of
    the squared distances over each image's `scale`.
    """
    near, rank = np.full(features.shape[0], -1, np.int32), np.empty(features.shape[0], np.int32)
    for i in order[first:last]:
        for k in range(ranked.shape[1]):
            near[ranked[i, k]] = i
            rank[ranked[i, k]] = k
        values = weights[start[i] : start[i + 1]]
        for m in range(values.shape[0]):
            j = columns[start[i] + m]
            similarity = similarities[i, rank[j]] if near[j] == i else _similarity(j, i, features, ranked, similarities)
            values[m] = (np.float32(2) * similarity - np.float32(2)) / scale[i]
        _softmax(values)


@njit(cache=True, nogil=True)
def mutual_rows(first, last, ranked, similarities, intra):  # type: ignore[no-untyped-def]
    """Camera-aware steps 1 and 3: per list, the neighbours that have the image in the same list of theirs; weighed."""
    width = ranked.shape[1]
    sizes = np.empty(last - first, np.int64)
    indices, weights = np.empty(width * (last - first), np.int32), np.empty(width * (last - first), np.float32)
    end = 0
    for i in range(first, last):
        start = end
        for a in range(width):
            j = ranked[i, a]
            if j < 0:
                continue
            theirs = ranked[j, :intra] if a < intra else ranked[j, intra:]
            if _place(theirs, i) == theirs.shape[0]:
                continue
            place = end
            while place > start and indices[place - 1] > j:
                indices[place], weights[place] = indices[place - 1], weights[place - 1]
                place -= 1
            indices[place], weights[place] = j, np.float32(2) * similarities[i, a] - np.float32(2)
            end += 1
        _softmax(weights[start:end])
        sizes[i - first] = end - start
    return sizes, indices[:end].copy(), weights[:end].copy()


@njit(cache=True, nogil=True)
def _add_unseen(images, stamp, seen, members, size):  # type: ignore[no-untyped-def]
    for image in images:
        if seen[image] != stamp:
            seen[image] = stamp
            members[size] = image
            size += 1
    return size


@njit(cache=True, nogil=True)
def _grown(array, least):  # type: ignore[no-untyped-def]
    larger = np.empty(max(2 * array.shape[0], least), array.dtype)
    for k in range(array.shape[0]):  # an assignment of slices takes a second longer to compile
        larger[k] = array[k]
    return larger


@njit(cache=True, nogil=True)
def _sort(values):  # type: ignore[no-untyped-def]
    """Shell sort with Ciura's gaps: as fast as NumPy's on some hundred integers, and quick to compile."""
    for gap in (301, 132, 57, 23, 10, 4, 1):
        for k in range(gap, values.shape[0]):
            value, place = values[k], k
            while place >= gap and values[place - gap] > value:
                values[place] = values[place - gap]
                place -= gap
            values[place] = value


@njit(cache=True, nogil=True)
def _similarity(i, j, features, ranked, similarities):  # type: ignore[no-untyped-def]
    """The inner product of rows i and j, looked up if j is a neighbour of i."""
    place = _place(ranked[i], j)
    return similarities[i, place] if place < ranked.shape[1] else _dot(features[i], features[j])


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for k in range(a.shape[0]):
        total += a[k] * b[k]
    return total


@njit(cache=True, nogil=True)
def _softmax(values):  # type: ignore[no-untyped-def]
    largest, total = np.float32(-np.inf), np.float32(0)
    for k in range(values.shape[0]):
        largest = max(largest, values[k])
    for k in range(values.shape[0]):
        values[k] = np.exp(values[k] - largest)
        total += values[k]
    for k in range(values.shape[0]):
        values[k] /= total


@njit(cache=True, nogil=True)
def expand_rows(first, last, start, columns, weights, ranked):  # type: ignore[no-untyped-def]
    """Step 4: each row becomes the mean of its first neighbours' rows, added in rank order; -1 is no neighbour."""
    total = np.zeros(start.shape[0] - 1, np.float32)
    touched = np.empty(start.shape[0] - 1, np.int32)
    sizes = np.empty(last - first, np.int64)
    indices, values = np.empty(256 * (last - first), np.int32), np.empty(256 * (last - first), np.float32)
    end = 0
    for i in range(first, last):
        size = averaged = 0
        for p in ranked[i]:
            if p < 0:
                continue
            averaged += 1
            for e in range(start[p], start[p + 1]):
                column = columns[e]
                if total[column] == 0:
                    touched[size] = column
                    size += 1
                total[column] += weights[e]
        _sort(touched[:size])
        if end + size > indices.shape[0]:
            indices, values = _grown(indices, end + size), _grown(values, end + size)
        for t in range(size):
            indices[end + t] = touched[t]
            values[end + t] = total[touched[t]] / np.float32(averaged)
            total[touched[t]] = 0
        sizes[i - first] = size
        end += size
    return sizes, indices[:end].copy(), values[:end].copy()


@njit(cache=True)
def invert(start, columns, weights):  # type: ignore[no-untyped-def]
    """For each column the rows that hold it, ascending, with their weights; and where each entry went."""
    column_end = np.zeros(start.shape[0] - 1, np.int64)
    for column in columns:
        column_end[column] += 1
    total = 0
    for column in range(column_end.shape[0]):
        total += column_end[column]
        column_end[column] = total - column_end[column]
    members, shares = np.empty(total, np.int32), np.empty(total, np.float32)
    places = np.empty(total, np.int64)
    for i in range(start.shape[0] - 1):
        for e in range(start[i], start[i + 1]):
            place = column_end[columns[e]]
            members[place], shares[place], places[e] = i, weights[e], place
            column_end[columns[e]] += 1
    return column_end, members, shares, places


@njit(cache=True, nogil=True)
def overlap_rows(first, last, start, columns, weights, column_end, members, shares, places, max_distance, least):  # type: ignore[no-untyped-def]
    """Step 5 for columns >= row: the overlaps, summed in ascending order of what is shared, pruned at once.

    Half a row's columns hold most of its weight. Whatever overlaps it by `least` (a lower bound for `max_distance`)
    overlaps it there, so the lists of the other columns are not looked through: the few images that can still be near
    enough are summed up along their own rows.
    """
    own, overlap = np.zeros(start.shape[0] - 1, np.float32), np.zeros(start.shape[0] - 1, np.float32)
    touched = np.empty(start.shape[0], np.int32)
    sizes = np.empty(last - first, np.int64)
    indices, values = np.empty(32 * (last - first), np.int32), np.empty(32 * (last - first), np.float32)
    end = 0
    for i in range(first, last):
        threshold, light = _light(weights[start[i] : start[i + 1]], least)
        size = 0
        for e in range(start[i], start[i + 1]):
            weight = weights[e]
            own[columns[e]] = weight
            if weight >= threshold:
                for m in range(places[e], column_end[columns[e]]):
                    j, share = members[m], shares[m]
                    before = overlap[j]
                    touched[size] = j
                    size += before == 0  # without a branch, which would be mispredicted
                    overlap[j] = before + (weight if weight < share else share)
        near = 0
        for t in range(size):
            j = touched[t]
            if light > 0 and overlap[j] + light >= least:
                overlap[j] = _overlap(own, columns[start[j] : start[j + 1]], weights[start[j] : start[j + 1]])
            if _distance(overlap[j]) <= max_distance:
                touched[near] = j
                near += 1
            else:
                overlap[j] = 0
        _sort(touched[:near])
        if end + near > indices.shape[0]:
            indices, values = _grown(indices, end + near), _grown(values, end + near)
        for t in range(near):
            indices[end + t] = touched[t]
            values[end + t] = _distance(overlap[touched[t]])
            overlap[touched[t]] = 0
        for column in columns[start[i] : start[i + 1]]:
            own[column] = 0
        sizes[i - first] = near
        end += near
    return sizes, indices[:end].copy(), values[:end].copy()


@njit(cache=True, nogil=True)
def _light(weights, least):  # type: ignore[no-untyped-def]
    """The mean weight and the sum of what is below it; or zeros, if that sum alone could make `least`."""
    total, light = np.float32(0), np.float32(0)
    for weight in weights:
        total += weight
    threshold = total / np.float32(max(weights.shape[0], 1))
    for weight in weights:
        light += weight if weight < threshold else np.float32(0)
    return (threshold, light) if light < least else (np.float32(0), np.float32(0))


@njit(cache=True, nogil=True)
def _overlap(own, columns, weights):  # type: ignore[no-untyped-def]
    """What one row shares with another, laid out in `own`; what is not shared adds an exact zero."""
    total = np.float32(0)
    for e in range(columns.shape[0]):
        share = own[columns[e]]
        total += weights[e] if weights[e] < share else share
    return total


@njit(cache=True, nogil=True)
def _distance(overlap):  # type: ignore[no-untyped-def]
    return max(np.float32(1) - overlap / (np.float32(2) - overlap), np.float32(0))


@njit(cache=True)
def both_halves(start, columns, distances):  # type: ignore[no-untyped-def]
    """Mirror the entries above the diagonal; columns stay ascending."""
    n = start.shape[0] - 1
    below = np.zeros(n, np.int64)
    for i in range(n):
        for e in range(start[i], start[i + 1]):
            below[columns[e]] += columns[e] != i
    whole = np.zeros(n + 1, np.int64)
    for i in range(n):
        whole[i + 1] = whole[i] + below[i] + start[i + 1] - start[i]
    indices, values = np.empty(whole[n], np.int32), np.empty(whole[n], np.float32)
    end = whole[:-1].copy()
    for i in range(n):  # rows before i have filled what stands below the diagonal of row i
        for e in range(start[i], start[i + 1]):
            indices[end[i]], values[end[i]] = columns[e], distances[e]
            end[i] += 1
            j = columns[e]
            if j != i:
                indices[end[j]], values[end[j]] = i, distances[e]
                end[j] += 1
    return whole, indices, values
