"""Labelling in the terminal, over ssh: one key a text."""

import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from silr.errors import InputError
from silr.estimates.enough import points
from silr.label.codebook import plain_text, question_for
from silr.label.keys import class_keys, class_of, codebook_key, tool_keys
from silr.label.review import Review
from silr.label.session import MORE, Session

CONSOLE: Any = None  # Windows' way to read keys
try:
    import termios
    import tty
except ModuleNotFoundError:
    CONSOLE = import_module("msvcrt")

ENTER = ("\r", "\n")
CHROME = 7  # lines that are not text
INTERRUPT = "\x03"  # Ctrl-C
END = "\x04"  # Ctrl-D, or a terminal that is gone


def ask(session: Session | Review) -> bool:
    """Ask until the person finishes (True) or interrupts (False)."""
    keys, tools = class_keys(session.table.classes), tool_keys(session.table.classes)
    question = _clean(question_for(session.table))
    book = plain_text(session.table)
    help_key = codebook_key(session.table.classes) if book else None
    with _single_keys():
        while True:
            state = session.state()
            done = state["done"] >= state["target"] or state["row"] is None
            if done:
                session.save()
            head = _wrapped(question) if question else []
            pages = _pages(state["text"] or "", len(head) + len(state.get("said", [])))
            _show(session, done, head, pages)
            key = _key()
            while class_of(key, keys) is None and key.lower() == tools["view"] and pages:
                print("\n".join(pages.pop(0)), flush=True)
                key = _key()
            try:
                if key == END:
                    return False
                chosen, tool = class_of(key, keys), key.lower()
                if tool == help_key and chosen is None:
                    _page_through(book)
                elif not done and chosen is not None:
                    session.label(state["row"], chosen)
                    print(f"-> {_clean(session.table.classes[chosen])}")
                elif tool == tools["stop"] or (done and key in ENTER):
                    return True
                elif tool == tools["undo"]:
                    session.undo()
                elif done and tool == tools["more"] and state["row"] is not None:
                    session.more()
                elif not done and tool == tools["skip"]:
                    session.skip(state["row"])
            except InputError as error:
                print(f"! {error}")


def _show(session: Session | Review, done: bool, head: list[str], pages: list[list[str]]) -> None:
    """Print what there is to answer, with the first of the pages, which is taken out."""
    state, classes = session.state(), session.table.classes
    tools = tool_keys(classes)
    person = f"{state['person']}: " if "person" in state else ""
    facts = [f"{person}{state['done']} of {_goal(state)}"]
    facts += [f"{state['skipped']} skipped"] * bool(state["skipped"])
    if state["seconds_left"] is not None:
        facts.append(f"about {max(1, round(state['seconds_left'] / 60))} min left")
    if state["half_width"] is not None:
        facts.append(f"accuracy known to +-{100 * state['half_width']:.1f} points")
    if state["width"] is not None:
        facts.append(f"widest share interval {points(state['width'])} points{_left(state)}")
    print(f"\n--- {', '.join(facts)} ---\n")
    if done:
        if state.get("reached"):
            print(f"The wanted width, {points(state['until_width'])} points, is reached.")
        more = f"   {tools['more']} {MORE} more" if state["row"] is not None else ""
        print(f"Done; all is saved.\n\nEnter finish{more}   {tools['undo']} undo", flush=True)
        return
    if head:
        print("\n".join(head) + "\n")
    print("\n".join(pages.pop(0)) + "\n")
    if pages:
        print(f"({tools['view']}: {len(pages)} more screens of this text)")
    if "llm_label" in state:
        print(f"The LLM says: {_clean(state['llm_label'])}")
    for said in state.get("said", []):
        print(f"{_clean(said['name'])}: {_clean(', '.join(said['who']))}")
    print("   ".join(f"{key} {_clean(name)}" for key, name in zip(class_keys(classes), classes, strict=True)))
    help_word = f"{codebook_key(classes)} codebook   " if session.table.codebook else ""
    print(f"{tools['skip']} skip   {tools['undo']} undo   {help_word}{tools['stop']} save and stop", flush=True)


def _goal(state: dict[str, Any]) -> str:
    """How many labels there will be; of a width that is wanted this is an estimate."""
    if state.get("until_width") is None or state["planned"] <= state["done"]:
        return str(state["target"])
    return f"about {state['planned']}"


def _left(state: dict[str, Any]) -> str:
    """How many labels bring it to the width that is wanted."""
    return f" (about {state['more']} more for {points(state['width_wanted'])})" if state["more"] else ""


def _page_through(text: str) -> None:
    """Print a long text screen by screen; any key goes on."""
    pages = _pages(text, 0)
    for number, page in enumerate(pages, 1):
        print("\n".join(["", *page]), flush=True)
        if number < len(pages):
            print("(any key: more)", flush=True)
            _key()


def _wrapped(text: str) -> list[str]:
    width, lines = max(20, min(shutil.get_terminal_size().columns, 100)), []
    for line in _clean(text).split("\n"):
        lines += textwrap.wrap(line, width, replace_whitespace=False, drop_whitespace=False) or [""]
    return lines


def _pages(text: str, head: int) -> list[list[str]]:
    """Lines that fit the terminal below so many others, screen by screen."""
    height = max(5, shutil.get_terminal_size().lines - CHROME - (head + 1 if head else 0))
    lines = _wrapped(text)
    if not text.strip():
        lines = ["(this text is empty)"]
    return [lines[start : start + height] for start in range(0, len(lines), height)]


def _clean(text: str) -> str:
    """Without what would steer the terminal: escape sequences and other control characters become U+FFFD."""
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return "".join("\ufffd" if unicodedata.category(c) == "Cc" and c != "\n" else c for c in text)


def _key() -> str:
    if CONSOLE is not None:
        key: str = CONSOLE.getwch()
        if key == INTERRUPT:
            raise KeyboardInterrupt
        if key in "\x00\xe0" and CONSOLE.kbhit():  # an arrow key or the like: two characters
            CONSOLE.getwch()
            return ""
        return key
    byte = os.read(sys.stdin.fileno(), 1)
    if not byte:
        return END
    if byte == b"\x1b":  # an arrow key or the like: several bytes, none of which is a choice
        os.read(sys.stdin.fileno(), 16)
        return ""
    following = next((n for n, first in ((3, 0xF0), (2, 0xE0), (1, 0xC0)) if byte[0] >= first), 0)  # of UTF-8
    for _ in range(following):
        byte += os.read(sys.stdin.fileno(), 1)
    return byte.decode(errors="replace")


@contextmanager
def _single_keys() -> Iterator[None]:
    """Keys without Enter and without echo; Ctrl-C still interrupts."""
    if CONSOLE is not None:
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
