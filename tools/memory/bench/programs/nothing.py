"""Starts and ends."""

import time

print(time.process_time())
