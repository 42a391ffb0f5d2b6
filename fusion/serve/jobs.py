"""Predictions in the background: jobs with their progress, a queue, and what is kept of them."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from fusion.export.load import Model
from fusion.models.saved import SavedModel
from fusion.serve.limits import CONFLICT, NOT_FOUND, TOO_MANY, Limits, RefusedError
from fusion.serve.questions import Question, page_words
from fusion.streaming import StreamCounts, stream_names, stream_predictions
from mirnagraph.errors import ConfigError, MirnagraphError
from mirnagraph.runs.prediction_table import PredictionRows, join_rows

WAITING = "waiting"
RUNNING = "running"
DONE = "done"
FAILED = "failed"
CANCELLED = "cancelled"

STATUSES = (WAITING, RUNNING, DONE, FAILED, CANCELLED)

CHUNK_RNAS = 200
CHUNK_NUCLEOTIDES = 50_000
"""RNAs, and nucleotides of all of them, between two reports of progress, about."""

SHORT_RNAS = 100
"""Most RNAs of a question that is answered next to the jobs."""

BYTES_PER_VALUE = 60
"""Bytes of memory per RNA and column of a table, about: numbers and small texts."""

Result = TypeVar("Result")


@dataclass(eq=False)
class Job:
    """One question and its answer so far.

    Attributes:
        id: that no one can guess.
        question: what is asked.
        status: one of `STATUSES`.
        n_done: RNAs predicted so far.
        error: why it failed; empty otherwise.
        counts: of the RNAs so far.
        rows: predictions, once it is done.
        is_cancelled: whether the rest is not wanted any more.
    """

    id: str
    question: Question
    status: str = WAITING
    n_done: int = 0
    error: str = ""
    counts: StreamCounts = field(default_factory=StreamCounts)
    rows: PredictionRows | None = None
    is_cancelled: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether nothing more happens."""
        return self.status in (DONE, FAILED, CANCELLED)

    def answer(self) -> PredictionRows:
        """Predictions of a job that is done.

        Raises:
            RefusedError: it is not done.
        """
        if self.rows is None:
            reason = f": {self.error}" if self.error else ""
            raise RefusedError(CONFLICT, f"the job is {self.status}{reason}")
        return self.rows

    def n_bytes(self) -> int:
        """Memory that it holds, about."""
        n_cells = 0 if self.rows is None else self.rows.probabilities.size + 12 * len(self.rows)
        return self.question.n_nucleotides + 200 * self.question.n_rnas + BYTES_PER_VALUE * n_cells


class Jobs:
    """Jobs of one model: a few run at a time, some wait, the finished ones are kept for a while.

    Long jobs and short questions have threads of their own, so that a batch delays no one who asks
    for a few names.

    Args:
        model: that predicts.
        limits: of the server.
    """

    def __init__(self, model: Model, limits: Limits) -> None:
        self.model = model
        self.limits = limits
        self._long = ThreadPoolExecutor(limits.max_jobs, thread_name_prefix="job")
        self._short = ThreadPoolExecutor(limits.max_jobs, thread_name_prefix="question")
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._n_pending = 0

    def run(self, call: Callable[[], Result], *, is_long: bool = False) -> Future[Result]:
        """Run a call in a thread, after those that came before.

        Raises:
            RefusedError: too many wait.
        """
        with self._lock:
            if self._n_pending >= 2 * self.limits.max_jobs + self.limits.max_waiting:
                raise RefusedError(
                    TOO_MANY,
                    f"{self._n_pending} requests run or wait, the limit of this page; "
                    "try again in a minute",
                )
            self._n_pending += 1
        future = (self._long if is_long else self._short).submit(call)
        future.add_done_callback(self._finished)
        return future

    def _finished(self, _: Future[Any]) -> None:
        with self._lock:
            self._n_pending -= 1

    def predict(self, question: Question) -> tuple[Job, Future[None]]:
        """Start a job that is not kept, for a request that waits for it.

        Raises:
            RefusedError: too many wait.
        """
        job = Job(secrets.token_urlsafe(16), question)
        is_long = question.n_rnas > SHORT_RNAS or question.n_nucleotides > CHUNK_NUCLEOTIDES
        return job, self.run(lambda: self._work(job), is_long=is_long)

    def start(self, question: Question) -> Job:
        """Start a job that is kept.

        Raises:
            RefusedError: too many wait.
        """
        job, future = self.predict(question)
        with self._lock:
            self._jobs[job.id] = job
        future.add_done_callback(lambda _: self._forget_old())
        return job

    def get(self, job_id: str) -> Job:
        """A job by its id.

        Raises:
            RefusedError: there is none, or it was dropped for newer ones.
        """
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise RefusedError(NOT_FOUND, "no such job; it may have been dropped for newer ones")
        return job

    def drop(self, job_id: str) -> None:
        """Stop a job and forget it.

        Raises:
            RefusedError: see `get`.
        """
        self.get(job_id).is_cancelled = True
        with self._lock:
            self._jobs.pop(job_id, None)

    def close(self) -> None:
        """Stop all jobs; those that wait do not start."""
        with self._lock:
            for job in self._jobs.values():
                job.is_cancelled = True
        for pool in (self._long, self._short):
            pool.shutdown(wait=False, cancel_futures=True)

    def _work(self, job: Job) -> None:
        """Predict the RNAs of a job chunk by chunk."""
        job.status = CANCELLED if job.is_cancelled else RUNNING
        if job.is_cancelled:
            return
        try:
            parts = []
            for rows in _parts(self.model, job):
                parts.append(rows)
                job.n_done += len(rows)
                if job.is_cancelled:
                    raise CancelledError
            job.rows = join_rows(parts)
            job.status = DONE
        except CancelledError:
            job.status = CANCELLED
        except MirnagraphError as error:
            job.error = page_words(str(error))
            job.status = FAILED
        except BaseException:
            job.error = "a bug of mirnagraph; the terminal of the server shows more"
            job.status = FAILED
            raise

    def _forget_old(self) -> None:
        """Drop the oldest finished jobs beyond the limits."""
        with self._lock:
            finished = [job for job in self._jobs.values() if job.is_finished]
            n_bytes = sum(job.n_bytes() for job in finished)
            n_kept = len(finished)
            for job in finished[:-1]:
                is_within = n_bytes <= self.limits.max_kept_bytes and n_kept <= self.limits.max_kept
                if is_within:
                    break
                del self._jobs[job.id]
                n_bytes -= job.n_bytes()
                n_kept -= 1


def _parts(model: Model, job: Job) -> Iterator[PredictionRows]:
    """Predictions of a job, chunk by chunk."""
    question = job.question
    if question.records is not None:
        mean_length = max(1, question.n_nucleotides // question.n_rnas)
        n_fitting = CHUNK_NUCLEOTIDES // mean_length
        chunk_rnas = int(np.clip(n_fitting, 1, CHUNK_RNAS))
        yield from stream_predictions(
            model,
            question.records,
            job.counts,
            rna_type=question.rna_type,
            chunk_rnas=chunk_rnas,
        )
        return
    names = question.names or ()
    if not isinstance(model, SavedModel):
        raise ConfigError("this model predicts sequences and knows no names; give sequences")
    for start in range(0, len(names), CHUNK_RNAS):
        chunk = names[start : start + CHUNK_RNAS]
        yield from stream_names(model, chunk, job.counts, rna_type=question.rna_type)
