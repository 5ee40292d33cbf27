"""Threads may decode a type for the first time at the same moment: the process must survive it."""

import subprocess
import sys
from collections import Counter

PROCESSES = 15
"""Without the preparation every other one of these ends with a segmentation fault."""
CHILD = """
import sys, threading
import msgspec
from core.runtime.threaded import ThreadedRuntime
sys.setswitchinterval(1e-6)
names = [f"f{number}" for number in range(60)]
body = "".join(f"    {name}: Optional[Dict[str, List[Union[int, str, None]]]] = None\\n" for name in names)
exec("from typing import *\\nclass Wide(msgspec.Struct):\\n" + body)
runtime = ThreadedRuntime()
raw = msgspec.json.encode({name: {"a": [1, "x"]} for name in names})
together = threading.Barrier(6)

def decode():
    together.wait()
    msgspec.json.decode(raw, type=Wide)

threads = [threading.Thread(target=decode) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
runtime.stop(1.0)
"""


def test_threads_that_decode_a_type_for_the_first_time_together_do_not_end_the_process() -> None:
    ended = Counter(
        subprocess.run([sys.executable, "-c", CHILD], check=False, timeout=60).returncode for _ in range(PROCESSES)
    )
    assert ended == {0: PROCESSES}
