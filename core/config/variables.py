"""Removes quotes and white space that a shell or an env file left around a variable's value. Pure.

`docker run --env-file` keeps quotes as a part of the value; a value copied from a terminal or an editor may include
a prompt, its own name, or a byte order mark. Each would be sent to Reddit, Kafka or the database unchanged.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from core.config.setting import HIDDEN, PREFIX, Setting
from core.config.suggestions import nearest_key
from core.errors import Problem

_QUOTES = "\"'`\u00ab\u00bb" + "".join(map(chr, range(0x2018, 0x2020)))  # including those of word processors
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u00a0"
_PROMPT = re.compile(r"(?:[\w.@:~/\\-]*[$#%>\u276f\u279c])\s+(?=\S)")
_SETTER = r"(?:export\s+|set\s+|setx\s+|\$env:)?"


def problems_of(variables: Mapping[str, str | None], settings: Collection[Setting], origin: str) -> Iterator[Problem]:
    """Yield a problem for quotes or white space around the value or name of each variable that we read."""
    known = {name: setting for setting in settings for name in setting.variables}
    for name, setting in known.items():
        value = variables.get(name)
        if value is None or not (advice := _advice(value, known)):
            continue
        # a whole assignment may contain a secret
        shown = HIDDEN if _own_name(known).search(value) else setting.show(value)
        yield Problem(name, advice, shown, origin)
    for name in variables:
        bare = re.sub(rf"^{_SETTER}", "", name.strip(_QUOTES + _INVISIBLE + " \t\r\n")).strip()
        if bare != name and bare in known and bare not in variables:
            yield Problem(bare, f"is set under the name {name!r}: remove the characters around the name", None, origin)
        elif _is_key(name) and name not in known:
            near = nearest_key(_dotted(name), [_dotted(other) for other in known if other.startswith(PREFIX)])
            advice = f"names no key; the nearest one is {PREFIX}{near.replace('.', '__').upper()}"
            yield Problem(name, advice, None, origin)


def _is_key(name: str) -> bool:
    """Return whether it has the form of a key's variable; the properties of the producer are librdkafka's."""
    return name.startswith(PREFIX) and "__" in name and not name.startswith(f"{PREFIX}KAFKA__PRODUCER__")


def _dotted(name: str) -> str:
    return name.removeprefix(PREFIX).lower().replace("__", ".")


def bare(value: str, known: Collection[str | None]) -> str:
    """Return the value without surrounding characters, for the checks that follow."""
    text = value.strip()
    for _ in range(4):  # such as quotes within a pasted line
        text = text.strip(_INVISIBLE).strip()
        text = _PROMPT.sub("", text, count=1) if _PROMPT.match(text) else text
        text = _own_name(known).sub("", text, count=1)
        text = text.strip(_QUOTES).strip() if _quoted(text) else text
    return text


def _advice(value: str, known: Collection[str | None]) -> str | None:
    text = value.strip()
    if not text:
        return None
    if text != text.strip(_INVISIBLE):
        return "begins or ends with an invisible character, such as a byte order mark: remove it"
    if _own_name(known).match(text):
        return "contains a whole assignment: keep only the part after the ="
    if _PROMPT.match(text):
        return "begins with the prompt of a shell: remove it"
    if _quoted(text):
        end = "begins and ends" if text[-1] in _QUOTES and len(text) > 1 else "begins"
        end = end if text[0] in _QUOTES else "ends"
        return (
            f"{end} with a quote, which would be a part of the value: remove the quotes\n"
            "(`docker run --env-file` and systemctl set-environment keep them; a shell and .env do not need them)"
        )
    return None


def _quoted(text: str) -> bool:
    """Return whether a quote encloses it; one that ends a pair within the value, as in `?options='a'`, does not."""
    return bool(text) and (text[0] in _QUOTES or (text[-1] in _QUOTES and text.count(text[-1]) % 2 == 1))


def _own_name(known: Collection[str | None]) -> re.Pattern[str]:
    names = "|".join(re.escape(name) for name in known if name)
    return re.compile(rf"[{_QUOTES}]?{_SETTER}(?:{names})\s*=\s*", re.IGNORECASE)
