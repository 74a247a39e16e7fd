"""Filling in a template, and everything that must stop a text from leaving with a hole or a brace in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.templates import (
    EmptyText,
    EmptyValue,
    StrayBraces,
    UnknownPlaceholder,
    placeholders,
    render,
    worst_case,
)

VALUES = {"clinic": "Lakeside", "date": "Wed 30 Sep", "time": "12:45 PM"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("No variable", ()),
        ("{{ clinic }}: {{ date }} at {{ time }}", ("clinic", "date", "time")),
        ("{{clinic}} {{  date }} {{ clinic }}", ("clinic", "date")),
        ("{{ Clinic }} { clinic } {{ clinic | upper }}", ()),
    ],
    ids=["none", "in order", "each once, spaces free", "nothing else is a placeholder"],
)
def test_placeholders(text: str, names: tuple[str, ...]) -> None:
    assert placeholders(text) == names


def test_every_placeholder_is_filled() -> None:
    text = render("{{ clinic }}: {{ date }} at {{ time }}. {{clinic}}", VALUES)
    assert text == "Lakeside: Wed 30 Sep at 12:45 PM. Lakeside"


@pytest.mark.parametrize("empty", [None, "", " ", "\u00a0\n"], ids=["missing", "empty", "blank", "odd blanks"])
def test_a_hole_is_never_sent(empty: str | None) -> None:
    values = {name: value for name, value in {**VALUES, "date": empty, "phone": empty}.items() if value is not None}
    with pytest.raises(EmptyValue, match="no value for date, phone") as stopped:
        render("{{ clinic }}: {{ date }} at {{ time }}. {{ phone }} {{ date }}", values)
    assert stopped.value.names == ("date", "phone")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{{ Clinic }}", "Clinic"),
        ("{{ clinic | upper }}", "clinic | upper"),
        ("{{ clinic.name }}", "clinic.name"),
        ("{{}}", ""),
        ("{{ clinic\n}}", "clinic"),
    ],
    ids=["capital letter", "filter", "attribute", "nothing inside", "broken line"],
)
def test_only_plain_names_are_understood(text: str, name: str) -> None:
    with pytest.raises(UnknownPlaceholder) as stopped:
        render(text, VALUES)
    assert stopped.value.name == name


@pytest.mark.parametrize("text", ["{ clinic }", "{{ clinic }", "{{{ clinic }}}", "{% if %}", "}"])
def test_no_brace_of_the_template_reaches_a_patient(text: str) -> None:
    with pytest.raises(StrayBraces, match="the template"):
        render(text, VALUES)


@pytest.mark.parametrize("value", ["{{ date }}", "{{", "a}b"])
def test_a_value_is_never_read_as_a_template(value: str) -> None:
    with pytest.raises(StrayBraces, match="Not sent: clinic holds") as stopped:
        render("{{ clinic }} {{ date }}", {**VALUES, "clinic": value})
    assert value not in str(stopped.value)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_is_never_sent(text: str) -> None:
    with pytest.raises(EmptyText):
        render(text, VALUES)


texts = st.lists(st.sampled_from(["{{ a }}", "{{b}}", "{", "}", " ", "x", "{{", "}}", "{{ c }}"])).map("".join)
values = st.dictionaries(st.sampled_from("abc"), st.text("xy {}", max_size=8))


@given(texts, values)
def test_what_is_rendered_never_holds_a_brace_or_nothing(text: str, values: dict[str, str]) -> None:
    try:
        rendered = render(text, values)
    except (EmptyValue, EmptyText, UnknownPlaceholder, StrayBraces):
        return
    assert not {"{", "}"} & set(rendered)
    assert rendered.strip()


def test_the_worst_case_takes_every_variable_at_its_longest() -> None:
    assert worst_case("{{ clinic }}: {{ n }}!", {"clinic": 4, "n": 2}) == "xxxx: xx!"


def test_the_worst_case_of_an_undeclared_variable_is_unknown() -> None:
    with pytest.raises(UnknownPlaceholder, match=r"\{\{ clinc \}\} is not one of the variables"):
        worst_case("{{ clinc }}", {"clinic": 4})
