"""What readers can ask over HTTP. Each request carries the token of the reader file.

    POST /sql       {"sql", "parameters", "timeout", "max_rows", "as_of", "known_at"} -> an Arrow IPC stream
    GET  /customer  ?contact=KEY (several: the first that is known), as_of, known_at -> the card as JSON, or null
    GET  /menu      likewise -> the telephone menu for that customer (`projections.next_menu`)
    GET  /status    -> JSON
    POST /errands/redrive   what `consumers.redrive.Asked` takes -> JSON of what came of it; /errands/replay likewise
                            (`touchlog.replaying.Asked`); they wait for their turn between two batches

An error comes as JSON {"error": class, "message", "exit_code"}. An answer is complete, and its snapshot given up,
before the first byte is sent: a slow client holds nothing.
"""

import hmac
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, Any

import anyio
import anyio.to_thread
import duckdb
import pyarrow as pa
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from projections.beside import READERS_NICE, give_way
from schemas.errors import ConfigurationError, QueryRefused, RetryLater, StoreError, TouchlogError
from touchlog import guard
from touchlog.as_json import dumps
from touchlog.contact import Card, find_card
from touchlog.status import Status
from touchlog.then import Then, as_of

ARROW_STREAM = "application/vnd.apache.arrow.stream"
READERS = 4
"""Queries that run at the same time."""

LONGEST_BODY = 1 << 20
LONGEST_ERRAND = 16 << 20
_ERRANDS = 2
_IN_MEMORY = 16 << 20
_LARGEST_ANSWER = 2 << 30
_CHUNK = 1 << 18
_GRACE_SECONDS = 5.0

Endpoint = Callable[[Request], Awaitable[Response]]
Errand = Callable[[Any], Any]
"""From what was asked, as JSON values, to what came of it; waits until it is done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What the server needs of its process: a new cursor for a reader, how cards, menus and the status are made, and
    what the projector does when it is asked to, by name."""

    cursor: Callable[[], duckdb.DuckDBPyConnection]
    card: Card
    status: Status
    menu: Card | None = None
    errands: Mapping[str, Errand] = field(default_factory=dict)


def reader_app(answers: Answers, token: str, *, query_timeout: float, readers: int = READERS) -> Starlette:
    """The application alone; `query_timeout` seconds is the most that a reader's query gets."""
    limiter = anyio.CapacityLimiter(readers)
    errands = anyio.CapacityLimiter(_ERRANDS)
    # A health check does not wait for four slow queries.
    statuses = anyio.CapacityLimiter(1)

    async def in_thread(
        work: Callable[..., Response], *arguments: Any, seconds: float, turns: anyio.CapacityLimiter = limiter
    ) -> Response:
        def last(*given: Any) -> Response:
            give_way(READERS_NICE)
            return work(*given)

        try:
            with anyio.fail_after(seconds + _GRACE_SECONDS):
                return await anyio.to_thread.run_sync(last, *arguments, abandon_on_cancel=True, limiter=turns)
        except TimeoutError:
            raise QueryRefused("no answer in time: other readers' queries are running; try again later") from None

    async def sql(request: Request) -> Response:
        asked = await _asked(request, query_timeout)
        return await in_thread(_sql, answers, asked, seconds=asked.timeout)

    async def customer(request: Request) -> Response:
        return await about(request, answers.card)

    async def menu(request: Request) -> Response:
        if answers.menu is None:
            raise ConfigurationError("this process makes no menus; ask the projector")
        return await about(request, answers.menu)

    async def about(request: Request, card: Card) -> Response:
        asked = request.query_params
        keys, then = asked.getlist("contact"), Then.of(asked.get("as_of"), asked.get("known_at"))
        return await in_thread(_customer, answers, card, keys, then, query_timeout, seconds=query_timeout)

    async def status(_: Request) -> Response:
        return await in_thread(_status, answers, query_timeout, seconds=query_timeout, turns=statuses)

    async def errand(request: Request) -> Response:
        name, content = request.path_params["name"], await _content(request, LONGEST_ERRAND)
        # As long as it takes: it waits for the fold's turns, and holds up no reader.
        return await anyio.to_thread.run_sync(_errand, answers, name, content, abandon_on_cancel=True, limiter=errands)

    return Starlette(
        routes=[
            Route("/errands/{name}", _known_only(token, errand), methods=["POST"]),
            Route("/sql", _known_only(token, sql), methods=["POST"]),
            Route("/customer", _known_only(token, customer), methods=["GET"]),
            Route("/menu", _known_only(token, menu), methods=["GET"]),
            Route("/status", _known_only(token, status), methods=["GET"]),
        ]
    )


def _known_only(token: str, endpoint: Endpoint) -> Endpoint:
    """Nothing is read of a request without the token; every error becomes one that the client can raise."""
    expected = f"Bearer {token}".encode()

    async def answer(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, expected):
            return _problem(ConfigurationError("the token is not this store's; type the command again"), 401)
        try:
            return await endpoint(request)
        except TouchlogError as error:
            return _problem(error, 503 if isinstance(error, RetryLater) else 400)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            # Its text could hold data; the class says enough to look for it.
            return _problem(StoreError(f"the projector could not answer: {type(error).__name__}"), 500)

    return answer


@dataclass(frozen=True, kw_only=True, slots=True)
class _Query:
    sql: str
    parameters: Sequence[Any] | Mapping[str, Any]
    timeout: float
    max_rows: int | None
    then: Then


async def _content(request: Request, longest: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > longest:
            raise QueryRefused(f"the request is larger than {longest} bytes")
    return bytes(body)


async def _asked(request: Request, query_timeout: float) -> _Query:
    body = await _content(request, LONGEST_BODY)
    try:
        given = json.loads(body)
        sql, parameters = given["sql"], given.get("parameters") or ()
        timeout = float(given.get("timeout") or query_timeout)
        max_rows = None if given.get("max_rows") is None else int(given["max_rows"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise QueryRefused('a query is sent as JSON: {"sql": "SELECT …", "parameters": []}') from None
    if not isinstance(sql, str) or not isinstance(parameters, list | dict | tuple) or not 0 < timeout < float("inf"):
        raise QueryRefused('a query is sent as JSON: {"sql": "SELECT …", "parameters": []}')
    then = Then.of(given.get("as_of"), given.get("known_at"))
    return _Query(sql=sql, parameters=parameters, timeout=min(timeout, query_timeout), max_rows=max_rows, then=then)


def _sql(answers: Answers, asked: _Query) -> Response:
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (sent after this returns)
    try:
        with (
            closing(answers.cursor()) as con,
            as_of(con, asked.then, asked.timeout) as views,
            guard.stream(
                views, asked.sql, parameters=asked.parameters, timeout_s=asked.timeout, max_rows=asked.max_rows
            ) as reader,
            pa.ipc.new_stream(pa.PythonFile(file, mode="w"), reader.schema) as out,
        ):
            for batch in reader:
                out.write_batch(batch)
                if file.tell() > _LARGEST_ANSWER:
                    raise QueryRefused(f"the answer is larger than {_LARGEST_ANSWER >> 30} GB; narrow it with WHERE")
        length = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return StreamingResponse(_chunks(file), media_type=ARROW_STREAM, headers={"Content-Length": str(length)})


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _customer(answers: Answers, card: Card, keys: Sequence[str], then: Then, seconds: float) -> Response:
    with closing(answers.cursor()) as con, guard.limited(con, seconds):
        return _json(find_card(con, keys, then, card))


def _status(answers: Answers, seconds: float) -> Response:
    with closing(answers.cursor()) as con, guard.limited(con, seconds):
        return _json(answers.status(con))


def _errand(answers: Answers, name: str, content: bytes) -> Response:
    errand = answers.errands.get(name)
    if errand is None:
        raise ConfigurationError("this process does no such thing when asked; stop it, and type the command again")
    try:
        asked = json.loads(content)
    except (ValueError, RecursionError):
        raise ConfigurationError("an errand is asked for with a JSON value") from None
    return _json(errand(asked))


def _json(content: Any) -> Response:
    return Response(dumps(content), media_type="application/json")


def _problem(error: TouchlogError, status_code: int) -> Response:
    content = {"error": type(error).__name__, "message": str(error), "exit_code": error.exit_code}
    return JSONResponse(content, status_code)
