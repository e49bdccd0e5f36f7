"""Four threads that allocate and hash: threads.py ROUNDS."""

import hashlib
import sys
import threading
import time


def work(rounds):
    for _ in range(rounds):
        block = bytes(3000)
        hashlib.sha256(block).digest()
        [bytes(700) for _ in range(20)]


threads = [threading.Thread(target=work, args=(int(sys.argv[1]),)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(time.process_time())
