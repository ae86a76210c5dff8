"""Addresses of servers, the proxy before one, and the key from the environment, which is never written or said."""

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from silr.errors import InputError

_ENDPOINTS = ("/chat/completions", "/completions", "/embeddings")
_KEY_VARIABLES = ("SILR_API_KEY", "OPENAI_API_KEY")
OPENAI = "https://api.openai.com/v1"
_AZURE_KEY_VARIABLES = ("SILR_API_KEY", "AZURE_OPENAI_API_KEY", "OPENAI_API_KEY")


def check_address(url: str) -> str:
    """Return a web address as the client wants it: without the endpoint that some add to it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        raise InputError("the server's address has to be like http://127.0.0.1:8000/v1 (--base-url, OPENAI_BASE_URL)")
    url = url.rstrip("/")
    for endpoint in _ENDPOINTS:
        url = url.removesuffix(endpoint)
    return url


def chosen_server(base_url: str | None) -> str:
    """Return the address that is asked, as it is written: the one given, or that of the environment, or OpenAI's."""
    return base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI


def given_address(url: str | None) -> str:
    """Return an address as the client wants it; None: that of OPENAI_BASE_URL, or OpenAI's own."""
    return check_address(chosen_server(url))


def server_name(url: str) -> str:
    """Return what tells servers apart: scheme, host, port and path, without a password or a query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port not in (None, usual) else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def path_hint(url: str) -> str:
    """Return what to try where an address answers, but not like an API."""
    name = server_name(url)
    if not urlsplit(name).path:
        return f"the path may be missing: try --base-url {name}/v1"
    return "check the path of --base-url: it ends where /chat/completions begins, mostly in /v1"


def proxy_between(url: str) -> str | None:
    """Return the proxy that the environment puts before an address, without a password; None if there is none."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return None
    return server_name(proxy if "://" in proxy else f"http://{proxy}")


def environment_key(is_azure: bool = False, first: tuple[str, ...] = ()) -> str | None:
    """Return the key of the environment, without the line's end that a file it was read from may have left.

    `first` are variables that go before the usual ones.
    """
    for name in (*first, *(_AZURE_KEY_VARIABLES if is_azure else _KEY_VARIABLES)):
        key = os.environ.get(name, "").strip()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise InputError(f"{name} has characters that no API key has; set it again")
        if key:
            return key
    return None
