from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from landing_kit import MONTH, SURVEY, Place, balances, column, mapping, source

from connectors import base, reading
from connectors.base import Beside
from perfhouse import lake
from perfhouse.errors import SourceChanged
from perfhouse.lake import Manifest
from perfhouse.month import Month


def answer(key: object, **more: object) -> dict[str, object]:
    return {"id": key, "when": "02/09/2026 10:00", "score": 5, **more}


def envelope(*records: object, **more: object) -> str:
    return json.dumps({"more": True, "data": {"items": list(records)}, **more}, ensure_ascii=False)


def pages(records: str = "data.items", **keys: Any) -> Any:
    return source(mapping(None, path="{month}/*/*", format="pages", records=records, **keys))


def test_records_are_cut_out_of_every_page_with_their_page_and_place(place: Place) -> None:
    place.put("answers/000001.json", envelope(answer("a"), answer('b"{}]\n')))
    place.put("answers/000002.json", envelope())
    place.put("answers/000003.json", envelope(answer("甲"), answer("d")))
    manifest = place.ingest(pages())
    assert place.rows(manifest, "response_id, _file, _row_number") == [
        ("a", "2026-09/answers/000001.json", 1),
        ('b"{}]\n', "2026-09/answers/000001.json", 2),
        ("甲", "2026-09/answers/000003.json", 1),
        ("d", "2026-09/answers/000003.json", 2),
    ]
    assert manifest.streams["survey_responses"].undeclared_fields == ()
    assert balances(manifest)


@pytest.mark.parametrize(
    ("records", "page"),
    [
        ("", [answer("a")]),
        ("", answer("a")),
        ("data.items", {"data": {"items": answer("a")}}),
        ("items", {"items": [answer("a")], "data": None}),
    ],
)
def test_a_page_may_be_a_list_an_object_or_hold_either(
    place: Place, records: str, page: object
) -> None:
    place.put("answers/000001.json", json.dumps(page, indent=1))
    assert place.rows(place.ingest(pages(records)), "response_id, _row_number") == [("a", 1)]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<html>", "no JSON"),
        ('{"data": {"items": [', "no JSON"),
        ('{"data": {"other": []}}', "no list of records at 'data.items'"),
        ('{"data": {"items": null}}', "no list of records at 'data.items'"),
        ('{"data": {"items": 5}}', "no list of records at 'data.items'"),
        ("[]", "no list of records at 'data.items'"),
    ],
)
def test_a_page_that_is_none_refuses_the_delivery_by_name(
    place: Place, body: str, told: str
) -> None:
    place.put("answers/000001.json", envelope(answer("a")))
    place.put("answers/000002.json", body)
    with pytest.raises(SourceChanged, match=rf"answers/000002\.json: .*{told}.*Desk <desk"):
        place.ingest(pages())
    assert not place.home.manifests.joinpath("month=2026-09").exists()


def test_records_that_are_no_objects_are_quarantined_and_the_rest_lands(place: Place) -> None:
    place.put(
        "answers/000001.json",
        '{"data": {"items": [{"id": "a", "when": "02/09/2026 10:00", "score": 1}, "text", null, '
        '[], {"id": "\\ud800", "when": "02/09/2026 10:00", "score": 1}, '
        '{"id": "f", "when": "02/09/2026 10:00", "score": 1}]}}',
    )
    manifest = place.ingest(pages())
    assert place.rows(manifest, "response_id, _row_number") == [("a", 1), ("f", 6)]
    assert [(r[0], r[2], r[3]) for r in place.bad(manifest)] == [
        (2, "not a JSON object", '"text"'),
        (3, "not a JSON object", "null"),
        (4, "not a JSON object", "[]"),
        (5, "not a JSON object", '{"id": "\\ud800", "when": "02/09/2026 10:00", "score": 1}'),
    ]
    assert balances(manifest)


def test_a_record_that_is_no_text_is_quarantined_alone(place: Place) -> None:
    body = envelope(answer("a"), answer("b"), answer("c")).encode()
    place.put("answers/000001.json", body.replace(b'"b"', b'"\xff"'))
    manifest = place.ingest(pages())
    assert place.rows(manifest, "response_id, _row_number") == [("a", 1), ("c", 3)]
    assert [(r[0], r[2]) for r in place.bad(manifest)] == [(2, "not a JSON object")]
    assert balances(manifest)


def test_a_bad_record_keeps_its_raw_text_as_it_came(place: Place) -> None:
    place.put("answers/000001.json", '{"data":{"items":[ {"id" : "a","when":"soon", "score":1} ]}}')
    manifest = place.ingest(pages())
    assert place.bad(manifest) == [
        (1, "submitted_at", "expected a time like %d/%m/%Y %H:%M",
         '{"id" : "a","when":"soon", "score":1}'),
    ]  # fmt: skip


def test_chunks_of_any_size_land_the_same(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 8):
        records = [answer(f"{number}-{n % 7}", new=n) for n in range(10)]
        place.put(f"answers/{number:06d}.json", envelope(*records, {"id": number}))
    first = place.ingest(pages())
    landing = first.streams["survey_responses"]
    assert (landing.rows_in, landing.landed) == (77, 49)
    assert (landing.duplicates, landing.quarantined) == (21, 7)
    assert landing.undeclared_fields == ("new",)
    for rows, size in ((1, 1 << 20), (15, 1 << 20), (1000, 200)):
        monkeypatch.setattr(reading, "CHUNK_ROWS", rows)
        monkeypatch.setattr("connectors.reading_json.CHUNK_ROWS", rows)
        monkeypatch.setattr("connectors.reading_json.CHUNK_BYTES", size)
        lake.manifest_path(place.home, "surveys", MONTH).unlink()
        assert place.ingest(pages()) == first  # the files' hashes too


# --- unfolding ---------------------------------------------------------------------------


def install(monkeypatch: pytest.MonkeyPatch, unfold: base.Unfold, **keys: Any) -> None:
    """Let the connector `files` unfold surveys."""
    known = replace(base.get("files"), unfold={"survey_responses": unfold}, **keys)
    monkeypatch.setattr(base, "get", lambda _: known)


def each_answer(record: Any, beside: Beside) -> Iterator[Mapping[str, Any]]:
    users = beside.lookup("users", "id")
    for item in record["answers"]:
        yield {**item, "when": record["when"], "who": users[str(record["user"])]["name"]}


UNFOLDED = {**SURVEY, "agent_id": column("who")}


def users_and_forms(place: Place, *forms: object) -> None:
    users = [{"id": 1, "name": "old"}, {"id": 1, "name": "Ann"}, {"id": 2, "name": "Bo"}]
    place.put("forms/000001.json", json.dumps({"forms": forms}))
    place.put("users/000001.json", json.dumps(users[:1]))
    place.put("users/000002.json", json.dumps(users[1:]))


def form(user: object, *answers: object) -> dict[str, object]:
    return {"user": user, "when": "02/09/2026 10:00", "answers": list(answers)}


def ingest_forms(place: Place) -> Manifest:
    both = source(
        mapping(UNFOLDED, path="{month}/forms/*", format="pages"),
        # a sibling that reads the users, so that they are archived
        mapping(
            {
                "contribution_id": column("id"),
                "author_id": column("name"),
                "submitted_at": column(value="2026-09-01 00:00:00"),
            },
            stream="kb_contributions",
            path="{month}/users/*",
            format="pages",
        ),
    )
    return place.ingest(both)


def test_one_record_becomes_rows_with_what_lies_beside_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, each_answer, records={"forms": "forms"})
    monkeypatch.setattr("connectors.landing.safe_name", lambda name: archive_name(name))
    users_and_forms(
        place,
        form(1, {"id": "a", "score": 5}, {"id": "b", "score": 4}),
        form(2),
        form(2, {"id": "c", "score": 1.5}),
    )
    manifest = ingest_forms(place)
    assert place.rows(manifest, "response_id, cast(score as double), agent_id, _row_number") == [
        ("a", 5.0, "Ann", 1),
        ("b", 4.0, "Ann", 2),
        ("c", 1.5, "Bo", 3),
    ]
    landing = manifest.streams["survey_responses"]
    assert (landing.rows_read, landing.outside_window, landing.rows_in) == (4, 1, 3)
    assert balances(manifest)


def archive_name(name: str) -> Any:
    from pathlib import PurePosixPath

    return PurePosixPath(name.removeprefix("2026-09/"))


def test_a_record_of_another_shape_is_quarantined_whole_and_tells_no_value(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, each_answer, records={"forms": "forms"})
    monkeypatch.setattr("connectors.landing.safe_name", lambda name: archive_name(name))
    users_and_forms(
        place,
        form(1, {"id": "a", "score": 5}),
        {"user": 1, "when": "02/09/2026 10:00"},
        form("Secret", {"id": "b", "score": 5}),
        form(1, {"id": "c", "score": 5}, 17),
        "text",
        form(2, {"id": "d", "score": 5}),
    )
    manifest = ingest_forms(place)
    assert place.rows(manifest, "response_id, _row_number") == [("a", 1), ("d", 6)]
    shape = "the record has not the shape of survey_responses: "
    assert [r[:3] for r in place.bad(manifest)] == [
        (2, "(row)", f"{shape}KeyError 'answers'"),
        (3, "(row)", f"{shape}KeyError"),
        (4, "(row)", f"{shape}TypeError"),
        (5, "(row)", f"{shape}TypeError"),
    ]
    assert json.loads(place.bad(manifest)[1][3]) == form("Secret", {"id": "b", "score": 5})
    assert balances(manifest)


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_records_of_plain_files_are_unfolded_too(
    place: Place, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    def unfold(record: Any, beside: Beside) -> Iterator[Mapping[str, Any]]:
        assert beside.page == record
        assert (beside.start, beside.end) == (
            datetime(2026, 8, 31, 16, tzinfo=UTC),
            datetime(2026, 9, 30, 16, tzinfo=UTC),
        )
        yield from ({**record, "id": key} for key in record["ids"])

    install(monkeypatch, unfold)
    lines = [json.dumps(answer(0, ids=["a", "b"])), "", "{oops", json.dumps(answer(0, ids=["c"]))]
    place.put("one", "\n".join(lines))
    manifest = place.ingest(source(mapping(None, format=form)), Month("2026-09"))
    assert [r[0] for r in place.rows(manifest, "response_id")] == ["a", "b", "c"]
    assert [r[2] for r in place.bad(manifest)] == ["not a JSON object"]
    assert balances(manifest)


def test_what_was_delivered_beside_can_be_grouped(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unfold(record: Any, beside: Beside) -> Iterator[Mapping[str, Any]]:
        names = beside.group("users", "id").get(str(record["user"]), [])
        yield {**record, "who": "+".join(user["name"] for user in names)}

    install(monkeypatch, unfold, records={"forms": "forms"})
    monkeypatch.setattr("connectors.landing.safe_name", lambda name: archive_name(name))
    users_and_forms(place, {**answer("a"), "user": 1}, {**answer("b"), "user": 9})
    assert place.rows(ingest_forms(place), "response_id, agent_id") == [
        ("a", "old+Ann"),
        ("b", None),
    ]
