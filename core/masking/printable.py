"""Escapes characters that could control a terminal, forge a line or hide one. Pure.

Escaped are control characters (C0, DEL, C1), marks of direction, line and paragraph separators, invisible characters,
private and unassigned ones, halves of surrogate pairs, and every space but the plain one.
"""


def printable(text: str) -> str:
    """Return the text on one line."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def printable_lines(text: str) -> str:
    """Return the text with its line breaks kept, tabs as spaces."""
    return "\n".join(printable(line.expandtabs()) for line in text.split("\n"))


def printable_json(text: str) -> str:
    """Return equivalent JSON: escapes occur only inside its strings. Line feeds stay."""
    return "\n".join(line if line.isprintable() else "".join(map(_escaped_json, line)) for line in text.split("\n"))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _escaped_json(character: str) -> str:
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
