"""A stand-in of the Hugging Face hub: the part of its HTTP API that huggingface_hub and datasets use here.

Repositories live in memory. Files that the hub would keep as large ones go by Git LFS, others inside the commit.
`validate_card` has the hub's rules for the metadata of a card, as far as it is known from its error messages.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

from command_line import Commands, Result
from http_server import JsonHandler, serving

TOKENS = {"hf_of_ada": "ada", "hf_of_bob": "bob"}
LARGE = (".safetensors", ".parquet", ".skops")  # .gitattributes of a new repository names such
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+|[\w.-]+")
LICENSES = {
    "apache-2.0",
    "mit",
    "bsd-3-clause",
    "cc-by-4.0",
    "cc0-1.0",
    "gpl-3.0",
    "llama3.2",
    "gemma",
    "unknown",
    "other",
}


@dataclass
class Repository:
    kind: str  # "models" or "datasets"
    name: str
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    commits: list[dict[str, bytes]] = field(default_factory=list)

    def commit(self, files: dict[str, bytes]) -> str:
        self.files = dict(files)
        self.commits.append(self.files)
        return self.sha(len(self.commits) - 1)

    def sha(self, number: int = -1) -> str:
        number %= len(self.commits)
        return sha1(f"{self.kind} {self.name} {number}".encode()).hexdigest()

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit of a revision, and its files."""
        shas = {self.sha(number): files for number, files in enumerate(self.commits)}
        sha = self.sha() if revision in ("main", "HEAD") else revision
        return (sha, shas[sha]) if sha in shas else None

    def card(self, files: dict[str, bytes]) -> dict[str, Any]:
        return metadata_of(files.get("README.md", b"").decode())


@dataclass
class Hub:
    address: str = ""
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, token
    bodies: list[bytes] = field(default_factory=list)

    def add(self, kind: str, name: str, files: dict[str, bytes], private: bool = False) -> Repository:
        """A repository that is there already."""
        repository = self.repositories[kind, name] = Repository(kind, name, private)
        repository.commit({".gitattributes": b"*.parquet filter=lfs\n", **files})
        return repository


def metadata_of(card: str) -> dict[str, Any]:
    block = re.match(r"\s*---\n(.*?)\n---", card, re.DOTALL)
    return yaml.safe_load(block[1]) or {} if block else {}


def validate_card(content: str, kind: str) -> list[str]:
    """What the hub finds wrong with the metadata of a card."""
    try:
        values = metadata_of(content)
    except yaml.YAMLError as error:
        return [f"YAML metadata error: {error}"]
    errors = []
    for name in _listed(values.get("license")):
        if name not in LICENSES:
            errors.append(f'"license" must be one of [{", ".join(sorted(LICENSES))}]')
    for name in _listed(values.get("language")):
        if not re.fullmatch(r"[a-z]{2,3}|code|multilingual", str(name)):
            errors.append(f'"language" with value "{name}" is not valid. It must be an ISO 639-1, 639-2 or 639-3 code')
    for key, what in (("base_model", "models"), ("datasets", "datasets")):
        for name in _listed(values.get(key)):
            if not HUB_ID.fullmatch(str(name)):
                errors.append(f'"{key}" with value "{name}" is not valid. Use an id from https://hf.co/{what}.')
    for key in ("tags", "metrics", "datasets", "task_categories", "size_categories"):
        if not isinstance(values.get(key, []), list) or not all(isinstance(each, str) for each in values.get(key, [])):
            errors.append(f'"{key}" must be an array of strings')
    if values.get("license") == "other" and not re.fullmatch(r"[a-z0-9.+-]+", values.get("license_name", "other")):
        errors.append('"license_name" must be lower case, with no blanks')
    for model in values.get("model-index", []):
        if not isinstance(model.get("name"), str) or not model["name"]:
            errors.append('"model-index[0].name" is required')
        for result in model.get("results", []):
            for path in (("task", "type"), ("dataset", "type"), ("dataset", "name")):
                if not isinstance(result.get(path[0], {}).get(path[1]), str):
                    errors.append(f'"model-index[0].results[0].{".".join(path)}" is required')
            for metric in result.get("metrics") or [{}]:
                if not isinstance(metric.get("type"), str) or "value" not in metric:
                    errors.append('"model-index[0].results[0].metrics[0]" needs a type and a value')
    return errors


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


class _Handler(JsonHandler):
    hub: Hub

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        header = self.headers.get("authorization") or ""
        self.token = header.removeprefix("Bearer ") or None
        self.user = TOKENS.get(self.token or "")
        self.body = self._read()
        self.hub.requests.append((self.command, path, self.token))
        self.hub.bodies.append(self.body)
        for method, pattern, answer in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                answer(self, **match.groupdict())
                return
        self._refuse(404, "EntryNotFound", "nothing is here")

    def _read(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _refuse(self, status: int, code: str, message: str) -> None:
        self.send(status, {"error": message}, {"x-error-code": code, "x-error-message": message})

    def send(self, status: int, value: object, headers: Any = None, missing: int = 0) -> None:
        if self.command != "HEAD":
            super().send(status, value, headers, missing)
            return
        self.send_response(status)
        for name, text in {"content-length": "0", **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()

    def _repository(self, kind: str, name: str, write: bool = False) -> Repository | None:
        """The repository, if it may be read or written; else the refusal is sent."""
        found = self.hub.repositories.get((kind, name))
        owner = name.partition("/")[0]
        if found is None or (found.private and self.user != owner):
            self._refuse(404 if self.user else 401, "RepoNotFound", "Repository not found")
            return None
        if write and self.user != owner:
            self._refuse(403, "", f"you must have write access to {name}")
            return None
        return found

    # what the routes answer

    def root(self) -> None:
        self.send(200, {})

    def whoami(self) -> None:
        self.send(200, {"name": self.user, "type": "user", "orgs": []}) if self.user else self._refuse(401, "", "no")

    def create(self) -> None:
        asked = json.loads(self.body)
        if self.user is None:
            self._refuse(401, "", "Invalid username or password.")
            return
        owner, kind = asked.get("organization") or self.user, f"{asked.get('type') or 'model'}s"
        name = f"{owner}/{asked['name']}"
        url = f"{self.hub.address}/{'' if kind == 'models' else f'{kind}/'}{name}"
        if owner != self.user:
            self._refuse(403, "", f'You don\'t have the rights to create a {kind[:-1]} under the namespace "{owner}"')
        elif (kind, name) in self.hub.repositories:
            self.send(409, {"error": "You already created this repo", "url": url})
        else:
            private = asked.get("visibility", "private" if asked.get("private") else "public") == "private"
            self.hub.add(kind, name, {}, private)
            self.send(200, {"url": url, "name": name})

    def validate(self) -> None:
        asked = json.loads(self.body)
        errors = [{"message": message} for message in validate_card(asked["content"], asked["repoType"])]
        self.send(400 if errors else 200, {"errors": errors, "warnings": []})

    def preupload(self, kind: str, name: str, revision: str) -> None:
        if self._repository(kind, name, write=True):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(self.body)["files"]
            ]
            self.send(200, {"files": files})

    def batch(self, name: str, kind: str | None) -> None:
        if self._repository((kind or "models").strip("/"), name, write=True):
            objects = [
                {**asked, "actions": {"upload": {"href": f"{self.hub.address}/objects/{asked['oid']}"}}}
                for asked in json.loads(self.body)["objects"]
            ]
            self.send(200, {"transfer": "basic", "objects": objects})

    def store(self, oid: str) -> None:
        assert sha256(self.body).hexdigest() == oid
        self.hub.objects[oid] = self.body
        self.send(200, {})

    def commit(self, kind: str, name: str, revision: str) -> None:
        repository = self._repository(kind, name, write=True)
        if repository is None:
            return
        files = dict(repository.files)
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
                repository.large.add(value["path"])
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        sha = repository.commit(files)
        self.send(200, {"commitUrl": f"{self.hub.address}/{name}/commit/{sha}", "commitOid": sha, "success": True})

    def info(self, kind: str, name: str, revision: str = "main") -> None:
        repository = self._repository(kind, name)
        if repository is None:
            return
        found = repository.at(revision)
        if found is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        sha, files = found
        card = repository.card(files)
        about = {"id": name, "sha": sha, "private": repository.private, "tags": card.get("tags", []), "cardData": card}
        about |= {"siblings": [{"rfilename": path} for path in sorted(files)], "gated": False, "disabled": False}
        self.send(200, {**about, "downloads": 0, "likes": 0, "createdAt": "2026-01-01T00:00:00.000Z"})

    def tree(self, kind: str, name: str, revision: str, folder: str | None = None) -> None:
        repository = self._repository(kind, name)
        found = repository.at(revision) if repository else None
        if repository is None or found is None:
            if repository:
                self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        folder = (folder or "").strip("/")
        within = f"{folder}/" if folder else ""
        paths = [path for path in sorted(found[1]) if path.startswith(within)]
        if within and not paths:
            self._refuse(404, "EntryNotFound", f"{folder} does not exist on {revision}")
            return
        deep = parse_qs(urlsplit(self.path).query).get("recursive", ["False"])[0].lower() == "true"
        below = {path: path[len(within) :].split("/") for path in paths}
        folders = {within + "/".join(parts[:n]) for parts in below.values() for n in range(1, len(parts))}
        entries = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)]
        entries += [_entry(path, found[1][path], path in repository.large) for path in paths]
        self.send(200, [each for each in entries if deep or "/" not in str(each["path"])[len(within) :]])

    def paths_info(self, kind: str, name: str, revision: str) -> None:
        repository = self._repository(kind, name)
        found = repository.at(revision) if repository else None
        if repository is None or found is None:
            if repository:
                self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        asked = self.body.decode()
        wanted = json.loads(asked)["paths"] if asked.startswith("{") else parse_qs(asked)["paths"]
        entries = [_entry(path, found[1][path], path in repository.large) for path in wanted if path in found[1]]
        for path in wanted:
            if path not in found[1] and any(each.startswith(f"{path}/") for each in found[1]):
                entries.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        self.send(200, entries)

    def resolve(self, name: str, revision: str, file: str, kind: str | None) -> None:
        repository = self._repository((kind or "models").strip("/"), name)
        if repository is None:
            return
        found = repository.at(revision)
        if found is None or file not in found[1]:
            self._refuse(404, "EntryNotFound" if found else "RevisionNotFound", f"{file} is not there")
            return
        sha, files = found
        content, status = files[file], 200
        headers = {"etag": f'"{sha256(content).hexdigest()}"', "x-repo-commit": sha, "accept-ranges": "bytes"}
        headers |= {"x-linked-size": str(len(content)), "content-type": "application/octet-stream"}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range") or ""):
            start, end = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
            headers["content-range"] = f"bytes {start}-{end}/{len(content)}"
            content, status = content[start : end + 1], 206
        if self.command == "HEAD":
            headers["content-length"] = str(len(content))
        self.send(status, content, headers)


def _entry(path: str, content: bytes, large: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": sha1(content).hexdigest()}
    if large:
        entry["lfs"] = {"oid": sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry


_KIND, _NAME, _REVISION = r"(?P<kind>models|datasets)", r"(?P<name>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"
_ROUTES: list[tuple[tuple[str, ...], str, Any]] = [
    (("GET", "HEAD"), "/?", _Handler.root),
    (("GET",), "/api/whoami-v2", _Handler.whoami),
    (("POST",), "/api/repos/create", _Handler.create),
    (("POST",), "/api/validate-yaml", _Handler.validate),
    (("POST",), f"/api/{_KIND}/{_NAME}/preupload/{_REVISION}", _Handler.preupload),
    (("POST",), rf"/(?P<kind>datasets/)?{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    (("PUT",), "/objects/(?P<oid>[0-9a-f]+)", _Handler.store),
    (("POST",), f"/api/{_KIND}/{_NAME}/commit/{_REVISION}", _Handler.commit),
    (("GET",), f"/api/{_KIND}/{_NAME}", _Handler.info),
    (("GET",), f"/api/{_KIND}/{_NAME}/revision/{_REVISION}", _Handler.info),
    (("GET",), f"/api/{_KIND}/{_NAME}/tree/{_REVISION}(?P<folder>/.*)?", _Handler.tree),
    (("POST",), f"/api/{_KIND}/{_NAME}/paths-info/{_REVISION}", _Handler.paths_info),
    (("GET", "HEAD"), f"/(?P<kind>datasets/)?{_NAME}/resolve/{_REVISION}/(?P<file>.+)", _Handler.resolve),
]


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """Serve an empty hub within this block."""
    state = Hub()
    handler = type("Handler", (_Handler,), {"hub": state})
    with serving(handler) as state.address:
        yield state


class OnHub:
    """Runs `silr`, or a script, in a process whose `HF_ENDPOINT` is the stand-in; None as `token`: nobody logged in."""

    def __init__(self, hub: Hub, commands: Commands, environment: dict[str, str]) -> None:
        self.hub, self.cache = hub, Path(environment["XDG_CACHE_HOME"])
        self._commands, self._environment = commands, environment

    def __call__(self, *arguments: object, token: str | None = "hf_of_ada", **options: Any) -> Result:
        environment = {**self._environment, "HF_TOKEN": token or ""}
        return self._commands.together([environment], *arguments, **options)[0]


@pytest.fixture(scope="session")
def on_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnHub]:
    """The stand-in, and the command line that talks to it."""
    folder = tmp_path_factory.mktemp("hub")
    with serving_hub() as hub, ExitStack() as stack:
        environment = {"HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(folder / "hf")}
        environment["XDG_CACHE_HOME"] = str(folder / "cache")
        with pytest.MonkeyPatch.context() as patch:  # huggingface_hub reads them when it is imported
            for name, value in environment.items():
                patch.setenv(name, value)
            modules = ("silr.cli.main", "silr.refine.table", "silr.export", "silr.report.write", "datasets", "skops.io")
            commands = stack.enter_context(Commands(modules))
        yield OnHub(hub, commands, environment)
