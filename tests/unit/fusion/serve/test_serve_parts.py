"""Parts of the page: drawn reasons, questions, unpacked files, suggestions, waiting jobs."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace

import pytest

from fusion.explain.evidence import Neighbour, Partner
from fusion.explain.occlusion import AGAINST, FOR, NEITHER, Effect
from fusion.explain.result import Compartment, Explanation
from fusion.explain.sequence import SequenceReasons
from fusion.serve.limits import Limits, RefusedError
from fusion.serve.questions import ask, ask_file, page_words
from fusion.serve.reasons import reasons_of
from fusion.serve.service import without_nan
from fusion.serve.suggestions import Suggested, Suggestions
from mirnagraph.errors import InputError


def effect(words: str, value: float, direction: str, *, present: bool = True) -> Effect:
    return Effect(words, words, present, (), 0.5 - value, value, 4 * value, direction)


COMPARTMENT = Compartment(
    compartment="Nucleus",
    probability=0.7,
    out_of_fold=0.6,
    threshold=0.5,
    called=True,
    located=None,
    base=0.25,
    modalities=(),
    tokens=(),
    parts=(),
    partners=(
        Partner("disease", "glioma", 0.9, 10, 8, 3.0, ("11", "22")),
        Partner("mRNA", "PTEN", 0.4, 5, 3, None, ()),
        Partner("target", "TP53", 0.3, 6, 3, None, ()),
    ),
    neighbours=(
        Neighbour("functional", "hsa-mir-1", 0.8, True),
        Neighbour("sequence", "hsa-mir-2", 0.4, False),
    ),
    sequence=SequenceReasons(
        window=1,
        stride=1,
        probability=0.55,
        support=(0.9, 0.4, 0.0, -0.4, -0.9),
        start=0,
        end=1,
        change=0.9,
        letters="A",
    ),
    effects=(
        effect("targets", 0.2, FOR),
        effect("diseases", -0.05, AGAINST),
        effect("drugs", 0.0001, NEITHER),
        effect("expression", 0.0, NEITHER, present=False),
    ),
)


def explanation(compartment: Compartment = COMPARTMENT) -> Explanation:
    return Explanation(
        query="mine",
        rna_id="hsa-mir-9",
        known_as="hsa-mir-9",
        source="final model",
        learned=False,
        unseen_trees=False,
        sequence="ACGUA",
        compartments=(compartment,),
        notes=("a note",),
        remarks=("No partners: the networks are not at hand; give --networks FOLDER.",),
    )


def test_reasons_are_drawn_with_their_signs() -> None:
    reasons = reasons_of(explanation())
    (of,) = reasons["compartments"]
    assert of["headline"] == (
        "mine, known as hsa-mir-9: Nucleus, probability 0.60 (called; 25 % of the training RNAs "
        "are annotated there)"
    )
    assert of["origin"] == "0.60 is out-of-fold; the final model, explained here, gives 0.70."
    bars = [(bar["words"], bar["direction"], bar["text"], bar["share"]) for bar in of["effects"]]
    assert bars == [("targets", "for", "+0.200", 1.0), ("diseases", "against", "-0.050", 0.25)]
    assert (of["smaller"], of["unknown"]) == (["drugs"], ["expression"])
    assert of["sequence"]["marks"] == "#+.-="
    assert of["sequence"]["text"] == "Sequence alone: 0.55; nt 1-1 speak for it most."
    partners = {group["source"]: group["partners"] for group in of["partners"]}
    assert [partner["partner"] for partner in partners["targets"]] == ["PTEN", "TP53"]
    assert partners["diseases"][0]["pmids"] == ["11", "22"]
    similar = {group["network"]: group["rnas"] for group in of["similar"]}
    assert similar["diseases"] == [{"rna": "hsa-mir-1", "similarity": 0.8, "annotated": True}]
    assert not similar["sequence"][0]["annotated"]
    (remark,) = reasons["remarks"]
    assert remark.endswith("at hand; start `mirnagraph serve` with --networks FOLDER.")


def test_a_partner_of_several_kinds_is_shown_once() -> None:
    partners = (
        Partner("mRNA", "PTEN", 0.4, 5, 3, None, ("1",)),
        Partner("target", "PTEN", 0.6, 9, 8, None, ("2",)),
        *(Partner("target", f"P{n}", 0.3 - n / 100, 5, 3, None, ()) for n in range(7)),
        Partner("target", "A", -0.1, 9, 1, None, ()),
        Partner("target", "B", -0.2, 9, 1, None, ()),
        Partner("mRNA", "C", -0.3, 9, 0, None, ()),
    )
    (of,) = reasons_of(explanation(replace(COMPARTMENT, partners=partners)))["compartments"]
    (group,) = of["partners"]
    names = [partner["partner"] for partner in group["partners"]]
    assert names == ["PTEN", "P0", "P1", "P2", "P3", "P4", "B", "C"]
    assert group["partners"][0]["pmids"] == ["2"]


def test_where_no_source_matters_no_bar_is_long() -> None:
    small = replace(COMPARTMENT, effects=(effect("targets", 0.01, FOR),), out_of_fold=None)
    (of,) = reasons_of(explanation(small))["compartments"]
    assert of["effects"][0]["share"] == pytest.approx(0.2)
    assert of["origin"] == ""
    down = replace(COMPARTMENT.sequence, change=-0.9)
    (of,) = reasons_of(explanation(replace(COMPARTMENT, sequence=down)))["compartments"]
    assert of["sequence"]["text"].endswith("speak against it most.")


def test_a_gzip_file_of_several_members_is_read() -> None:
    limits = Limits()
    content = gzip.compress(b">a\nACGU\n") + gzip.compress(b">b\nGGT\n")
    question = ask_file(content, limits)
    assert [(record.id, record.sequence) for record in question.records] == [
        ("a", "ACGU"),
        ("b", "GGU"),
    ]
    assert (question.n_rnas, question.n_nucleotides) == (2, 7)
    exact = replace(limits, max_upload_bytes=100)
    assert ask_file(gzip.compress(b">a\n" + b"A" * 97), exact).n_nucleotides == 97
    with pytest.raises(RefusedError, match=r"the unpacked file is larger than 0\.0001 MB"):
        ask_file(gzip.compress(b">a\n" + b"A" * 98), exact)


def test_a_file_that_does_not_start_with_a_header_is_a_list_of_names() -> None:
    question = ask_file(b"\xef\xbb\xbf\n\nhsa-mir-21\nhsa-mir-155\n", Limits())
    assert question.names == ("hsa-mir-21", "hsa-mir-155")
    question = ask_file(b"\xef\xbb\xbf \n>a\nACGU\n", Limits())
    assert question.records[0].id == "a"


def test_errors_name_no_path_and_no_option_of_the_terminal() -> None:
    with pytest.raises(InputError) as caught:
        ask(Limits(), fasta=">a\nACGR\n")
    message = page_words(str(caught.value))
    assert message.startswith("pasted text, line 2, column 4: invalid nucleotide")
    assert "--" not in message
    assert page_words("unknown. Pass the sequence of a new RNA with --fasta") == (
        "unknown. Give the sequence of a new RNA instead"
    )


def test_json_has_no_nan() -> None:
    value = {"a": (1.5, math.nan, [math.inf]), "b": {"c": "nan"}, "d": 3}
    assert without_nan(value) == {"a": [1.5, None, [None]], "b": {"c": "nan"}, "d": 3}


def test_names_are_suggested_by_their_beginning_then_by_what_they_contain() -> None:
    names = ("hsa-let-7a", "hsa-mir-9", "hsa-mir-10", "hsa-mir-109")
    entries = tuple(Suggested(name, "reference RNA") for name in names)
    suggestions = Suggestions(entries, names, ("hsa",))

    def like(text: str, n: int = 8) -> list[str]:
        return [entry.name for entry in suggestions.like(text, n)]

    assert like("mir-10") == ["hsa-mir-10", "hsa-mir-109"]
    assert like("miR 10", 1) == ["hsa-mir-10"]
    assert like("9") == ["hsa-mir-9", "hsa-mir-109"]
    assert like("hsa-lte-7a") == ["hsa-let-7a"]
    assert like("zzz") == []
    assert Suggestions((), (), ()).like("mir-10") == []
