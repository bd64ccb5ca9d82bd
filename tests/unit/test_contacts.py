"""Contacts: addresses and numbers are found however they are written, and nothing else is one."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta, timezone

import pytest

from perfhouse import contacts, hashing, warehouse

FOUND = [
    "13812345678", "+8613812345678", "8613812345678", "008613812345678", "138-1234-5678",
    "138 1234 5678", "+86 138-1234-5678", "+86-138 1234 5678", "(+86)13812345678",
    "（＋86）138 1234 5678", "１３８１２３４５６７８", "138\u20111234\u20115678",
    "138\u00a01234\u00a05678", "1381234\u200b5678", "138–1234–5678", "电话13800138000。",
    "Tel.13800138000", "tel:13800138000", "<td>138 1234 5678</td>",
    "010-12345678", "(010) 12345678", "（010）6552 9988", "010-6552-9988", "0571-88001122",
    "0312-3021234", "+86 10 6552 9988", "+86-571-88001122", "021 5888 8888", "热线 021 58888888",
    "010-65529988-801", "+1 415 555 0100", "+44 20 7946 0958", "+4915112345678",
    "li.na@example.com", "li@例子.公司", "李娜@例子.中国", "李娜＠example.com",
    "li@xn--fsqu00a.xn--55qx5d",
    "müller@bücher.example", "li+x@a-b.co.uk", "li@example。com", "mailto:li@example.com",
    "'li@example.com'", "<li@example.com>",
]  # fmt: skip
FREE = [
    "M1", "E1", "T-4711", "A1007", "2026-09.r1", "2026-09-30", "20260901", "2026-09-30 13:45:10",
    "2026-09-30T13:45:10+08:00", "2026-09-30T01:05:00.123456Z", "1757466300", "1757466300123",
    "0.13800138000", "13800138000.5", "13812345678,50", "9f13800138000", "138001380001",
    "12,345,678.90", "1 234 567 890", "+12.5", "+1234567", "-0.5", "1.38e10", "¥ 13 812", "100 %",
    "150 of 1600", "138 / 1234 / 5678", "178 - 20", "13:00-18:00", "0800-1200", "09:00–18:00",
    "192.168.100.200", "8.8.8.8", "978-7-111-12345-6", "leg_id=L138", "INC0012345678901",
    "CAS-0012-20260901", "0571-20260901", "order 2026-0901-0001", "T20260901-0001", "00123456",
    "6222 0200 1234 5678 901", "4111 1111 1111 1111", "a@b", "@media (max-width: 10px)", "x @ y.z",
    "1@2", "电话", "kpi.v1@2026", "0 0 138 1234", "v1.13.15.1600", "rank 1/24",
    "2026-09 to 2027-01",
    "13 4567 8901", "110101199003077758", "+8", "86", "1" * 40,
]  # fmt: skip


@pytest.mark.parametrize("text", FOUND)
def test_a_contact_is_found_however_it_is_written(text: str) -> None:
    assert contacts.has_contact(text)
    assert contacts.has_contact(f"联系：{text}（请勿外传）")
    assert contacts.has_contact(f"call {text}, please")


@pytest.mark.parametrize("text", FREE)
def test_ids_days_and_amounts_are_none(text: str) -> None:
    assert not contacts.has_contact(text)
    assert not contacts.has_contact(f"编号：{text}（见附件）")
    assert not contacts.has_contact(f"see {text}, please")


def test_no_day_instant_hash_amount_or_running_number_is_one() -> None:
    first = datetime(2025, 1, 1, 13, 14, 15, 161718, tzinfo=timezone(timedelta(hours=8)))
    texts = []
    for n in range(4_000):
        at = first + timedelta(hours=7 * n, seconds=n * n)
        texts += [at.isoformat(), f"{at:%Y%m%d}-{n:06}", f"{at:%Y%m%d%H%M%S}", f"T-{n:08}"]
        texts += [str(uuid.UUID(int=n * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))]
        texts += [hashing.sha256_of(n), f"{n * 997.13:,.2f}", f"{n * 7919:,}", f"+{n * 13.7:.6f}"]
        texts += [f"{date(2026, 9, 1)}: {n} of {n * 3}, {n / 4000:.4%}", f"{n} {n + 1} {n * 2}"]
    assert [text for text in texts if contacts.has_contact(text)] == []


def test_sql_leaves_out_no_text_that_holds_one() -> None:
    with warehouse.connect() as con:
        for text in FOUND:
            asked = f"select {contacts.may_have_contact_sql('x')} from (select ?::varchar as x)"
            assert con.execute(asked, [text]).fetchall() == [(True,)], text
