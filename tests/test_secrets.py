"""Nothing that opens a door stands in the repository. Looked for by shape, in every file that git knows or would take."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
KEYS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a Twilio account or API key": r"\b(?:AC|SK)[0-9a-f]{32}\b",
    "a Twilio token or another long key": r"(?i)(?:token|secret|password|api_?key)\w*\W{1,4}[0-9a-f]{32,}\b",
    "an access key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of a code host": r"\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_\w{50,}|glpat-[\w-]{20,})",
    "a key of Slack or Stripe": r"\b(?:xox[abprs]-[\w-]{10,}|[sr]k_live_[0-9A-Za-z]{20,})",
    "a signed token": r"\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{15,}",
    "a password in an address": r"\b[a-z][a-z0-9+]{2,}://[^\s/:@'\"<>{}$]+:[^\s/@'\"<>{}$]{4,}@",
}
INVENTED = re.compile(
    r"(?:0{12}|1{12}|a{12}|(?:0123456789abcdef){2})|://\w+:(?:postgres|password|secret|aftercare|change-me)@"
)
"""What people write to show a shape."""


def files() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - whichever git is there
        cwd=PROJECT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    yield from (path for name in listed.split("\0") if name and (path := PROJECT / name).is_file())


def secrets(text: str) -> Iterator[tuple[int, str]]:
    """Line and kind of whatever looks like a secret; never the secret itself."""
    for number, line in enumerate(text.splitlines(), 1):
        for kind, shape in KEYS.items():
            if any(not INVENTED.search(found.group()) for found in re.finditer(shape, line)):
                yield number, kind


def test_no_file_holds_a_secret() -> None:
    found = [
        f"{path.relative_to(PROJECT)}:{number}: {kind}"
        for path in files()
        for number, kind in secrets(path.read_bytes().decode("utf-8", "replace"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("-----BEGIN RSA " + "PRIVATE KEY-----", "a private key", id="private key"),
        pytest.param("AC" + "9f3b2c1d" * 4, "a Twilio account or API key", id="Twilio account"),
        pytest.param("AUTH_TOKEN=" + "9f3b2c1d" * 4, "a Twilio token or another long key", id="Twilio token"),
        pytest.param("AKIA" + "Q3EGHIJK" * 2, "an access key of AWS", id="AWS"),
        pytest.param("ghp_" + "aB3dE6gH9" * 4, "a token of a code host", id="GitHub"),
        pytest.param("xoxb-" + "123456-abcdef", "a key of Slack or Stripe", id="Slack"),
        pytest.param("eyJ" + "a1" * 9 + ".eyJ" + "b2" * 9 + "." + "c3" * 9, "a signed token", id="JWT"),
        pytest.param("postgresql://svc:" + "hunter22@db/x", "a password in an address", id="database URL"),
    ],
)
def test_each_shape_is_known(text: str, kind: str) -> None:
    assert [found for _, found in secrets(f"x = {text!r}")] == [kind]


@pytest.mark.parametrize(
    "text", ["AC" + "0" * 32, "postgresql://aftercare:aftercare@db/x", "sqlite:///a.db", "${A}:${B}@db"]
)
def test_what_only_shows_a_shape_is_none(text: str) -> None:
    assert list(secrets(text)) == []
