"""A run's channel: how far its history reaches, who follows it, and what they are sent."""

import math
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from diffrun_gateway import telemetry
from diffrun_gateway.position import ZERO, Position, new_epoch
from diffrun_gateway.ring import Item, Ring

Clock = Callable[[], float]
"""Seconds that only ever rise."""


class Client(Protocol):
    """Whoever follows."""

    def events(self, channel: "Channel", items: list[Item]) -> None:
        """New events, in order."""

    def reset(self, channel: "Channel", reason: str) -> None:
        """What was fetched before is stale."""

    def live(self, channel: "Channel") -> None:
        """`channel.live` has changed."""

    def drained(self, channel: "Channel") -> None:
        """The run is over and everything has been sent."""

    def failed(self, channel: "Channel") -> None:
        """Nothing will come any more, though the run goes on: begin again."""


class Channel:
    """Each event becomes bytes once, shared by all clients; one that was cut off resumes from the ring."""

    def __init__(self, uid: str, *, live: bool, clock: Clock = time.monotonic) -> None:
        """`live` tells whether events come through Redis."""
        self.uid = uid
        self.epoch = new_epoch()
        self.last = ZERO
        self.live = live
        self.is_drained = self.has_failed = self.is_closed = False
        self.clients: set[Client] = set()
        self.clock = clock
        self.used = -math.inf
        """When somebody last asked for it, came or went."""
        self.listed = clock()
        """When a list last showed it, which makes room for whoever looks at a run."""
        self.ring = Ring()
        self._made: tuple[list[Item], bytes] | None = None

    @property
    def position(self) -> Position:
        """How far the history reaches."""
        return Position(self.last, self.epoch)

    def subscribe(self, client: Client, since: Position | None) -> None:
        """Sends everything after `since` (or nothing old) and then what comes. A reset where that is not to be had."""
        self.used = self.clock()
        if self.has_failed or self.is_closed:  # since the client asked for the channel
            client.failed(self)
            return
        self.clients.add(client)
        if since is not None:
            if self.ring.resumable(since, self.position):
                if missed := self.ring.after(since.id):
                    client.events(self, missed)
            else:
                telemetry.RESETS.labels("trimmed").inc()
                client.reset(self, "trimmed")
        if self.is_drained:
            client.drained(self)

    def unsubscribe(self, client: Client) -> None:
        """Sends nothing more."""
        self.clients.discard(client)
        self.used = self.clock()

    def shared(self, items: list[Item], make: Callable[["Channel", list[Item]], bytes]) -> bytes:
        """What `make` makes of the items, made once for all clients that get them."""
        if self._made is None or self._made[0] is not items:
            self._made = items, make(self, items)
        return self._made[1]

    def send(self, items: list[Item]) -> None:
        """New events for everybody."""
        telemetry.DISPATCH.observe(max(0.0, time.time() - items[0].id.ms / 1000))
        for client in self._everybody():
            client.events(self, items)

    def restart(self, reason: str) -> None:
        """The history has changed in its middle: a new epoch begins, and clients fetch again."""
        self.epoch = new_epoch()
        self.ring.restart(self.last)
        telemetry.RESETS.labels(reason).inc()
        for client in self._everybody():
            client.reset(self, reason)

    def tell_live(self, live: bool) -> None:
        """Redis answers, or does so no more."""
        self.live = live
        for client in self._everybody():
            client.live(self)

    def tell_drained(self) -> None:
        """The run is over, and all of it has been sent."""
        self.is_drained = True
        for client in self._everybody():
            client.drained(self)

    def tell_failed(self) -> None:
        """Nothing more will come from here."""
        self.has_failed = True
        for client in self._everybody():
            client.failed(self)

    def _everybody(self) -> Iterable[Client]:
        """Clients may leave while they are told."""
        return tuple(self.clients)
