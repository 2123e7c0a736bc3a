"""What a run found for a query: its ranked list, the right images wherever they are, and how similar all are."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from harness.data import Split
from harness.errors import UserError
from harness.leaderboard import images
from harness.leaderboard.images import Picture
from harness.leaderboard.state import project, read
from harness.paths import run_folder
from harness.store import Store, views
from harness.store.lists import Query, Ranked, histogram, read_queries, read_ranked, with_lists
from harness.store.models import Run
from harness.tables.formats import escape_markdown, prose
from harness.tables.style import JUNK, RIGHT, WRONG

LEGEND = "By rank, with the cosine similarity. ✓ in green: the same identity; ✗ in vermilion: another one."
NO_CAMERA = "-"


def queries(key: str) -> tuple[list[Query], str]:
    """Return a run's queries, or why they are not here; read again when its files change."""
    folder = run_folder(project(), key)
    files = [folder / name for name in ("queries.parquet", "metrics.json")]
    return read(_queries, key, tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files))


def _queries(_store: Store, key: str, _stamps: tuple[int, ...]) -> tuple[list[Query], str]:
    try:
        return read_queries(project(), key), ""
    except UserError as error:
        return [], str(error)


def listed() -> frozenset[str]:
    """Return the keys of the runs whose ranked lists are here."""
    return with_lists(project())


def show(run: Run, name: str, query: Query, explained: bool = True) -> None:
    """Draw what a run found for a query; `explained` adds the histogram of similarities."""
    ap = float(read(views.ap, run.key)[query.index])
    score = "no match in the gallery" if np.isnan(ap) else f"AP {100 * ap:.1f}"
    st.markdown(f"**{escape_markdown(name)}** · query {query.index} · {score}")
    try:
        dataset = read(views.dataset, run.target)
        probes, data = images.split(dataset, "query")
        gallery, _ = images.split(dataset, "gallery")
        ranked = read_ranked(project(), run.key, query.index)
    except UserError as error:
        st.info(prose(str(error)), icon=":material/image_not_supported:")
        return
    same = query.index < len(probes) and probes.ids[query.index] == query.identity
    if (data and run.target_hash and run.target_hash != data) or not same:
        st.warning("The prepared images are of another version of the dataset than this run saw: they are not shown.")
        return
    probe = Picture(probes.images[query.index], f"query · id {query.identity}{_camera(query.camera)}",
                    f"Query {query.index}, identity {query.identity}")  # fmt: skip
    images.strip([probe, *_ranking(gallery, ranked)])
    _right_ones(gallery, ranked)
    if explained:
        _similarities(ranked, run.key)
    _junk(gallery, query)


def _camera(camera: int) -> str:
    return f" · cam {camera}" if camera >= 0 else ""


def _ranking(gallery: Split, ranked: Ranked) -> list[Picture]:
    similarity = [f" · {value:.2f}" for value in ranked.similarity] or [""] * len(ranked.gallery)
    return [
        Picture(
            gallery.images[index],
            f"{place} {'✓' if right else '✗'} id {gallery.ids[index]}{_camera(gallery.cameras[index])}{cosine}",
            f"Rank {place}, {'right' if right else 'wrong'}: identity {gallery.ids[index]}, "
            f"camera {gallery.cameras[index]}",
            RIGHT if right else WRONG,
        )
        for place, (index, right, cosine) in enumerate(
            zip(ranked.gallery, ranked.correct, similarity, strict=False), start=1
        )
        if 0 <= index < len(gallery)
    ]


def _right_ones(gallery: Split, ranked: Ranked) -> None:
    """All images of the identity by other cameras, with where they came in the ranking."""
    found = list(zip(ranked.matches, ranked.match_ranks, ranked.match_similarity, strict=False))
    if not found:
        return
    st.markdown(f"**The right ones** :gray[{len(found)} images, each with its rank and similarity]")
    images.strip(
        [
            Picture(
                gallery.images[index],
                f"rank {rank}{_camera(gallery.cameras[index])} · {cosine:.2f}",
                f"A right image, at rank {rank} of camera {gallery.cameras[index]}",
                RIGHT if rank <= len(ranked.gallery) else None,
            )
            for index, rank, cosine in found[:24]
            if 0 <= index < len(gallery)
        ]
    )


def _similarities(ranked: Ranked, name: str) -> None:
    rows = histogram(ranked)
    if not rows:
        return
    import altair as alt  # only where there is something to draw
    import pandas as pd

    from harness.leaderboard import charts

    color = alt.Color("kind:N", title=None, scale=alt.Scale(domain=["right", "wrong"], range=[RIGHT, WRONG]))
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(opacity=0.7)
        .encode(
            x=alt.X("low:Q", bin="binned", title="cosine similarity to the query", scale=alt.Scale(zero=False)),
            x2="high:Q",
            y=alt.Y("share:Q", title="share of each kind", stack=None, axis=alt.Axis(format="%")),
            color=color,
            tooltip=["kind", alt.Tooltip("low:Q", format=".2f", title="from"), alt.Tooltip("share:Q", format=".0%")],
        )
        .properties(height=200)
    )
    note = "wrong: an even sample of the gallery; the more the two overlap, the harder the query"
    charts.show(chart, f"similarities-{name}", "Similarity of right and wrong images", note)


def _junk(gallery: Split, query: Query) -> None:
    junk: NDArray[np.int64] = np.flatnonzero((gallery.ids == query.identity) & (gallery.cameras == query.camera))
    if junk.size:
        with st.expander(f"{junk.size} images of the same identity and camera were removed before scoring"):
            images.strip(
                [
                    Picture(gallery.images[i], f"✕{_camera(gallery.cameras[i])}",
                            f"Removed: the query's own identity and camera {gallery.cameras[i]}", JUNK)
                    for i in junk[:12]
                ]
            )  # fmt: skip
