"""What was sent last, kept so that a stream that broke off goes on where it was."""

from collections import deque

from diffrun_gateway.position import ZERO, Position, StreamId

RING_BYTES, RING_ITEMS = 8 << 20, 20_000


class Item:
    """An event as clients get it."""

    __slots__ = ("data", "id")

    def __init__(self, id_: StreamId, data: bytes) -> None:
        self.id = id_
        self.data = data


class Ring:
    """The newest items, at most `RING_ITEMS` and `RING_BYTES` of them."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._floor = ZERO  # everything after it, of the present epoch, is here
        self._foreign_floor: StreamId | None = None  # the same for positions of other epochs; None: none of them

    def keep(self, item: Item) -> None:
        """Takes one more, and lets go of the oldest where that is too much."""
        self._items.append(item)
        self._bytes += len(item.data)
        while len(self._items) > RING_ITEMS or self._bytes > RING_BYTES:
            oldest = self._items.popleft()
            self._bytes -= len(oldest.data)
            self._floor = oldest.id
            if self._foreign_floor is not None:
                self._foreign_floor = max(self._foreign_floor, oldest.id)

    def serve_other_epochs(self, first: StreamId) -> None:
        """Positions that another gateway gave can be resumed from `first` on: the ring has the stream's own events."""
        self._foreign_floor = max(first, self._floor)

    def restart(self, at: StreamId) -> None:
        """A new epoch begins: nothing before `at` can be resumed."""
        self._items.clear()
        self._bytes = 0
        self._floor, self._foreign_floor = at, None

    def resumable(self, since: Position, now: Position) -> bool:
        """Whether everything between the two is here."""
        floor = self._floor if since.epoch == now.epoch else self._foreign_floor
        return floor is not None and floor <= since.id <= now.id

    def after(self, id_: StreamId) -> list[Item]:
        """What came after `id_`, in order."""
        return [item for item in self._items if item.id > id_]
