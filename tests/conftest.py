"""No test fetches anything, and what tests start heeds signals though the tests themselves run in the background."""

import os
import signal

os.environ["HARNESS_OFFLINE"] = "1"

for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:  # by `&` in a script, or nohup; commands would inherit that
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
