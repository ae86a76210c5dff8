"""The client of a server: its address, the key, and the headers that the user wants; Azure's addresses too."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from silr.annotators.api.addresses import check_address, environment_key
from silr.annotators.api.headers import Secrets, resolved
from silr.errors import InputError
from silr.extras import needs

if TYPE_CHECKING:
    import openai

_AZURE = re.compile(r"\.azure\.(com|us|cn)$")
_DATED_ONLY = re.compile(r"\.openai\.azure\.(com|us|cn)$")
_VERSION = re.compile(r"[\w.-]+")
_EXAMPLE = "2024-10-21"


@dataclass(frozen=True)
class Connection:
    """A client of the openai package, and what it sends that is never said."""

    client: openai.OpenAI
    secrets: Secrets
    api_version: str | None = None  # Azure's
    is_azure: bool = False


def connect(
    base_url: str | None = None,
    *,
    api_version: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    keys: tuple[str, ...] = (),
) -> Connection:
    """Return a connection to an address, by default that of ``OPENAI_BASE_URL`` or OpenAI; nothing is sent yet.

    With an `api_version` the address is Azure's: that of a resource, ``https://NAME.openai.azure.com``, of a
    deployment, or one that ends in ``/openai/v1``. An InputError says that the openai package, the address, the key or
    a header is missing or wrong. `keys` are variables of a key that go before the usual ones.
    """
    with needs("api", "an LLM behind an API"):
        import openai
    base_url = base_url if base_url is not None else os.environ.get("OPENAI_BASE_URL") or None
    if api_version is not None and base_url is None:
        raise InputError("--api-version is for Azure: give its address, --base-url https://NAME.openai.azure.com")
    if api_version is not None and not _VERSION.fullmatch(api_version):
        raise InputError(f"--api-version has to be like {_EXAMPLE}, not {api_version!r}")
    if base_url is not None:
        address, query = _without_query(base_url)
        base_url = check_address(address)
        api_version = api_version or query
    is_azure = api_version is not None or (base_url is not None and _seems_azure(base_url))
    key, sent = environment_key(is_azure, keys), resolved(headers)
    secrets = Secrets([key, *sent.values()])
    if base_url is None and key is None and "Authorization" not in sent:
        raise InputError("set the environment variable OPENAI_API_KEY, or give --base-url of a server without keys")
    common: dict[str, Any] = {"timeout": timeout, "max_retries": 0}
    if not is_azure or base_url is None:
        client = openai.OpenAI(api_key=key or "none", base_url=base_url, default_headers=sent, **common)
    else:
        client = _azure(base_url, api_version, key, sent, common)
    return Connection(client, secrets, api_version, is_azure)


def _azure(
    base_url: str, api_version: str | None, key: str | None, headers: dict[str, str], common: dict[str, Any]
) -> openai.OpenAI:
    import openai

    url = urlsplit(base_url)
    if "/openai/v1" in url.path or (api_version is None and not _DATED_ONLY.search(url.hostname or "")):
        query = {"api-version": api_version} if api_version else None
        own = {"api-key": key} if key else {}
        headers = own | headers
        return openai.OpenAI(
            api_key=key or "none", base_url=base_url, default_headers=headers, default_query=query, **common
        )
    if api_version is None:
        raise InputError(
            f"an address of Azure needs --api-version, such as {_EXAMPLE}, or ends in /openai/v1: {url.hostname}"
        )
    if "/deployments/" not in url.path and not url.path.endswith("/openai"):
        base_url = f"{base_url}/openai"
    names = {name.lower(): name for name in headers}
    if key is None and "api-key" in names:
        key = headers[names["api-key"]]
    token = headers.get("Authorization", "").removeprefix("Bearer ").strip() or None
    who: dict[str, Any] = {"azure_ad_token": token} if token else {"api_key": key or "none"}
    return openai.AzureOpenAI(base_url=base_url, api_version=api_version, default_headers=headers, **who, **common)


def _seems_azure(url: str) -> bool:
    """Whether an address is Azure's, or that of a gateway to it on this machine: others must not see Azure's key."""
    parts = urlsplit(url)
    on_this_machine = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(_AZURE.search(parts.hostname or "")) or (on_this_machine and "/openai/v1" in parts.path)


def _without_query(url: str) -> tuple[str, str | None]:
    """Split an address, as Azure's portal shows it, from the version of its API in it."""
    address, _, query = url.partition("?")
    version = dict(parse_qsl(query)).get("api-version")
    return (address, version) if version else (url, None)
