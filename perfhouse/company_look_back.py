"""How many earlier monthly deliveries of a stream a build still reads: `[look_back]`.

Standard library only; where deliveries lie is not known here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from perfhouse.config_reader import Table, did_you_mean

MONTHS = 3  # for late versions of what was delivered
# Streams that count long after they were delivered: a ticket may be solved a year after it came in,
# a certificate is valid for years, a contract ends years after it was signed, and who answered last
# in spring is not asked in summer.
MONTHS_OF = {
    "coaching_plans": 12,
    "customers": 60,
    "survey_responses": 12,
    "tickets": 12,
    "training_records": 60,
}


def months_back(stream: str, chosen: Mapping[str, int]) -> int:
    """Return how many windows before the month a build reads of a stream."""
    return chosen.get(stream, MONTHS_OF.get(stream, MONTHS))


def farthest(chosen: Mapping[str, int]) -> int:
    """Return how many windows before the month a build reads of any stream."""
    return max(*MONTHS_OF.values(), *chosen.values())


def read_look_back(top: Table, streams: Collection[str] | None) -> Mapping[str, int]:
    """Return months by stream, from keys such as `tickets = 24`; never less than the default."""
    table = top.table("look_back")
    chosen = {}
    for stream in sorted(table.data):
        if streams is not None and stream not in streams:
            table.problem(stream, f"a stream{did_you_mean(stream, streams)}", stream)
            table.take(stream)
            continue
        chosen[stream] = table.whole(stream, 0, low=months_back(stream, {}))
    table.finish()
    return chosen
