"""The tree of exceptions."""

import re

import pytest

from hookline import errors
from hookline.errors import HooklineError

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}


def test_all_is_every_class():
    """`__all__` is sorted and names every exception of the module."""
    assert errors.__all__ == sorted(CLASSES)


def tree():
    """Return the tree of the docstring: per class its parent and the other base in brackets."""
    found, parents = {}, {}
    for line in errors.__doc__.splitlines():
        drawn = re.match(r"    ([│├└─ ]*)([A-Z]\w+)(?: \((\w+)\))?", line)
        if drawn is None:
            continue
        depth = len(drawn[1]) // 4
        parents[depth] = drawn[2]
        found[drawn[2]] = (parents.get(depth - 1), drawn[3])
    return found


def test_the_tree_is_true():
    """The tree on top of the file shows every class once, under its parent, with other bases."""
    drawn = tree()
    assert set(drawn) == set(CLASSES)
    for name, (parent, other) in drawn.items():
        bases = [base.__name__ for base in CLASSES[name].__bases__]
        expected = [parent or "Exception", *([other] if other else [])]
        assert bases == expected, f"{name} is drawn under {expected}, and is a {bases}"


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_is_ours_and_says_what_it_is(name):
    """Every class is a HooklineError with a docstring of one sentence at least."""
    assert issubclass(CLASSES[name], HooklineError)
    assert CLASSES[name].__doc__.strip().endswith(".")
