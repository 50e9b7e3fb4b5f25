"""`Said`: text like any other, that can be said in another language."""

import copy
import pickle

import pytest

from hookline._said import Said, joined
from hookline._web.dashboard.words import TABLES, retold
from hookline.errors import InvalidUrl

CHINESE = {
    "{count:,} workers": "{count:,} 个工作进程",
    "{many} on {host!r}": "{host!r} 上有 {many}",
}


@pytest.fixture(autouse=True)
def _table(monkeypatch):
    monkeypatch.setitem(TABLES, "zh-CN", CHINESE)


def test_it_is_the_english_sentence():
    """Compared, joined and raised as such."""
    said = Said("{many} on {host!r}", many=Said("{count:,} workers", count=1200), host="a{b}")
    assert said == "1,200 workers on 'a{b}'"
    assert said + "!" == "1,200 workers on 'a{b}'!"
    assert str(InvalidUrl(said)) == said


def test_it_is_said_anew_with_all_that_is_in_it():
    """Sentences within sentences, too; what no table has stays English."""
    many = Said("{count:,} workers", count=1200)
    said = Said("{many} on {host!r}", many=many, host="a{b}")
    assert retold("zh-CN", said) == "'a{b}' 上有 1,200 个工作进程"
    assert retold("en", said) == said
    assert retold("zh-CN", joined("; ", [many, "as it is", Said("{n} apples", n=2)])) == (
        "1,200 个工作进程; as it is; 2 apples"
    )
    assert retold("zh-CN", "{count:,} workers") == "{count:,} workers"


def test_braces_are_only_braces_without_values():
    """A sentence that has none is not formatted."""
    assert Said("{") == "{"
    assert joined(", ", []) == ""


def test_copies_keep_what_it_is_made_of():
    """Also from another process."""
    said = Said("{count:,} workers", count=3)
    for other in (copy.copy(said), copy.deepcopy(said), pickle.loads(pickle.dumps(said))):  # noqa: S301 - ours
        assert (other, other.pattern, other.values) == (said, said.pattern, said.values)
