"""One card, verified with public keys only: its proof, and that it shows what its row says.

It reads the page it is given and needs no release; with a ledger it also says whether it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from perfhouse import cards, evidence, ledger, release_fates
from perfhouse.verify_ledger import VerifiedLedger

if TYPE_CHECKING:
    from minisign import PublicKey


class _Page(HTMLParser):
    """Collects the texts of the elements that say what they show."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[str, str] = {}
        self._open: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = dict(attrs).get("data-v")
        if name:
            self._open = (tag, name)
            self.shown[name] = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.shown[self._open[1]] += data

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[0] == tag:
            self._open = None


def shown(page: bytes) -> Mapping[str, str]:
    """Return the texts that a page shows in elements with `data-v`, by that name."""
    parser = _Page()
    parser.feed(page.decode("utf-8", errors="replace"))
    return parser.shown


def problems_and_notes(
    page: bytes, shown: Mapping[str, str], said: VerifiedLedger, keys: Sequence[PublicKey]
) -> tuple[list[str], list[str]]:
    """Say what does not hold of a card, and what else to know of it.

    Args:
        page: the card's bytes.
        shown: what it shows, of `shown`; with a proof.
        said: the ledger; without lines nothing is said of other releases.
        keys: the public keys that are trusted.
    """
    stated = shown.get("format", evidence.UNNAMED)
    if stated not in evidence.FORMATS:
        known = ", ".join(evidence.FORMATS)
        return [
            f"its proof is of format {stated[:20]!r}, and this version of perfhouse knows {known}: "
            "so nothing is said of the card; verify it with a newer version"
        ], []
    try:
        claim = evidence.FORMATS[stated](page, shown["proof"])
    except ValueError as error:
        return [str(error)], []
    problems = [*_proof_problems(claim, shown, keys), *_number_problems(claim.row, shown)]
    proof = evidence.Proof(claim.merkle_root, claim.row_sha256, shown["proof"])
    if not problems and cards.with_evidence(evidence.blank(page), proof) != page:
        problems = ["its proof holds, but is not written as it was published"]
    notes = [f"{claim.release} of {claim.company}, root {claim.merkle_root}"]
    if said.lines:
        problems += [*said.problems, *_entry_problems(claim, said)]
        stands = ledger.standing(said.lines).get(claim.release[:7])
        if stands is not None and stands.name != claim.release:
            fate = release_fates.fates(said.lines).get(claim.release, release_fates.SUPERSEDED)
            notes.append(f"it is {fate}: of this month {stands.name} stands")
    else:
        notes += [*said.notes, "so whether it is the newest release is not known"]
    if not problems:
        row = claim.row
        told = ("manager_id", "month", "total_score", "grade", "rank")
        notes.append(", ".join(f"{each} {row.get(each) or '-'}" for each in told))
    return problems, notes


def _proof_problems(
    claim: evidence.Claim, shown: Mapping[str, str], keys: Sequence[PublicKey]
) -> Iterator[str]:
    hashes = {"row": claim.row_sha256, "root": claim.merkle_root}
    printed = {**hashes, "row_start": hashes["row"][:16], "root_start": hashes["root"][:16]}
    wrong = [name for name, value in printed.items() if shown.get(name) != value]
    if claim.is_signed(keys):
        for name in wrong:
            yield f"the hash of its {name.partition('_')[0]} is not printed as it is"
    elif claim.merkle_root == shown.get("root"):
        yield "its root is not signed with this key"
    else:
        yield "the page is not as it was published: its proof does not lead to the signed root"


def _number_problems(row: Mapping[str, Any], shown: Mapping[str, str]) -> Iterator[str]:
    """Compare what the page shows with the row of the total: the signer could differ, too."""
    total = row.get("total_score")
    expected = {
        "manager_id": row["manager_id"],
        "total": None if total is None else _one_digit(total),
        "grade": None if total is None else row.get("grade"),
        "rank": row.get("rank"),
    }
    for name, value in expected.items():
        if (shown.get(name) or None) != value:
            yield f"it shows {name} {shown.get(name) or '-'}, the row says {value or '-'}"


def _one_digit(number: str) -> str:
    try:
        return f"{float(number):.1f}"
    except ValueError:
        return number


def _entry_problems(claim: evidence.Claim, said: VerifiedLedger) -> Iterator[str]:
    entry = said.entry(claim.release)
    if entry is None:
        yield f"the ledger does not name {claim.release}: it was cut, or is of another company"
    elif entry.merkle_root != claim.merkle_root:
        yield f"the ledger has another root for {claim.release}"
