"""How much an input may hold. What is beyond is refused with a message, never read on."""

from __future__ import annotations

TEXT_BYTES = 64 * 2**20
"""Of a YAML, JSON, CSV, XML or list file; the plan of 10,000 runs takes 5 MB."""
TABLE_BYTES = 2 * 2**30
"""Of a Parquet file, and of its columns once decoded."""
PUBLISHED_BYTES = 512 * 2**20
"""Of the snapshot of a plan's results."""
IMAGE_BYTES = 256 * 2**20
DEPTH = 64
"""Levels of a document."""
NODES = 2_000_000
"""Values of a document, those that YAML's aliases repeat counted as often as they are repeated."""
EXPLAINED = 200_000
"""Characters of a broken YAML file that the slow parser, whose messages say more, looks at: two seconds of them."""
STRING = 1_000_000
"""Characters of one string of a document."""
INTEGER = 2**63
"""Integers of a document are smaller in magnitude: they fit a database and an array."""
MISTAKES = 20
"""Of one file that are listed; the rest is counted."""
ROWS = 10_000_000
CELL = 10_000
"""Characters of one cell of a CSV file."""
PIXELS = 16_000_000
"""Of one image; re-ID crops have thousands, so more is a bomb or not a crop. Decoded it takes at most 190 MB."""
SIDE = 65_500
"""Pixels along one side: JPEG's own limit."""
DIGITS = 18
"""Of an identity, camera or frame: they fit 64 bits."""
NAME = 4_096
"""Bytes of a path; Linux allows no more."""
MEMBERS = 5_000_000
"""Entries of an archive, wanted or not; the largest dataset has 126,441 images."""
PATTERN_SECONDS = 1.0
"""Processor time that a regular expression may take for one name."""
