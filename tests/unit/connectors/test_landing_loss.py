from __future__ import annotations

from dataclasses import replace

import pytest
from landing_kit import MONTH, SURVEY, Place, column, company, mapping, source

from connectors import base, landing
from perfhouse.errors import SourceChanged
from perfhouse.lake import Manifest
from perfhouse.month import Month

HEAD = "id,when,score\n"
NEXT = Month("2026-10")


def rows(count: int, first: int = 0) -> str:
    return HEAD + "".join(f"r{first + n},02/09/2026 10:00,5\n" for n in range(count))


def accept(place: Place, month: Month = MONTH) -> Manifest:
    given = source()
    where = (company(place.zone, given), month, place.data, place.home)
    return landing.ingest(given, *where, accept_loss=True)


def test_a_delivery_that_lost_more_than_half_is_refused_until_somebody_accepts(
    place: Place,
) -> None:
    place.put("s.csv", rows(40))
    first = place.ingest()
    place.put("s.csv", rows(19))
    with pytest.raises(SourceChanged) as caught:
        place.ingest()
    text = str(caught.value)
    assert "survey_responses: 19 rows, 40 in the delivery before" in text
    assert "more than 50% (max_loss)" in text
    assert "Desk <desk@example.com>" in text
    assert "perfhouse ingest --source surveys --month 2026-09 --accept-loss" in text
    assert len(place.rows(first, "response_id")) == 40
    with pytest.raises(SourceChanged, match="19 rows, 40 in"):
        place.land(source())
    assert accept(place).streams["survey_responses"].landed == 19
    assert place.ingest().unchanged


@pytest.mark.parametrize(("before", "after"), [(40, 20), (19, 1), (40, 400)])
def test_half_of_the_rows_or_few_of_them_may_be_missing(
    place: Place, before: int, after: int
) -> None:
    place.put("s.csv", rows(before))
    place.ingest()
    place.put("s.csv", rows(after))
    assert place.ingest().streams["survey_responses"].landed == after


def test_a_source_says_how_much_may_be_missing(place: Place) -> None:
    place.put("s.csv", rows(100))
    place.ingest()
    place.put("s.csv", rows(94))
    with pytest.raises(SourceChanged, match="more than 5%"):
        place.ingest(source(options={"max_loss": 0.05}))
    assert place.ingest(source(options={"max_loss": 0.06})).streams["survey_responses"].landed == 94


def test_rows_that_a_mended_mapping_leaves_out_are_no_loss(place: Place) -> None:
    place.put("s.csv", rows(40))
    place.ingest()
    fewer = source(mapping(SURVEY, where="\"id\" = 'r1'"))
    assert place.land(fewer).streams["survey_responses"].landed == 1


def test_a_snapshot_is_held_against_the_month_before(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {**SURVEY, "submitted_at": column(value="2026-09-05 10:00:00")}
    place.put("s.csv", rows(100))
    place.put("s.csv", rows(79), month="2026-10")
    place.ingest(source(mapping(columns)))
    known = replace(base.get("files"), snapshots=("survey_responses",))
    with monkeypatch.context() as patch:
        patch.setattr(base, "get", lambda _: known)
        with pytest.raises(SourceChanged, match="79 rows, 100 in 2026-09; a loss of more than 20%"):
            place.ingest(source(mapping(columns)), NEXT)
        place.put("s.csv", rows(80), month="2026-10")
        assert place.ingest(source(mapping(columns)), NEXT).month == "2026-10"
    place.put("s.csv", rows(45), month="2026-10")  # other streams come and go by the month
    assert place.ingest(source(mapping(columns)), NEXT).streams["survey_responses"].landed == 45


@pytest.mark.parametrize(
    "name", ["ldap", "moodle", "request_tracker", "rt_database", "scim", "wecom", "zendesk"]
)
def test_a_list_of_all_accounts_is_a_snapshot(name: str) -> None:
    connector = base.get(name)
    assert "source_users" in connector.defaults
    assert "source_users" in connector.snapshots
