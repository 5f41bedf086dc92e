import os
import subprocess

import pytest

from bench import meter


def test_meter_of_this_process_sees_its_work() -> None:
    before = meter.usage(os.getpid())
    while meter.usage(os.getpid()).cpu_us == before.cpu_us:
        sum(range(100_000))
    assert meter.usage(os.getpid()).rss_mb > 1


def test_meter_finds_a_child_by_the_start_of_its_name() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            assert meter.child(os.getpid(), "slee") == process.pid
        finally:
            process.kill()
    with pytest.raises(LookupError, match="no child slee"):
        meter.child(os.getpid(), "slee")
