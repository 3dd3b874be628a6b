# SPDX-License-Identifier: Apache-2.0
"""The key service over HTTP: the paths of the key broker protocol for realms, and others for owners and users.

All that matters is signed or sealed inside of the messages: the way to a realm leads over a host that nobody trusts.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from orchestrator.errors import EnvError
from orchestrator.schema.attestation import AttestationPolicy
from orchestrator.schema.keys import AttestationRequest, AuthRequest
from orchestrator.service import jose
from orchestrator.service.messages import read
from orchestrator.service.refusal import ABSENT, MALFORMED, TOO_LARGE, TOO_MANY, RefusedError
from orchestrator.service.release import Wanted, note_deletion, release
from orchestrator.service.sessions import attest, attested, bearer, begin
from orchestrator.service.statements import carry_out
from orchestrator.service.store import Store

COOKIE = "kbs-session-id"
KIND = "model-key"
MAX_BODY = 1 << 17
"""Bytes of a request: a token of the longest kind in base64, and what is around it."""
_TYPE = "https://github.com/confidential-containers/kbs/errors"  # as the protocol has it
_INTERNAL, _UNAVAILABLE = 500, 503
Handler = Callable[["Service", Request], Awaitable[Response]]


@dataclass
class Rate:
    """How often one address may ask: `rate` a second, and `burst` at once. What is known of addresses is bounded."""

    rate: float = 50.0
    burst: float = 200.0
    known: int = 10_000
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, address: str, now: float) -> bool:
        """Whether another request of that address is answered."""
        left, then = self._left.pop(address, (self.burst, now))
        left = min(self.burst, left + (now - then) * self.rate)
        self._left[address] = (left - 1 if left >= 1 else left, now)
        while len(self._left) > self.known:
            self._left.popitem(last=False)
        return left >= 1


@dataclass(frozen=True)
class Service:
    """What the handlers share."""

    store: Store
    policy: AttestationPolicy
    rate: Rate


def application(store: Store, policy: AttestationPolicy, rate: Rate | None = None) -> Starlette:
    """The service as an ASGI application."""
    service = Service(store, policy, rate or Rate())
    routes = [
        _route(service, "/kbs/v0/auth", "POST", _auth),
        _route(service, "/kbs/v0/attest", "POST", _attest),
        _route(service, "/kbs/v0/resource/{owner}/{kind}/{model}", "GET", _resource),
        _route(service, "/keys/v0/statement", "POST", _statement),
        _route(service, "/keys/v0/deletion", "POST", _deletion),
        _route(service, "/keys/v0/service", "GET", _about),
    ]
    return Starlette(routes=routes)


def _route(service: Service, path: str, method: str, handler: Handler) -> Route:
    """Errors become answers: those that are meant with their reason, others without."""

    async def answer(request: Request) -> Response:
        address = request.client.host if request.client else ""
        try:
            if not service.rate.take(address, time.monotonic()):
                raise RefusedError("too many requests from there", TOO_MANY)
            return await handler(service, request)
        except RefusedError as error:
            return JSONResponse({"type": f"{_TYPE}/refused", "detail": error.message}, error.status)
        except EnvError:
            return JSONResponse({"type": f"{_TYPE}/internal", "detail": "the state is not as it must be"}, _INTERNAL)
        except SQLAlchemyError:
            return JSONResponse({"type": f"{_TYPE}/internal", "detail": "the state cannot be reached"}, _UNAVAILABLE)
        except ClientDisconnect:
            return Response(status_code=MALFORMED)

    return Route(path, answer, methods=[method])


async def _body(request: Request) -> bytes:
    """The body, as far as it may be; raises RefusedError for more, before it is read."""
    length = request.headers.get("content-length")
    if length is not None and (not length.isdigit() or int(length) > MAX_BODY):
        raise RefusedError(f"more than {MAX_BODY} bytes", TOO_LARGE)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RefusedError(f"more than {MAX_BODY} bytes", TOO_LARGE)
    return bytes(body)


async def _auth(service: Service, request: Request) -> Response:
    asked = read(AuthRequest, jose.strict_json(await _body(request)))
    cookie, challenge = await run_in_threadpool(begin, service.store, asked)
    response = JSONResponse(challenge)
    response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict")
    return response


async def _attest(service: Service, request: Request) -> Response:
    cookie = request.cookies.get(COOKIE, "")
    data = jose.strict_json(await _body(request))
    asked = read(AttestationRequest, data)
    token = await run_in_threadpool(attest, service.store, service.policy, cookie, asked, data["runtime-data"])
    return JSONResponse({"token": token})


async def _resource(service: Service, request: Request) -> Response:
    if request.path_params["kind"] != KIND:
        raise RefusedError(f"there is nothing of that kind but {KIND}", ABSENT)
    user = request.query_params.get("user", "")
    wanted = Wanted(request.path_params["owner"], request.path_params["model"], user)
    if any(len(each) > 64 or not each.isascii() for each in wanted.__dict__.values()):
        raise RefusedError("no name of an owner, a model or a user", MALFORMED)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")

    def hand_out() -> dict[str, str]:
        cookie = bearer(service.store, token) if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
        return release(service.store, attested(service.store, cookie), wanted)

    return JSONResponse(await run_in_threadpool(hand_out))


async def _statement(service: Service, request: Request) -> Response:
    text = _ascii(await _body(request))
    return JSONResponse(await run_in_threadpool(carry_out, service.store, text))


async def _deletion(service: Service, request: Request) -> Response:
    text = _ascii(await _body(request))
    return JSONResponse({"head": await run_in_threadpool(note_deletion, service.store, text)})


async def _about(service: Service, _request: Request) -> Response:
    about: dict[str, Any] = service.store.public()
    return JSONResponse(about)


def _ascii(body: bytes) -> str:
    try:
        return body.decode("ascii").strip()
    except UnicodeDecodeError:
        raise RefusedError("no signed message", MALFORMED) from None
