"""The reference of the Python API: one page per package, which mkdocstrings fills in from the docstrings."""

from __future__ import annotations

import ast
from pathlib import Path

INDEX = """\
# Python API

What notebooks and scripts of your own call. NumPy arrays and torch tensors on any device are accepted wherever features
are. These names stay; everything else below them may move between minor versions.

| import | does |
| :--- | :--- |
"""
CONTRACT = {
    "harness": ("load",),
    "harness.evaluation": ("evaluate_ranking", "evaluate_distances", "compare_ap", "compare_runs", "rerank"),
    "harness.labels": ("jaccard_distance", "ca_jaccard_distance", "cluster"),
    "harness.data": ("read_dataset",),
    "harness.specs": ("load_method", "load_dataset"),
}
EXAMPLE = """\

```python
import numpy as np
from harness.evaluation import evaluate_ranking

rng = np.random.default_rng(0)
query, gallery = rng.normal(size=(20, 64)), rng.normal(size=(200, 64))
result = evaluate_ranking(
    query, gallery,
    query_ids=np.arange(20) % 10, gallery_ids=np.arange(200) % 10,
    query_cameras=np.zeros(20), gallery_cameras=np.ones(200),
)
print(f"mAP {result.map:.3f}, Rank-1 {result.cmc[1]:.3f}, mINP {result.minp:.3f}")
```

## Packages

"""
