"""The protocol by which ranks become numbers, by name: another name, another meaning of every score."""

from __future__ import annotations

PROTOCOL = "reid-v1"
