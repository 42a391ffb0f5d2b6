"""Requests and answers of the JSON API, as its OpenAPI description lists them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Iupac = Literal["error", "n"]
TableFormat = Literal["tsv", "csv", "json", "jsonl"]
Status = Literal["waiting", "running", "done", "failed", "cancelled"]


def _encodable(text: str) -> str:
    """A text as it is; JSON may hold halves of characters, which no table can."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is no character") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PredictRequest(_Request):
    """RNAs to predict: one of names, sequences and FASTA text."""

    names: list[Text] | None = Field(
        None,
        description="Names of any kind: ids, names and accessions of miRBase.",
        examples=[["hsa-miR-21-5p", "miR-155"]],
    )
    sequences: dict[Text, Text] | None = Field(
        None, description="Name -> sequence of ACGTUN, of known or new RNAs."
    )
    fasta: Text | None = Field(None, description="Text of a FASTA file.")
    iupac: Iupac = Field(
        "error", description="Ambiguous nucleotides of FASTA text: error, or n to read them as N."
    )
    rna_type: Text | None = Field(
        None, description="RNA type of all new RNAs, for a model of several types."
    )


class ExplainRequest(_Request):
    """One RNA to explain, by name or by sequence."""

    name: Text = Field(description="Name of the RNA; of any kind where no sequence is given.")
    sequence: Text | None = Field(None, description="Sequence of ACGTUN of a new RNA.")
    compartments: list[Text] = Field(
        [], description="Compartments to explain; empty for those called, or the most probable."
    )
    rna_type: Text | None = Field(None, description="As of a prediction.")


class ExplainRowRequest(_Request):
    """One RNA of a job to explain."""

    row: int = Field(ge=0, description="Row of the answer, counted from 0.")
    compartments: list[Text] = Field([], description="As of an explanation by name.")


class TableRequest(_Request):
    """Rows of a job to download."""

    format: TableFormat = Field("tsv", description="Format of the file.")
    rows: list[int] | None = Field(
        None, description="Rows in the order wanted, counted from 0; null for all."
    )


class Problem(BaseModel):
    """Why a request is refused."""

    error: str = Field(description="One sentence: what is wrong, what was found and expected.")


class Cell(BaseModel):
    """Prediction of one compartment; null where there is none."""

    probability: float | None
    low: float | None = Field(description="Lower end of the 95 % interval.")
    high: float | None = Field(description="Upper end of the 95 % interval.")
    uncertainty: float | None = Field(description="SD over the members of the ensemble.")
    called: bool | None = Field(
        None, description="Whether the probability reaches the threshold; absent for fractions."
    )


class Prediction(BaseModel):
    """Prediction of one RNA, as `mirnagraph predict --format json` writes it."""

    model_config = ConfigDict(extra="allow")

    query: str = Field(description="The RNA as asked.")
    rna_id: str = Field(description="The RNA that answers; empty for none.")
    accession: str
    match: str = Field(description="How the name or sequence was matched.")
    compartments: dict[str, Cell]
    source: str = Field(description="out-of-fold, final model or sequence alone; empty for none.")
    modalities: str = Field(description="What is known of the RNA, separated by semicolons.")
    warning: str = Field(description="Reason to doubt the prediction, or why there is none.")


class Predictions(BaseModel):
    """Predictions in the order asked."""

    compartments: list[str]
    summary: str = Field(description="Number of RNAs by the model that predicted them.")
    remarks: list[str]
    predictions: list[Prediction]


class JobStatus(BaseModel):
    """Progress of a job."""

    job: str
    status: Status
    done: int = Field(description="RNAs predicted so far.")
    total: int
    summary: str
    n_unanswered: int = Field(description="Names without a prediction.")
    remarks: list[str]
    error: str | None


class ExplanationAnswer(BaseModel):
    """Reasons for the prediction of one RNA."""

    explanation: dict[str, Any] = Field(
        description="What `mirnagraph explain --format json` writes."
    )
    text: str = Field(description="What `mirnagraph explain` writes.")
    reasons: dict[str, Any] = Field(description="The text in parts, as the page draws it.")


class SuggestedName(BaseModel):
    """A name that the model answers."""

    name: str
    about: str


class ModelLimits(BaseModel):
    """What one request may ask for."""

    upload_bytes: int
    rnas: int = Field(description="RNAs of a job.")
    rnas_at_once: int = Field(description="RNAs of POST /api/predict.")
    length: int = Field(description="Nucleotides of a sequence.")
    explained_length: int = Field(description="Nucleotides of a sequence that is explained.")
    name: int = Field(description="Characters of a name.")
    jobs: int = Field(description="Jobs that run at a time.")


class ModelFacts(BaseModel):
    """The model and the limits of the server."""

    title: str
    version: str
    compartments: list[str]
    thresholds: dict[str, Any] = Field(description="As in `FILE.thresholds.json` of `predict`.")
    answers_names: bool
    explains: bool
    n_reference: int | None
    rna_types: list[str]
    remarks: list[str]
    examples: dict[str, Any]
    limits: ModelLimits
