"""The runs that a request names: their feeds, how far those reach, and what of them is missing."""

from dataclasses import dataclass

from diffrun_gateway.access import Viewer
from diffrun_gateway.feed import Feed
from diffrun_gateway.services import Services


@dataclass(frozen=True)
class Asked:
    """Cursors and data belong together as long as nothing is waited for between them."""

    feeds: list[Feed]
    notices: tuple[str, ...]

    @property
    def cursors(self) -> dict[str, str]:
        """By run: how far its data reach."""
        return {feed.uid: str(feed.position) for feed in self.feeds}


async def ask(services: Services, viewer: Viewer, uids: list[str]) -> Asked:
    """The runs, if the viewer may see them. Raises NotFound, BadRequest, Unavailable."""
    visible = await services.all_visible(viewer, uids)
    feeds = [await services.hub.feed(run.ref.uid) for run in visible]
    reasons = [await services.elsewhere.reason(run) for run in visible]
    pairs = zip(feeds, reasons, strict=True)
    return Asked(feeds, tuple(text for feed, reason in pairs for text in _notices(feed, reason)))


def _notices(feed: Feed, elsewhere: str | None) -> list[str]:
    run = feed.store.ref.name if feed.store.ref else feed.uid
    notices = [f"{run}: {notice}" for notice in feed.notices]
    if feed.store.full:
        notices.append(f"{run}: there are more points than this gateway keeps; later ones are left out")
    if elsewhere is not None and feed.store.ref is not None:  # a run without an event has no files yet
        notices.append(f"{run}: {elsewhere}")
    return notices
