"""Read ahead: a thread fills a bounded queue while the caller processes earlier items."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from threading import Condition, Thread
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class ReadAhead(Generic[Item]):
    """Run a generator in its own thread, a bounded number of items ahead.

    An exception of the generator is raised by `take`, after the items before it.

    Attributes:
        dropped: Items that were thrown away because the queue was full.
    """

    def __init__(self, items: Generator[Item, None, None], depth: int, drop: bool = False) -> None:
        """Take the generator; `with` starts the thread and ends it.

        Args:
            items: What is read; closed by the thread.
            depth: Items that may wait.
            drop: When the queue is full, drop the oldest item instead of waiting.
        """
        self.dropped = 0
        self._items, self._depth, self._drop = items, depth, drop
        self._queue: deque[Item] = deque()
        self._changed = Condition()
        self._ended = self._closed = False
        self._error: BaseException | None = None
        # A daemon: a silent camera can block it long after the caller has left.
        self._thread = Thread(target=self._fill, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=1)

    def __iter__(self) -> Iterator[Item]:
        while items := self.take(1):
            yield items[0]

    def take(self, most: int, fill: bool = False) -> list[Item]:
        """Return the oldest items, at least one, or none when there are no more.

        Args:
            most: Items to return at most.
            fill: Wait for that many, as long as the queue may hold them.
        """
        wanted = min(most, self._depth) if fill else 1
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._queue) >= wanted)
            items = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
            self._changed.notify_all()
        if not items and self._error:
            raise self._error
        return items

    def _fill(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as error:  # raised again in the caller's thread
            self._error = error
        finally:
            self._items.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, item: Item) -> bool:
        """Queue an item; False when the caller has left."""
        with self._changed:
            if self._drop and len(self._queue) == self._depth:
                self._queue.popleft()
                self.dropped += 1
            self._changed.wait_for(lambda: self._closed or len(self._queue) < self._depth)
            self._queue.append(item)
            self._changed.notify_all()
            return not self._closed
