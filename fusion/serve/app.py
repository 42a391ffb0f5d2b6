"""Application of the page: addresses, answers and errors; imported where the extra is installed."""

from __future__ import annotations

from asyncio import wrap_future
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Annotated, Any

import jinja2
import numpy as np
from fastapi import APIRouter, FastAPI, File, Form, Query, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

import mirnagraph
from fusion.serve import schemas
from fusion.serve.bodies import StrictRoute, check_form
from fusion.serve.description import operations
from fusion.serve.guard import Guard, Hosts
from fusion.serve.limits import BAD_REQUEST, INVALID, RefusedError, check_number, shortened
from fusion.serve.questions import ask, ask_file, page_words
from fusion.serve.service import Service, as_json
from mirnagraph.errors import MirnagraphError
from mirnagraph.runs.prediction_table import PredictionRows

BUG = "a bug of mirnagraph; the terminal of the server shows more"

JSON = "application/json"

MEDIA_TYPES = {
    "tsv": "text/tab-separated-values; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": JSON,
    "jsonl": "application/x-ndjson",
}
"""Format of a table -> media type."""

MAX_PROBLEMS = 3
"""Most fields that a message on a malformed request names."""

MAX_MESSAGE = 2_000
"""Most characters of a message, which may repeat what was asked."""

DESCRIPTION = (
    "Compartments of RNAs by one model, with the same answers as the commands `mirnagraph predict` "
    "and `mirnagraph explain`. Every error is a JSON object with one sentence, `error`."
)


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Errors of an address, for its description."""
    words = {
        400: "What is asked has no answer: a malformed file, an unknown name or compartment.",
        403: "The request is of another site.",
        404: "No such job.",
        409: "The job is not done, or failed.",
        413: "Larger than a limit of the server, which the message names.",
        422: "The request does not fit its description.",
        429: "Too many requests run or wait.",
    }
    return {code: {"model": schemas.Problem, "description": words[code]} for code in statuses}


class JsonBytes(Response):
    """JSON that is already encoded."""

    media_type = JSON


pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api", responses=_problems(403), route_class=StrictRoute)


def create_app(service: Service, hosts: Hosts) -> FastAPI:
    """Make the application of a service.

    Args:
        service: model and limits.
        hosts: names by which a browser may ask for it.
    """
    app = FastAPI(
        title="mirnagraph",
        version=mirnagraph.__version__,
        description=DESCRIPTION,
        docs_url=None,  # these pages load scripts from another address
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.service = service
    app.include_router(pages)
    app.include_router(api)
    static = resources.files("fusion.serve").joinpath("static")
    app.mount("/static", StaticFiles(directory=str(static)))
    app.add_middleware(Guard, hosts=hosts, max_body=service.limits.max_upload_bytes)  # type: ignore[arg-type]
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(MirnagraphError, _wrong)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)
    return app


@pages.get("/")
async def page(request: Request) -> HTMLResponse:
    """The page."""
    return _rendered("page.html", facts=_service(request).facts)


@pages.get("/api")
async def api_page(request: Request) -> HTMLResponse:
    """The API in words."""
    listed = operations(request.app.openapi())
    host = request.headers["host"]
    facts = _service(request).facts
    return _rendered("api.html", facts=facts, operations=listed, host=host)


@api.get("/model", response_model=schemas.ModelFacts)
async def model_facts(request: Request) -> JsonBytes:
    """The model, its thresholds, and the limits of the server."""
    return JsonBytes(as_json(_service(request).facts))


@api.get("/names", response_model=list[schemas.SuggestedName], responses=_problems(422))
async def names_like(
    request: Request,
    text: Annotated[str, Query(max_length=200, description="Beginning of a name.")],
    n: Annotated[int, Query(ge=1, le=50, description="Most names.")] = 8,
) -> JSONResponse:
    """Names that begin with a text, contain it, or are spelt alike."""
    suggestions = _service(request).suggestions
    found = await run_in_threadpool(suggestions.like, text, n)
    return JSONResponse([asdict(name) for name in found])


@api.post("/predict", response_model=schemas.Predictions, responses=_problems(400, 413, 422, 429))
async def predict(request: Request, asked: schemas.PredictRequest) -> JsonBytes:
    """Predict compartments, and wait for the answer; for many RNAs, start a job."""
    service = _service(request)
    question = await run_in_threadpool(ask, service.limits, **asked.model_dump())
    check_number(question.n_rnas, service.limits.max_rnas_at_once, "RNAs")
    job, future = service.jobs.predict(question)
    await wrap_future(future)
    if job.error:
        raise RefusedError(BAD_REQUEST, job.error)
    return await _predictions(service, job.answer(), service.status(job))


@api.post(
    "/explain", response_model=schemas.ExplanationAnswer, responses=_problems(400, 413, 422, 429)
)
async def explain(request: Request, asked: schemas.ExplainRequest) -> JsonBytes:
    """Explain one RNA: what speaks for a compartment, and what against it."""
    service = _service(request)

    def answer() -> bytes:
        explained = service.explain_name(
            asked.name, asked.sequence, asked.compartments, asked.rna_type
        )
        return as_json(explained)

    return JsonBytes(await wrap_future(service.jobs.run(answer)))


@api.post(
    "/jobs",
    status_code=202,
    response_model=schemas.JobStatus,
    responses=_problems(400, 413, 422, 429),
)
async def start_job(request: Request, asked: schemas.PredictRequest) -> JSONResponse:
    """Start a job of many RNAs."""
    service = _service(request)
    question = await run_in_threadpool(ask, service.limits, **asked.model_dump())
    return JSONResponse(service.status(service.jobs.start(question)), 202)


UPLOAD_FIELDS = ("file", "iupac", "rna_type")
"""Fields of the form of an upload."""


@api.post(
    "/jobs/upload",
    status_code=202,
    response_model=schemas.JobStatus,
    responses=_problems(400, 413, 422, 429),
)
async def upload(
    request: Request,
    file: Annotated[
        UploadFile, File(description="FASTA, or a table whose first column holds names.")
    ],
    iupac: Annotated[schemas.Iupac, Form()] = "error",
    rna_type: Annotated[str | None, Form()] = None,
) -> JSONResponse:
    """Start a job of an uploaded file, plain or gzip."""
    service = _service(request)
    check_form([name for name, _ in (await request.form()).multi_items()], UPLOAD_FIELDS)
    content = await file.read()
    rna_type = rna_type or None
    question = await run_in_threadpool(
        ask_file, content, service.limits, iupac=iupac, rna_type=rna_type
    )
    return JSONResponse(service.status(service.jobs.start(question)), 202)


@api.get("/jobs/{job}", response_model=schemas.JobStatus, responses=_problems(404, 422))
async def job_status(request: Request, job: str) -> JSONResponse:
    """Progress of a job."""
    service = _service(request)
    return JSONResponse(service.status(service.jobs.get(job)))


@api.delete("/jobs/{job}", status_code=204, responses=_problems(404, 422))
async def drop_job(request: Request, job: str) -> Response:
    """Stop a job and forget it."""
    _service(request).jobs.drop(job)
    return Response(status_code=204)


@api.get(
    "/jobs/{job}/predictions",
    response_model=schemas.Predictions,
    responses=_problems(404, 409, 422),
)
async def job_predictions(request: Request, job: str) -> JsonBytes:
    """Predictions of a job that is done."""
    service = _service(request)
    found = service.jobs.get(job)
    return await _predictions(service, found.answer(), service.status(found))


@api.post(
    "/jobs/{job}/explain",
    response_model=schemas.ExplanationAnswer,
    responses=_problems(400, 404, 413, 422, 429),
)
async def explain_row(request: Request, job: str, asked: schemas.ExplainRowRequest) -> JsonBytes:
    """Explain one RNA of a job."""
    service = _service(request)
    found = service.jobs.get(job)

    def answer() -> bytes:
        return as_json(service.explain_row(found, asked.row, asked.compartments))

    return JsonBytes(await wrap_future(service.jobs.run(answer)))


TABLE: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind.split(";")[0]: {} for kind in MEDIA_TYPES.values()}}
}


@api.get(
    "/jobs/{job}/table",
    response_class=Response,
    responses={**TABLE, **_problems(404, 409, 422)},
)
async def whole_table(
    request: Request,
    job: str,
    format: Annotated[schemas.TableFormat, Query(description="Format of the file.")] = "tsv",
) -> Response:
    """File of a job, as `mirnagraph predict --out` writes it."""
    service = _service(request)
    return await _table(service, service.jobs.get(job).answer(), format)


@api.post(
    "/jobs/{job}/table",
    response_class=Response,
    responses={**TABLE, **_problems(400, 404, 409, 422)},
)
async def some_rows(request: Request, job: str, asked: schemas.TableRequest) -> Response:
    """File of some rows of a job, in the order given."""
    service = _service(request)
    rows = service.jobs.get(job).answer()
    if asked.rows is not None:
        wrong = [row for row in asked.rows if not 0 <= row < len(rows)]
        if wrong or len(asked.rows) > len(rows):
            found = f"row {wrong[0]}" if wrong else f"{len(asked.rows)} rows"
            expected = f"rows from 0 to {len(rows) - 1}, at most {len(rows)} of them"
            raise RefusedError(BAD_REQUEST, f"{shortened(found)}; expected {expected}")
        rows = rows.take(np.array(asked.rows, dtype=np.int64))
    return await _table(service, rows, asked.format)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _predictions(service: Service, rows: PredictionRows, status: dict[str, Any]) -> JsonBytes:
    """Predictions as `mirnagraph predict --format json` writes them, and a summary."""

    def content() -> bytes:
        answer = {
            "compartments": list(rows.compartments),
            "summary": status["summary"],
            "remarks": status["remarks"],
            "predictions": rows.to_records(),
        }
        return as_json(answer)

    return JsonBytes(await run_in_threadpool(content))


async def _table(service: Service, rows: PredictionRows, format_: str) -> Response:
    content = await run_in_threadpool(service.table, rows, format_)
    disposition = f'attachment; filename="predictions.{format_}"'
    headers = {"content-disposition": disposition, "content-type": MEDIA_TYPES[format_]}
    return Response(content, headers=headers)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("fusion.serve"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _rendered(template: str, **values: Any) -> HTMLResponse:
    return HTMLResponse(_templates().get_template(template).render(**values))


def _problem(status: int, message: str) -> JsonBytes:
    # Lone surrogates of a malformed text cannot be encoded.
    clean = shortened(message.encode("utf-8", "replace").decode("utf-8"), MAX_MESSAGE)
    return JsonBytes(as_json({"error": clean}), status)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return _problem(error.status, str(error))


async def _wrong(_: Request, error: Exception) -> Response:
    return _problem(BAD_REQUEST, page_words(str(error)))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    texts = []
    for problem in error.errors()[:MAX_PROBLEMS]:
        place = ".".join(str(part) for part in problem["loc"][1:]) or "body"
        message = problem["msg"]
        if problem["type"] == "json_invalid":
            place = f"character {place}"
            message = f"{message}: {problem['ctx']['error']}"
        if problem["loc"] == ("body",) and isinstance(problem["input"], bytes):
            found = shortened(request.headers.get("content-type", "none"))
            message = f"its content type is {found}, expected {JSON}"
        texts.append(f"{shortened(place)}: {message}")
    return _problem(INVALID, f"the request does not fit its description; {'; '.join(texts)}")


async def _http(_: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", BAD_REQUEST)
    detail = str(getattr(error, "detail", "")) or "refused"
    response = _problem(status, detail)
    response.headers.update(getattr(error, "headers", None) or {})
    return response


async def _bug(_: Request, __: Exception) -> Response:
    # The server writes the traceback to its terminal.
    return _problem(500, BUG)
