"""The words for settings, roles and states, and the glossary: once, for pages, terminal and site."""

from __future__ import annotations

SETTINGS = {
    "usl": "unsupervised (USL)",
    "uda": "domain adaptation (UDA)",
    "direct": "direct transfer",
    "supervised": "supervised",
}
SHORT_SETTINGS = {"usl": "USL", "uda": "UDA"}
ROLES = {
    "method": "methods",
    "ablation": "ablations",
    "canary": "floors",
    "quoted": "quoted only",
    "unfinished": "unfinished",
}
"""Kinds of rows in a table, as the filter names them."""
ROLE_NOTES = {"ablation": "ablation", "canary": "floor: no method may fall to it", "init": "start for others"}
STATES = {
    "published": "published",
    "own": "computed here",
    "elsewhere": "computed elsewhere",
    "running": "running",
    "trained": "trained, not evaluated",
    "failed": "failed",
    "interrupted": "interrupted",
    "queued": "queued",
}
"""What may have become of a run."""

INTRODUCTION = (
    "Person and vehicle re-identification: a model ranks the images of a gallery by how likely they show the same "
    "individual as a query. Here methods that learn without labels of the target are run on equal terms, and every "
    "figure leads to the record of the run behind it."
)
GLOSSARY = {
    "USL": "unsupervised learning: the method sees images of the target, no labels at all",
    "UDA": "unsupervised domain adaptation: labeled images of a source, images of the target without labels",
    "direct transfer": "trained on a labeled source, evaluated on the target as it is",
    "supervised": "trained with the target's labels: a bound, no competitor",
    "source → target": "where the labels come from, and where the method is evaluated",
    "mAP": "mean average precision over the queries, percent",
    "R-1, Rank-1": "share of queries whose first result is right, percent",
    "mINP": "mean inverse negative penalty: how early the last right image comes",
    "floor": "what needs no learning at all; no method may fall to it",
    "bound": "a supervised method, which has what the others do without; it takes no part in best and second",
    "regime": "how much a run may spend: image size, network, batch, epochs; `drawn` is small, `paper` as published",
    "tied": "rows that share a letter cannot be told apart by the test named below the table; without a letter, alone",
    "published": "computed by the authors of this repository and carried by git; not computed on this machine",
    "reported": "a figure quoted from a publication",
    "unfinished": "planned, running or failed: no result yet",
    "junk": "gallery images of the query's own camera and identity, removed before scoring",
    "bn_groups": "into how many parts a batch is split for BatchNorm, as several GPUs would",
    "snapshot": "a name for the state of all results; the same results have the same name",
}


def setting_name(setting: str) -> str:
    """Return a setting's short name as people write it."""
    return SHORT_SETTINGS.get(setting, setting)


def is_bound(setting: str, role: str) -> bool:
    """Whether a row takes no part in best and second: supervised bounds and floors."""
    return setting == "supervised" or role == "canary"
