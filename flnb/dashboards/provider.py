"""Signing in by an OAuth provider: it says who somebody is, a list of ours says what he may.

Panel knows the providers, where they are asked, and the state that a browser has to bring back; its
settings are those of `PANEL_OAUTH_…`. What it does with an answer is not used: it would give the
provider's tokens to the browser as cookies, which go along with every request and socket, and
would write an answer that it does not understand into the log. Here a provider's tokens are used
once, to ask for an address, and forgotten. The person gets a token of the lab like everybody else.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from panel.auth import AUTH_PROVIDERS, OAuthLoginHandler, PasswordLoginHandler
from panel.config import config
from panel.util import decode_token
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.web import HTTPError, RequestHandler

from flnb.core.errors import FLBaseError, PlanError, did_you_mean
from flnb.dashboards.doors import Door, Gate
from flnb.dashboards.people import People, verified

log = logging.getLogger(__name__)

_TOKEN_S, _STATE_DAYS = 10.0, 1 / 24
_OWN_ADDRESSES = ("generic", "auth_code")
"""Of these providers Panel knows no addresses."""
_SAY_NOTHING = frozenset({"github", "gitlab", "bitbucket", "azure", "azurev2"})
"""What Panel asks them has no word on whether an address was verified: Entra sends none, the others are no OpenID Connect."""
_OURS = MappingProxyType({"auth0": "subdomain", "okta": "url"})
"""What these must be told of whose people they ask; without it Panel asks a tenant that anybody may own."""
_ADDRESSES = MappingProxyType(
    {"AUTHORIZE_URL": "_OAUTH_AUTHORIZE_URL", "TOKEN_URL": "_OAUTH_ACCESS_TOKEN_URL", "USER_URL": "_OAUTH_USER_URL"}
)  # fmt: skip
"""What Panel calls them as a setting, and in a handler."""
_REFUSALS = frozenset({
    "access_denied", "account_selection_required", "consent_required", "interaction_required", "invalid_client",
    "invalid_grant", "invalid_request", "invalid_scope", "login_required", "server_error", "temporarily_unavailable",
    "unauthorized_client", "unsupported_grant_type", "unsupported_response_type",
})  # fmt: skip
"""What OAuth and OpenID Connect call a refusal; any other word may be of whoever wrote a link."""


@dataclass(frozen=True, slots=True)
class Provider:
    """An OAuth provider as a way in.

    Raises:
        PlanError: Panel's settings name no provider or are not whole, or the list is no good.
    """

    people: People
    grant: Callable[[str, str], str]
    """Signs a token of the lab for a name and a role."""

    def __post_init__(self) -> None:
        known = sorted(name for name, one in AUTH_PROVIDERS.items() if _is_asked(name, one))
        name = config.oauth_provider
        if name not in known:
            hint = did_you_mean(name or "", known)
            raise PlanError(
                f"PANEL_OAUTH_PROVIDER is {name!r}, which signs nobody in here", hint=hint
            )
        if not config.oauth_key or not (config.oauth_secret or name == "auth_code"):
            raise PlanError("PANEL_OAUTH_KEY and PANEL_OAUTH_SECRET are not both set")
        extra = _extra_params()
        if (owner := _OURS.get(name)) and not extra.get(owner):
            hint = f"""PANEL_OAUTH_EXTRA_PARAMS="{{'{owner}': '…'}}\""""
            raise PlanError(f"{name} is not told whose people it signs in", hint=hint)
        for one in _ADDRESSES:
            _check_address(one)
        self.people.roles()

    @property
    def name(self) -> str:
        """What people call it."""
        return "your account" if config.oauth_provider in _OWN_ADDRESSES else config.oauth_provider

    def handler(self, gate: Gate) -> type[RequestHandler]:
        """Sends people to the provider, and lets in who comes back."""
        logging.getLogger("panel.auth").addFilter(_in_one_line)
        bases = _AtProvider, AUTH_PROVIDERS[config.oauth_provider]
        named = {"gate": gate, "provider": self}
        return cast("type[RequestHandler]", type("SignInAtProvider", bases, named))

    def token(self, address: str) -> str:
        """A token of the lab for somebody whose address the provider has verified.

        Raises:
            AccessRefusedError: He is not on the list.
            PlanError: The list cannot be read.
        """
        return self.grant(address, self.people.role(address))


class _AtProvider(Door):
    """What is ours in a handler of Panel's; stands before it."""

    provider: Provider
    _API_BASE_HEADERS: Mapping[str, str]
    _OAUTH_ACCESS_TOKEN_URL: str
    _access_token_header: str | None
    get_auth_http_client: Callable[[], Any]
    _DEFAULT_SCOPES = ("openid", "email")
    """Panel asks for more, such as to come back while somebody is away."""
    write_error = RequestHandler.write_error
    """Panel's clears all cookies of this host: a link from elsewhere would sign people out, here and beside."""

    async def get(self) -> None:
        """Go to the provider, or come back from it."""
        try:
            if refusal := self.get_argument(
                "error", ""
            ):  # PKCE of Panel's would ask again and again
                self._refused(refusal)
            else:
                await cast("Any", super()).get()
        except PlanError as error:  # its text tells of the file, and who reads this may be anybody
            log.error("nobody can sign in by the OAuth provider: %s", error)  # noqa: TRY400
            self._show("the list of people cannot be read; tell whoever looks after this lab", 500)
        except FLBaseError as error:
            self._show(str(error), 403)
        except HTTPError as error:  # of Panel's
            why = "that is no answer to what this browser asked the provider; try again"
            self._show(why, error.status_code)
        except (HTTPClientError, OSError, ValueError, KeyError) as error:
            log.warning("the OAuth provider gave no answer of use: %s", _said(error))
            self._show("the provider did not say who you are; try again", 502)

    def _refused(self, word: str) -> None:
        why = word if word in _REFUSALS else "it does not say why"
        log.warning("the OAuth provider signed nobody in: %s", why)
        self._show(f"the provider did not sign you in: {why}", 401)

    @property
    def _redirect_uri(self) -> str:
        scheme = "https" if self.gate.secure else "http"
        here = f"{scheme}://{self.request.host}{self.gate.prefix}{self.gate.provider_url}"
        return config.oauth_redirect_uri or here

    def get_state(self) -> str:
        """A word that nobody guesses, and where somebody goes who is in."""
        after = self.gate.prefix + self._after()
        state = {"state_id": secrets.token_urlsafe(32), "next_url": after}
        return base64.urlsafe_b64encode(json.dumps(state).encode()).decode()

    def set_state_cookie(self, state: str) -> None:
        """Let the browser keep it, until it comes back."""
        self._keep("state", state)

    def get_state_cookie(self) -> str:
        """What the browser kept; without it a word that no address says: Panel takes two empty ones for the same."""
        return self._kept("state") or secrets.token_urlsafe(32)

    def set_code_cookie(self, code: str) -> None:
        """Let the browser keep what shows, with PKCE, that it is the one that asked."""
        self._keep("code", code)

    def get_code_cookie(self) -> str:
        """What the browser kept of it."""
        return self._kept("code")

    def _keep(self, what: str, word: str) -> None:
        self.set_secure_cookie(
            f"{self.gate.cookie}-{what}", word, expires_days=None,
            httponly=True, samesite="Lax", secure=self.gate.secure, path="/",
        )  # fmt: skip

    def _kept(self, what: str) -> str:
        name = f"{self.gate.cookie}-{what}"
        kept = self.get_secure_cookie(name, max_age_days=_STATE_DAYS)
        self.clear_cookie(name)
        return kept.decode() if kept else ""

    async def _fetch_access_token(
        self,
        client_id: str,
        redirect_uri: str | None = None,
        client_secret: str | None = None,
        code: str | None = None,
        **_: object,
    ) -> tuple[str, None, None, None]:
        """Ask who somebody is, and let him in; Panel's own gives his browser all that it is told."""
        proof = {"client_secret": client_secret} if client_secret else {"code_verifier": self.get_code_cookie()}  # fmt: skip
        asked = {
            "grant_type": "authorization_code", "code": code, "client_id": client_id,
            "redirect_uri": redirect_uri, **proof,
        }  # fmt: skip
        told = await self._ask(self._OAUTH_ACCESS_TOKEN_URL, method="POST", body=urlencode(asked))
        address = verified(await self._claims(told))
        token = await asyncio.to_thread(self.provider.token, address)
        self._remember(await asyncio.to_thread(self.gate.doorman.admit, token))
        return address, None, None, None

    async def _claims(self, told: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the provider says of somebody; both ways it says so itself, over TLS."""
        if not (url := getattr(self, "_OAUTH_USER_URL", None)):
            return cast("Mapping[str, Any]", decode_token(told["id_token"]))
        said = (self._access_token_header or "Bearer {}").format(told["access_token"])
        # Panel would write Okta's token into the address, and servers log addresses.
        return await self._ask(url.removesuffix("?access_token="), headers={"Authorization": said})

    async def _ask(
        self, url: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Mapping[str, Any]:
        wanted = dict(self._API_BASE_HEADERS) | dict(headers or {})
        request = HTTPRequest(url, headers=wanted, request_timeout=_TOKEN_S, **options)
        found = json.loads((await self.get_auth_http_client().fetch(request)).body)
        if not isinstance(found, dict):
            raise ValueError("not an object")  # noqa: TRY004  # of what was told, as of other JSON
        return found


def _said(error: Exception) -> str:
    """What of a bad answer stands in the log: nothing of it that may be a secret."""
    if isinstance(error, KeyError):
        return f"no {error.args[0]}"
    if not isinstance(error, HTTPClientError):
        return type(error).__name__
    try:
        word = str(json.loads(error.response.body)["error"])  # type: ignore[union-attr]  # as below
    except (AttributeError, KeyError, TypeError, ValueError):  # no body, or not as OAuth says it
        word = ""
    return f"{error.code} {word if word in _REFUSALS else ''}".rstrip()


def _in_one_line(record: logging.LogRecord) -> bool:
    """Panel logs what a link says; its line ends would begin a line that looks like another one of ours."""
    record.msg, record.args = " ".join(record.getMessage().split()), ()
    return True


def _is_asked(name: str, handler: Any) -> bool:
    """Whether it sends people elsewhere, never sees their password, and may say that an address was verified."""
    return (
        issubclass(handler, OAuthLoginHandler)
        and not issubclass(handler, PasswordLoginHandler)
        and name not in _SAY_NOTHING
    )


def _extra_params() -> Mapping[str, str]:
    """What Panel's setting of that name holds, which Panel takes for a dict unseen."""
    try:
        found = config.oauth_extra_params
    except (
        ValueError,
        SyntaxError,
        TypeError,
        MemoryError,
        RecursionError,
    ):  # of Python's literals
        found = None
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        hint = "PANEL_OAUTH_EXTRA_PARAMS=\"{'subdomain': '…'}\""
        raise PlanError(
            "PANEL_OAUTH_EXTRA_PARAMS is no dict of names, as Python writes it", hint=hint
        )
    return found


def _check_address(setting: str) -> None:
    asked = AUTH_PROVIDERS[config.oauth_provider]
    value = getattr(object.__new__(asked), _ADDRESSES[setting], None)
    given = setting in _extra_params()
    name = f"{setting} in PANEL_OAUTH_EXTRA_PARAMS" if given else f"PANEL_OAUTH_{setting}"
    if not value and setting == "USER_URL":  # then it must come with the token
        return
    if not value:
        raise PlanError(f"{name} is not set", hint="https://…")
    parts = urlsplit(value)
    if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise PlanError(
            f"{name} is {value!r}; others could hear what is said there", hint="https://…"
        )
