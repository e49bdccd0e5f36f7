"""Calls, and nothing that is allocated: calls.py N."""

import sys
import time


def fibonacci(number):
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


fibonacci(int(sys.argv[1]))
print(time.process_time())
