"""How many streams are open at once, in all and for each user."""

import pytest

from diffrun_gateway.errors import Unavailable
from diffrun_gateway.settings import Limits
from diffrun_gateway.sse import Streams


async def test_one_user_cannot_take_the_streams_of_the_others() -> None:
    streams = Streams(Limits(streams=4, streams_per_user=2))
    streams.enter("alice")
    streams.enter("alice")
    with pytest.raises(Unavailable, match="you have too many open streams") as refused:
        streams.enter("alice")
    assert refused.value.problem.code == "TooManyStreams"
    streams.enter("bob")
    streams.leave("alice")
    streams.enter("alice")


async def test_those_who_look_without_a_token_count_as_different_up_to_the_whole() -> None:
    streams = Streams(Limits(streams=3, streams_per_user=1))
    for _ in range(3):
        streams.enter("")
    with pytest.raises(Unavailable, match="there are 3 open streams"):
        streams.enter("")
    streams.leave("")
    streams.enter("")


async def test_a_gateway_that_stops_opens_no_stream() -> None:
    streams = Streams(Limits())
    streams.stopping.set()
    with pytest.raises(Unavailable, match="stopping"):
        streams.enter("alice")
