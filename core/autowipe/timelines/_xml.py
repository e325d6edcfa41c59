"""XML documents of editing programs, read and written with everything that is not touched left as it is."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as Tree


def read(path: Path) -> Tree.Element:
    """The root element, comments kept. Raises ValueError where the text is no XML."""
    try:
        return Tree.fromstring(path.read_bytes(), Tree.XMLParser(target=Tree.TreeBuilder(insert_comments=True)))
    except Tree.ParseError as err:
        raise ValueError(f"it is no whole XML document: {err}") from err


def write(root: Tree.Element, like: Path, path: Path) -> None:
    """Writes a root with the declaration and document type of the file `like`."""
    head = re.match(rb"\s*(<\?xml[^>]*\?>)?\s*(<!DOCTYPE[^>\[]*>)?", like.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    doctype = head[2].decode("utf-8") + "\n" if head and head[2] else ""
    body = Tree.tostring(root, encoding="unicode")
    path.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}{body}\n', "utf-8")


def parents(root: Tree.Element) -> dict[Tree.Element, Tree.Element]:
    """The element around each element."""
    return {child: parent for parent in root.iter() for child in parent}


def number_of(element: Tree.Element | None, path: str) -> int | None:
    """The whole number in a child, None where there is none."""
    text = element.findtext(path) if element is not None else None
    return int(text) if text is not None and text.strip() else None


def put(element: Tree.Element, path: str, value: object) -> None:
    """Sets the text of a child that is there."""
    child = element.find(path)
    if child is not None:
        child.text = str(value)


def unused(prefix: str, taken: set[str]) -> str:
    """A new id, added to those taken."""
    number = 1
    while f"{prefix}{number}" in taken:
        number += 1
    taken.add(f"{prefix}{number}")
    return f"{prefix}{number}"
