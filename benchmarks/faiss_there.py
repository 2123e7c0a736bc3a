"""faiss's exact search on a GPU, the reference for ours."""

from __future__ import annotations

import faiss
import torch

from benchmarks.measure import measured


def faiss_seconds(query: torch.Tensor, gallery: torch.Tensor, k: int) -> float | None:
    """Time the search of the `k` nearest on the GPU, host to host as ours is; None where faiss has no GPU."""
    if gallery.device.type == "cpu" or not hasattr(faiss, "get_num_gpus") or not faiss.get_num_gpus():
        return None
    index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), gallery.shape[1])
    index.add(gallery.cpu().numpy())
    rows = query.cpu().numpy()
    return measured(lambda: index.search(rows, k))[1].seconds
