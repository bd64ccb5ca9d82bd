"""Every line of the runbook is one that a test brought about, in words that the program says.

A line of docs/runbook.md has an id; below stand the tests that cause what it tells of, make the
check and do the fix. What it quotes must be said somewhere, and some test must have seen it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "runbook.md"
CODE = ("perfhouse", "connectors", "expectations", "bi")
E2E, INTEGRATION = "tests/e2e/", "tests/integration/"
BAD, ROWS, UPGRADE = (
    f"{E2E}{name}.py::test_" for name in ("test_bad_input", "test_runbook_rows", "test_upgrade")
)
ACCEPT, DELIVER, EVIDENCE, MART, RESTATED, SIGNED, TRUST = (
    f"{INTEGRATION}test_{name}.py::test_"
    for name in
    ("accept", "deliver", "evidence", "mart", "restatement", "signed_releases", "trust")
)  # fmt: skip

# id -> the tests that cause it. A test of tests/bi/check_superset.py runs in `make bi-check`.
CAUSED: dict[str, tuple[str, ...]] = {
    "config-error": (
        BAD + "a_wrong_configuration_names_every_problem_at_once",
        ROWS + "a_configuration_is_mended_by_what_its_list_says",
    ),
    "source-missing": (
        BAD + "a_missing_source_names_its_owner",
        BAD + "the_month_goes_through_once_the_fault_is_mended",
        ROWS + "a_source_that_is_missing_or_has_another_header_lands_when_it_is_mended",
    ),
    "header": (
        BAD + "header_drift_names_the_differences_both_ways",
        ROWS + "a_source_that_is_missing_or_has_another_header_lands_when_it_is_mended",
    ),
    "lost-rows": (
        "tests/unit/connectors/test_landing_loss.py::test_a_delivery_that_lost_more_than_half_is_"
        "refused_until_somebody_accepts",
        ROWS + "a_loss_lands_when_an_office_says_so",
    ),
    "waiting": (
        INTEGRATION + "test_metricflow.py::test_a_build_and_a_question_do_not_meet",
        ROWS + "who_waits_names_the_file_and_goes_on_when_its_holder_is_gone",
    ),
    "died": (
        "tests/suite/test_every_delivery.py::test_a_kill_leaves_the_old_delivery_or_the_new_and_the"
        "_next_run_lands_all",
        INTEGRATION + "test_torture.py::test_readers_see_whole_releases_whoever_dies_and_the_next_"
        "run_finishes",
        E2E + "test_backfill.py::test_the_same_command_goes_on_where_it_ended",
    ),
    "gate": (
        BAD + "an_empty_month_stops_at_the_raw_gate",
        ACCEPT + "data_docs_show_every_check_and_ask_no_other_server",
    ),
    "quarantine": (
        ACCEPT + "a_quarantine_taken_on_lets_the_month_go_on_and_is_shown_everywhere",
        E2E + "test_backfill.py::test_a_replay_shows_what_a_mended_mapping_would_change_before_"
        "anything_is_published",
    ),
    "accept": (
        ACCEPT + "a_warning_taken_on_is_no_longer_to_read",
        ACCEPT + "another_delivery_needs_another_acceptance",
        ACCEPT + "the_command_line_says_what_to_do_next",
    ),
    "likeness": (
        INTEGRATION + "test_faults.py::test_a_fault_of_a_delivery_is_stopped_and_named",
        ROWS + "another_months_file_is_refused_and_the_right_one_goes_on",
        ROWS + "a_wrong_time_zone_is_refused_and_the_right_one_goes_on",
    ),
    "strangers": (
        INTEGRATION + "test_identity.py::test_too_many_strangers_stop_the_month_and_the_worst_come"
        "_first",
        INTEGRATION + "test_identity.py::test_the_list_names_every_doubt_and_mends_by_filling_in",
    ),
    "cycle": (
        BAD + "a_roster_with_a_cycle_is_named_and_stops",
        ROWS + "a_roster_that_went_round_is_judged_again_when_it_is_mended",
    ),
    "old-tickets": (
        INTEGRATION + "test_gate_facts.py::test_an_event_of_a_ticket_too_old_to_be_read_is_told_"
        "with_its_ticket",
        "tests/unit/test_lake.py::test_a_company_may_have_a_stream_read_further_back",
    ),
    "exports": (
        INTEGRATION + "test_gates.py::test_a_fault_of_the_cards_publishes_nothing_and_is_named",
        INTEGRATION + "test_gates.py::test_a_fault_of_cards_as_pdf_publishes_nothing_and_is_named",
        INTEGRATION + "test_gates.py::test_an_export_fault_publishes_nothing_and_is_named",
    ),
    "build": (
        INTEGRATION + "test_build.py::test_a_failing_test_names_the_model_and_what_it_means",
        ROWS + "a_build_that_fails_leaves_its_sql_its_runs_and_on_demand_a_log",
    ),
    "other-version": (
        UPGRADE + "a_warehouse_of_an_earlier_format_is_not_built_upon",
        UPGRADE + "a_warehouse_of_another_shape_is_told_and_made_again",
    ),
    "newer": (UPGRADE + "what_a_later_version_wrote_is_refused_and_left_alone",),
    "changed": (
        RESTATED + "a_month_that_is_not_closed_changes_without_a_reason_but_tells_every_change",
        INTEGRATION + "test_rollback.py::test_the_commands_list_compare_and_roll_back",
    ),
    "no-total": (
        "tests/unit/test_explain.py::test_a_manager_without_a_total_is_explained_all_the_same",
        "tests/unit/test_cli.py::test_status_says_which_roles_can_get_no_total_and_which_streams_"
        "they_lack",
        INTEGRATION + "test_build.py::test_a_total_weighs_scores_and_too_little_coverage_gives_"
        "none",
    ),
    "report": (
        "tests/bi/test_metrics.py::test_a_total_over_teams_counts_each_case_once",
        MART + "the_ready_sql_of_the_docs_gives_an_analyst_what_the_file_gives",
    ),
    "appeal": (
        E2E + "test_appeals_restated.py::test_the_list_has_deadlines_and_says_what_to_restate",
        E2E + "test_appeals_restated.py::test_an_upheld_row_counts_no_more_and_the_restatement_"
        "tells_it",
        E2E + "test_months.py::test_each_past_release_is_rebuilt_byte_for_byte",
        UPGRADE + "an_old_release_that_comes_out_otherwise_says_which_version_made_it",
    ),
    "overdue-appeals": (
        INTEGRATION + "test_appeal_gate.py::test_overdue_appeals_and_those_without_effect_are_"
        "warnings",
    ),
    "closed": (
        RESTATED + "a_closed_month_does_not_change_without_a_reason_and_says_what_would",
        RESTATED + "a_restatement_keeps_reason_and_name_in_the_release_and_the_ledger",
        E2E + "test_months.py::test_a_months_life",
    ),
    "not-signed": (
        SIGNED + "a_final_release_waits_for_the_signature_and_then_goes_out_to_the_byte",
        SIGNED + "a_refusal_stops_the_month_with_its_reason_until_somebody_signs",
        SIGNED + "the_command_shows_refuses_and_signs",
    ),
    "nobody": (
        SIGNED + "nobodys_answer_is_a_refusal_on_record_and_takes_no_signature_back",
        SIGNED + "a_deputy_answers_after_the_hours_or_when_asked_to_and_a_stranger_never",
    ),
    "void": (SIGNED + "a_signature_is_void_for_other_content_which_is_asked_anew",),
    "publisher-died": (
        INTEGRATION + "test_torture.py::test_readers_see_whole_releases_whoever_dies_and_the_next_"
        "run_finishes",
        INTEGRATION + "test_release.py::test_a_release_that_was_moved_but_not_recorded_is_recorded",
        MART + "a_loader_that_is_killed_leaves_the_old_or_the_new_months",
    ),
    "disk": (
        INTEGRATION
        + "test_runbook_disk.py::test_a_full_disk_is_said_and_the_next_publish_finishes",
        INTEGRATION + "test_retention.py::test_nothing_goes_until_it_is_applied_and_then_it_is_on_"
        "record",
    ),
    "old-numbers": (
        INTEGRATION + "test_release.py::test_the_link_shows_the_newest_release_of_every_month",
    ),
    "wrong-release": (
        INTEGRATION + "test_rollback.py::test_a_rollback_shows_the_earlier_release_everywhere_and_"
        "is_signed",
        INTEGRATION + "test_rollback.py::test_the_commands_list_compare_and_roll_back",
    ),
    "fonts": (ROWS + "a_font_that_is_not_installed_is_named",),
    "box": (
        "tests/unit/test_card_pdf.py::test_texts_are_never_source_and_what_no_font_has_is_a_box",
    ),
    "mart-behind": (MART + "a_server_that_is_away_leaves_the_release_and_the_next_publish_heals",),
    "mart-shape": (
        MART + "a_mart_that_is_not_as_migrate_left_it_takes_no_row_until_it_is",
        MART + "a_database_that_was_never_migrated_says_so",
    ),
    "mart-value": (MART + "a_value_that_somebody_changed_in_the_mart_is_found_and_mended",),
    "mart-rights": (
        MART + "the_commands_say_what_they_did",
        INTEGRATION + "test_mart_rights.py::test_an_open_session_loses_its_rights_with_the_role",
    ),
    "bi-start": (
        "tests/bi/test_serve.py::test_a_home_without_releases_is_told_what_to_run",
        "tests/bi/test_serve.py::test_postgresql_that_is_not_installed_is_told_with_the_command",
    ),
    "bi-empty": (
        "tests/bi/check_superset.py::test_every_chart_has_rows",
        "tests/bi/check_superset.py::test_who_has_no_role_of_ours_sees_no_row",
    ),
    "no-answer": (
        DELIVER + "a_delivery_nobody_answered_is_overdue_after_its_days",
        DELIVER + "the_same_is_not_sent_again_unless_it_is_asked_for",
    ),
    "wrong-ack": (DELIVER + "an_answer_that_does_not_fit_does_not_count",),
    "rejected": (DELIVER + "a_rejection_is_told_with_its_reason_and_may_be_sent_again",),
    "exports-key": (DELIVER + "a_lost_key_of_deliveries_is_not_replaced_in_silence",),
    "no-notice": (
        INTEGRATION + "test_notices.py::test_the_command_rehearses_unless_told_to_send",
        INTEGRATION + "test_notices.py::test_a_schedule_sends_only_where_a_channel_says_so",
    ),
    "notify": (
        INTEGRATION + "test_notices.py::test_after_a_failure_the_rest_goes_out_and_only_the_rest",
        INTEGRATION + "test_notices.py::test_a_refusal_says_who_must_act_and_never_the_secret",
    ),
    "transform": (
        E2E + "test_event_driven.py::test_what_a_paused_dag_did_not_hear_was_healed",
        ROWS + "a_file_that_starts_nothing_is_named_and_what_is_behind_is_made_up_for",
    ),
    "arrival": (
        "tests/unit/test_arrivals.py::test_a_file_that_is_being_written_or_has_a_temporary_name_"
        "waits",
        ROWS + "a_file_that_starts_nothing_is_named_and_what_is_behind_is_made_up_for",
    ),
    "lost-event": (
        E2E + "test_event_driven_torn.py::test_nothing_is_left_to_do",
        E2E + "test_event_driven.py::test_what_a_paused_dag_did_not_hear_was_healed",
        ROWS + "a_file_that_starts_nothing_is_named_and_what_is_behind_is_made_up_for",
    ),
    "again": (
        "tests/unit/test_reconcile.py::test_a_closed_month_is_named_with_who_must_act_and_not_"
        "built",
        "tests/unit/test_reconcile.py::test_a_gate_that_stopped_a_month_is_asked_again_when_it_is_"
        "accepted_or_delivered_anew",
        "tests/unit/test_reconcile.py::test_a_release_that_waits_for_a_signature_is_work_of_its_"
        "approver_until_it_has_one",
    ),
    "late": (
        INTEGRATION + "test_notices.py::test_a_late_source_is_told_once_with_its_owner_and_what_"
        "came_last",
        ROWS + "a_file_that_starts_nothing_is_named_and_what_is_behind_is_made_up_for",
    ),
    "overdue": (
        "tests/unit/test_overdue.py::test_a_month_without_a_release_is_overdue_from_its_day_on",
        "tests/unit/test_overdue.py::test_the_owner_of_what_is_missing_must_act_then_whoever_the_"
        "gate_names",
        "tests/unit/test_overdue.py::test_a_run_that_missed_its_deadline_is_told_of_until_the_"
        "month_is_out",
    ),
    "wrong-event": (
        "tests/unit/test_arrivals.py::test_what_an_event_says_wrongly_is_told_in_few_words",
        "tests/unit/test_orchestration.py::test_an_event_starts_the_ingest_it_names_and_a_wrong_"
        "one_stops_no_other",
    ),
    "not-ready": (
        ROWS + "an_airflow_that_does_not_answer_is_said_not_to_be_ready",
        E2E + "test_airflow.py::test_everything_again_in_a_fresh_airflow_gives_the_same_release",
    ),
    "runs-already": (
        E2E + "test_airflow.py::test_up_serves_the_ui_until_down",
        ROWS + "a_second_airflow_of_a_home_is_refused",
    ),
    "not-verified": (
        EVIDENCE + "a_changed_row_is_named",
        EVIDENCE + "the_command_line_says_what_holds_and_what_does_not",
        ROWS + "a_changed_release_is_found_and_a_backup_put_back_holds",
    ),
    "ledger-cut": (
        TRUST + "a_ledger_that_was_cut_is_not_gone_on_with",
        ROWS + "a_ledger_of_before_is_refused_until_somebody_means_it",
    ),
    "ledger-line": (
        TRUST + "a_line_that_nobody_signed_stops_whoever_acts_on_the_ledger",
        EVIDENCE + "a_lost_key_stops_the_publisher_until_the_old_public_key_is_put_aside",
    ),
    "release-changed": (
        ROWS + "a_changed_release_is_found_and_a_backup_put_back_holds",
        INTEGRATION + "test_erasure.py::test_an_erasure_that_was_broken_off_goes_on",
    ),
    "release-strange": (
        INTEGRATION + "test_release.py::test_a_stranger_in_the_place_of_a_release_is_not_taken_for_"
        "one",
        ROWS + "a_folder_that_somebody_put_there_is_moved_away",
    ),
    "release-key": (
        EVIDENCE + "a_lost_key_stops_the_publisher_until_the_old_public_key_is_put_aside",
    ),
    "customer-key": (ROWS + "with_another_key_a_month_lands_anew_and_with_the_old_one_as_it_was",),
    "erase": (
        INTEGRATION + "test_erasure.py::test_a_rehearsal_tells_what_would_go_and_alters_nothing",
        INTEGRATION + "test_erasure.py::test_a_manager_is_nowhere_and_everything_is_verified",
        INTEGRATION + "test_erasure.py::test_an_erasure_that_was_broken_off_goes_on",
    ),
    "deleted": (
        INTEGRATION + "test_retention.py::test_what_was_deleted_is_told_where_it_is_missed",
        INTEGRATION + "test_retention.py::test_an_archive_that_was_deleted_is_not_called_damaged",
    ),
}
# What no test can bring about whole, and why.
IN_PART = {
    "report": "the report is in a tool of somebody's: its SQL is run, not the tool",
    "bi-empty": "needs Superset, in an environment of its own: `make bi-check`",
}
# Quoted by a line, but seen by a test in other words, since the program says it by parts.
SEEN_OTHERWISE = {
    "the disk refuses (…)": r"the disk refuses \(No space left on device\)",
    "gate … stopped …; nothing was published": "stopped 2026-10; nothing was published",
    "… is closed (…); nothing was published": "MonthClosed",
    "[cards] pdf: expected the package …": "expected the package",
    "expected the key of …": "expected the key of",
}


class Line(NamedTuple):
    id: str
    symptom: str
    check: str
    fix: str


def lines() -> Iterator[Line]:
    for text in PAGE.read_text(encoding="utf-8").splitlines():
        if not text.startswith("| ") or text.startswith("| symptom"):
            continue
        symptom, check, fix = (cell.strip() for cell in text.strip("|").split(" | "))
        named = re.fullmatch(r'<a id="([a-z-]+)"></a>(.+)', symptom)
        assert named, f"a line without an id: {symptom}"
        yield Line(named[1], named[2], check, fix)


LINES = list(lines())
QUOTES = [(line.id, quote) for line in LINES for quote in re.findall(r'"([^"]+)"', line.symptom)]


@cache
def said() -> str:
    """Return every text of the program, each on a line; what it fills in is a gap."""
    found = []
    for file in (file for folder in CODE for file in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "\0"
                         for part in node.values)  # fmt: skip
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(" ".join(text.split()) for text in found)


@cache
def functions(file: str) -> dict[str, str]:
    text = (ROOT / file).read_text(encoding="utf-8")
    nodes = ast.walk(ast.parse(text))
    return {node.name: file for node in nodes if isinstance(node, ast.FunctionDef)}


def test_every_line_has_an_id_of_its_own_and_tests_that_cause_it() -> None:
    ids = [line.id for line in LINES]
    assert len(ids) > 55
    assert len(ids) == len(set(ids))
    assert set(ids) == set(CAUSED)
    assert set(IN_PART) <= set(ids)
    assert len(IN_PART) <= 3
    assert all(CAUSED.values())


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.id)
def test_the_tests_of_a_line_exist(line: Line) -> None:
    for test in CAUSED[line.id]:
        file, _, name = test.partition("::")
        assert name in functions(file), test


@pytest.mark.parametrize(("of", "quote"), QUOTES)
def test_what_a_line_quotes_is_said_by_the_program(of: str, quote: str) -> None:
    gaps = (re.escape(part.strip()) for part in quote.split("…"))
    assert re.search("[^\n]*".join(gaps), said()), f"{of}: nothing says {quote!r}"


@pytest.mark.parametrize(("of", "quote"), QUOTES)
def test_what_a_line_quotes_was_seen_by_its_tests(of: str, quote: str) -> None:
    text = "\n".join(
        (ROOT / file).read_text(encoding="utf-8")
        for file in sorted({test.partition("::")[0] for test in CAUSED[of]})
    )
    expected = SEEN_OTHERWISE.get(quote, max(quote.split("…"), key=len).strip())
    assert expected in text.replace('"\n    "', ""), f"{of}: no test of it sees {expected!r}"


def test_a_line_that_nobody_caused_or_says_would_be_found() -> None:
    assert not re.search("a symptom that was never seen", said())
    assert "test_a_line_that_nobody_wrote" not in functions("tests/unit/test_runbook.py")
