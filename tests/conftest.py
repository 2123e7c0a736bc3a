"""No test fetches anything."""

import os

os.environ["HARNESS_OFFLINE"] = "1"
