"""What makes an object, as data: the name of a registered factory of silr and its settings, which JSON can carry."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

from silr.errors import InputError

T_co = TypeVar("T_co", covariant=True)
_F = TypeVar("_F", bound=Callable[..., Any])
_REGISTERED: dict[str, Callable[..., Any]] = {}


def registered(factory: _F) -> _F:
    """Register a class or a function, so that it may be called by its name: a decorator."""
    _REGISTERED[_name(factory)] = factory
    return factory


@dataclass(frozen=True)
class Factory(Generic[T_co]):
    """A registered class or function by its name, "module:name", and the arguments that it is called with.

    JSON carries it as a list of the two: ``Factory(*json.loads(json.dumps(factory, default=plain)))``.
    """

    name: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, factory: Callable[..., T_co], **settings: Any) -> Factory[T_co]:
        """Name a registered class or function."""
        return cls(_name(factory), settings)

    def __call__(self) -> T_co:
        """Make the object; no module outside silr is imported by its name.

        Raises InputError if the name is not that of a registered factory of silr.
        """
        module = self.name.partition(":")[0]
        if module.startswith("silr."):
            try:
                import_module(module)
            except ModuleNotFoundError as error:
                if not (error.name or "").startswith("silr."):
                    raise
        if self.name not in _REGISTERED:
            raise InputError(f"{self.name!r} is no factory of silr: name a class or function that it registers")
        made: T_co = _REGISTERED[self.name](**self.settings)
        return made


def plain(value: object) -> Any:
    """A factory or a path for JSON: the `default` of `json.dumps`; TypeError for what is neither."""
    if isinstance(value, Factory):
        return [value.name, value.settings]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a {type(value).__name__} is no value of JSON")


def _name(factory: Callable[..., Any]) -> str:
    return f"{factory.__module__}:{factory.__qualname__}"
