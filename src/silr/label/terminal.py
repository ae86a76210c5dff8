"""The same in the terminal, over ssh: one key a text."""

from __future__ import annotations

import os
import shutil
import sys
import termios
import textwrap
import tty
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from silr.errors import InputError
from silr.label.session import MORE, Session, keys

ENTER = ("\r", "\n")
CHROME = 7  # lines that are not text
END = "\x04"  # Ctrl-D, or a terminal that is gone


def ask(session: Session) -> bool:
    """Ask until the person finishes (True) or interrupts (False)."""
    chosen = {key: number for number, key in enumerate(keys(session.table.classes)) if key}
    with _single_keys():
        while True:
            state = session.state()
            done = state["done"] >= state["target"] or state["row"] is None
            if done:
                session.save()
            pages = _pages(state["text"] or "")
            _show(session, pages.pop(0) if not done else [], len(pages))
            key = _key()
            while key == "v" and pages:
                print("\n".join(pages.pop(0)), flush=True)
                key = _key()
            try:
                if key == END:
                    return False
                if key == "z" or (done and key in ENTER):
                    return True
                if key == "u":
                    session.undo()
                elif done and key == "m" and state["row"] is not None:
                    session.more()
                elif not done and key == "s":
                    session.skip(state["row"])
                elif not done and key in chosen:
                    session.label(state["row"], chosen[key])
                    print(f"-> {_clean(session.table.classes[chosen[key]])}")
            except InputError as error:
                print(f"! {error}")


def _show(session: Session, lines: list[str], more_pages: int) -> None:
    state = session.state()
    half = state["half_width"]
    facts = [f"{state['done']} of {state['target']}"]
    facts += [f"{state['skipped']} skipped"] * bool(state["skipped"])
    if state["seconds_left"] is not None:
        facts.append(f"about {max(1, round(state['seconds_left'] / 60))} min left")
    if half is not None:
        facts.append(f"accuracy known to +-{100 * half:.1f} points")
    print(f"\n--- {', '.join(facts)} ---\n")
    if state["done"] >= state["target"] or state["row"] is None:
        more = f"   m {MORE} more" if state["row"] is not None else ""
        print(f"Done; all is saved.\n\nEnter finish{more}   u undo", flush=True)
        return
    print("\n".join(lines) + "\n")
    if more_pages:
        print(f"(v: {more_pages} more screens of this text)")
    if "llm_label" in state:
        print(f"The LLM says: {_clean(state['llm_label'])}")
    classes = session.table.classes
    print("   ".join(f"{key} {_clean(name)}" for key, name in zip(keys(classes), classes, strict=True)))
    print("s skip   u undo   z save and stop", flush=True)


def _pages(text: str) -> list[list[str]]:
    """Lines that fit the terminal, screen by screen."""
    size = shutil.get_terminal_size()
    width, height = max(20, min(size.columns, 100)), max(5, size.lines - CHROME)
    lines: list[str] = []
    for line in _clean(text).split("\n"):
        lines += textwrap.wrap(line, width, replace_whitespace=False, drop_whitespace=False) or [""]
    if not text.strip():
        lines = ["(this text is empty)"]
    return [lines[start : start + height] for start in range(0, len(lines), height)]


def _clean(text: str) -> str:
    """Without what would steer the terminal: escape sequences and other control characters become U+FFFD."""
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return "".join("\ufffd" if unicodedata.category(c) == "Cc" and c != "\n" else c for c in text)


def _key() -> str:
    byte = os.read(sys.stdin.fileno(), 1)
    if not byte:
        return END
    if byte == b"\x1b":  # an arrow key or the like: several bytes, none of which is a choice
        os.read(sys.stdin.fileno(), 16)
        return ""
    return byte.decode("latin-1").lower()


@contextmanager
def _single_keys() -> Iterator[None]:
    """Keys without Enter and without echo; Ctrl-C still interrupts."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
