"""Whatever stands in a file, the answer is a configuration or a list of problems, never a traceback."""

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import Config, ConfigError, all_settings, load_config
from core.config.parsers import InvalidValue
from core.config.setting import Setting
from tests.core.config.conftest import CREDENTIALS
from tests.support.soaking import LONGER, examples

TEXTS = st.text(max_size=30) | st.from_regex(r"[a-z0-9:/@\[\].~%?=-]{0,30}", fullmatch=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.sampled_from(["name", "url"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@LONGER
@settings(max_examples=examples(100, soak=600))
@given(setting=st.sampled_from(list(all_settings())), raw=VALUES)
def test_a_parser_takes_a_value_or_says_why_not(setting: Setting, raw: object) -> None:
    refusal: InvalidValue | None = None
    value: object = None
    try:
        value = setting.parse(raw)
    except InvalidValue as wrong:
        refusal = wrong
    if refusal is None:
        switches = ("streams.submissions", "streams.comments")  # or lists of names
        assert isinstance(value, (type(setting.default), tuple) if setting.key in switches else type(setting.default))
    else:
        assert refusal.faults
        assert all(fault.advice for fault in refusal.faults)


@LONGER
@settings(max_examples=examples(50, soak=200))
@given(overrides=st.dictionaries(st.sampled_from([it.key for it in all_settings()]) | TEXTS, VALUES, max_size=4))
def test_the_whole_is_a_configuration_or_problems(overrides: dict[str, object]) -> None:
    refusal: ConfigError | None = None
    config = Config()
    try:
        config = load_config(None, overrides, CREDENTIALS)
    except ConfigError as error:
        refusal = error
    assert pickle.loads(pickle.dumps(config)) == config
    assert str(pickle.loads(pickle.dumps(refusal))) == str(refusal)
    assert refusal is None or refusal.problems
