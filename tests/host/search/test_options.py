import pytest

from hytnas_host.search import SearchError
from hytnas_host.search.options import MAX_BYTES, parse_options


def test_the_command_line_goes_before_the_file(tmp_path):
    file = tmp_path / "options.toml"
    file.write_text('surrogate = "gp"\nkappa = 2\n')
    assert parse_options(["kappa = 0.5", "selection=random"], file=file) == {
        "surrogate": "gp",
        "kappa": 0.5,
        "selection": "random",
    }


@pytest.mark.parametrize("text", ["kappa", "=3", "two words=3", ""])
def test_what_is_no_option_is_refused(text):
    with pytest.raises(SearchError, match="Cannot read the option"):
        parse_options([text])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"kappa", "is no TOML"),
        (b"\xff", "is no TOML"),
        (b"kappa = [1, 2]", "kappa is no single text or number"),
        (b"#" * (MAX_BYTES + 1), "larger than"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(tmp_path, content, says):
    file = tmp_path / "options.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SearchError, match=says):
        parse_options([], file=file)
