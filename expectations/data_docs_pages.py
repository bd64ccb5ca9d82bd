"""Pages of Great Expectations' Data Docs for verdicts: its renderers, its templates, our words.

Imports Great Expectations, so it is imported only by who has work for it. Its own page shell loads
nine scripts and style sheets from other people's servers; ours loads nothing.
"""

from __future__ import annotations

from html import escape
from typing import Any

from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.render import (
    LegacyDiagnosticRendererType,
    LegacyRendererType,
    RenderedStringTemplateContent,
    RenderedTableContent,
)
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.renderer.renderer import renderer
from great_expectations.render.view import DefaultJinjaPageView
from jinja2 import ChoiceLoader, DictLoader

from expectations.gate import Check, Verdict
from perfhouse.month import Month

TYPE = "check_of_a_gate"
_SHELL = """\
<!doctype html>
<html lang=zh-CN>
<meta charset=utf-8>
<meta http-equiv=Content-Security-Policy content="default-src 'none'; style-src 'unsafe-inline'">
<meta name=viewport content="width=device-width,initial-scale=1">
<meta name=robots content=noindex>
<title>{{ verdict.month }} · {{ verdict.gate }}</title>
<style>{{ css }}</style>
<p><a href="../index.html">← 全部月份 All months</a></p>
<h1>{{ verdict.month }} · {{ verdict.gate }} · {% if verdict.passed %}通过 passed{% else %}\
<span class=stop>拦截 STOPPED</span>{% endif %}</h1>
<p>截至 as of {{ verdict.as_of }} · 数据哈希 hash of the data
<code>{{ verdict.subject_sha256 }}</code></p>
{% for section in sections %}{% set section_loop = loop %}{% include 'section.j2' %}{% endfor %}
</html>
"""


class CheckOfAGate(BatchExpectation):  # type: ignore[misc]
    """What Data Docs show of one check; it was evaluated by the gate and never is again."""

    expectation_type = TYPE

    def _validate(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise NotImplementedError("shown only")

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(
        cls, configuration: ExpectationConfiguration | None = None, **_: Any
    ) -> list[RenderedStringTemplateContent]:
        meta: dict[str, Any] = dict(configuration.meta or {}) if configuration else {}
        lines = ["$title_zh", "$title_en", "$id · $severity$limit$accepted"]
        return [_text("\n".join(lines), meta)]

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)  # type: ignore[untyped-decorator]
    def _diagnostic_observed_value_renderer(
        cls, result: ExpectationValidationResult | None = None, **_: Any
    ) -> str:
        return escape(str(result.result.get("observed_value", "--"))) if result else "--"

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_TABLE)  # type: ignore[untyped-decorator]
    def _diagnostic_unexpected_table_renderer(
        cls, result: ExpectationValidationResult | None = None, **_: Any
    ) -> list[RenderedTableContent] | None:
        keys = result.result.get("failing_keys") if result else None
        if not keys:
            return None
        return [
            RenderedTableContent(
                content_block_type="table",
                table=[[escape(key)] for key in keys],
                header_row=["有问题的行 Failing rows"],
                styling={"body": {"classes": ["keys"]}},
            )
        ]


def page(verdict: Verdict, css: str) -> str:
    """Return the page of a verdict."""
    results = [_result(check) for check in verdict.checks]
    met = sum(each.success for each in results)
    suite = ExpectationSuiteValidationResult(
        success=verdict.passed,
        results=results,
        suite_name=verdict.gate,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": met,
            "unsuccessful_expectations": len(results) - met,
            "success_percent": 100.0 * met / len(results),
        },
        meta={
            "run_id": RunIdentifier(run_name=verdict.month, run_time=str(Month(verdict.month).end))
        },
    )
    document = ValidationResultsPageRenderer(run_info_at_end=True).render(suite)
    document.sections = document.sections[:2]  # the last tells of versions and batches
    document.sections[0].content_blocks = document.sections[0].content_blocks[1:]  # links to suites
    return str(_View().render(document, verdict=verdict, css=css))


class _View(DefaultJinjaPageView):  # type: ignore[misc]
    """The view of Data Docs in a shell that asks no other server for anything."""

    def __init__(self) -> None:
        super().__init__()
        own = DictLoader({"page.j2": _SHELL})
        self.env.loader = ChoiceLoader([own, self.env.loader])

    def generate_html_element_uuid(self, prefix: str | None = None) -> str:
        """Return one id for all: nothing folds without scripts, and pages repeat byte for byte."""
        return prefix or "x"


def _text(template: str, params: dict[str, Any]) -> RenderedStringTemplateContent:
    return RenderedStringTemplateContent(
        content_block_type="string_template",
        string_template={"template": template, "params": params, "tag": "span"},
    )


def _result(check: Check) -> ExpectationValidationResult:
    limit = f" · 限度 allowed {check.threshold}" if check.threshold else ""
    accepted = ""
    if check.accepted_by:
        accepted = f" · 接受人 accepted by {check.accepted_by}: {check.accepted_reason}"
    words = {"id": check.id, "title_en": check.title_en, "title_zh": check.title_zh}
    meta = {**words, "severity": check.severity, "limit": limit, "accepted": accepted}
    return ExpectationValidationResult(
        success=check.passed,
        expectation_config=ExpectationConfiguration(type=TYPE, kwargs={}, meta=meta),
        result={"observed_value": check.observed, "failing_keys": list(check.failing_keys)},
        exception_info={},
        meta={},
    )
