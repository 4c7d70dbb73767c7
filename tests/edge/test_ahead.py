import threading
import time

import pytest

from src.edge.ahead import ReadAhead


def numbers(count, read, error=None):
    for number in range(count):
        read.append(number)
        yield number
    if error:
        raise error


def settled(read):
    """Wait until nothing more is read."""
    before = -1
    while len(read) != before:
        before = len(read)
        time.sleep(0.05)


def test_all_items_come_in_order():
    with ReadAhead(numbers(100, []), 3) as ahead:
        assert list(ahead) == list(range(100)) and ahead.dropped == 0


def test_no_more_than_the_queue_holds_is_read_ahead():
    read = []
    with ReadAhead(numbers(100, read), 3) as ahead:
        settled(read)
        assert len(read) <= 4
        assert ahead.take(2, fill=True) == [0, 1]
        settled(read)
        assert len(read) <= 6


def test_a_full_queue_drops_the_oldest_and_counts_it():
    read = []
    with ReadAhead(numbers(20, read), 4, drop=True) as ahead:
        settled(read)
        assert len(read) == 20
        assert (list(ahead), ahead.dropped) == ([16, 17, 18, 19], 16)


def test_an_error_comes_after_the_items_before_it():
    before = threading.active_count()
    with ReadAhead(numbers(3, [], OSError("the camera burns")), 8) as ahead:
        found = []
        with pytest.raises(OSError, match="the camera burns"):
            found.extend(iter(lambda: ahead.take(1), []))
            pytest.fail("no error")
    assert threading.active_count() == before  # the thread has ended


def test_who_leaves_early_ends_the_reading():
    read = []
    with ReadAhead(numbers(10_000, read), 2) as ahead:
        assert ahead.take(1) == [0]
    settled(read)
    assert len(read) < 10


def test_a_batch_is_what_is_there_unless_it_is_to_be_filled():
    gate = threading.Event()

    def slow():
        yield 0
        gate.wait(5)
        yield from (1, 2)

    with ReadAhead(slow(), 4) as ahead:
        assert ahead.take(3) == [0]
        gate.set()
        assert ahead.take(2, fill=True) == [1, 2] and ahead.take(2, fill=True) == []
