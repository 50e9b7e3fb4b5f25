"""`hookline verify`: what it takes, what it says, how it exits; and that it shows no secret."""

import json
import os
import pty
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from hookline._domain.signature import Signer
from hookline.cli import app

SECRET = "s3cr3t-of-this-endpoint"
BODY = '{"event":"order.paid","data":{"name":"张三","total":1.0}}'.encode()


def signed(body=BODY, at=None):
    now = int(time.time()) if at is None else at
    return {
        "Content-Type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": Signer([SECRET]).standard("msg_1", now, body),
    }


def as_lines(headers):
    return "".join(f"{name}: {value}\n" for name, value in headers.items())


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a request that verifies, in files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOOKLINE_SECRET", raising=False)
    (tmp_path / "body.json").write_bytes(BODY)
    (tmp_path / "secret.txt").write_text(SECRET + "\n")
    (tmp_path / "headers.txt").write_text(as_lines(signed()))
    return tmp_path


def run(*args, **options):
    """Run the command; whatever it says, the secret is not in it."""
    done = CliRunner().invoke(app, ["verify", *args], **options)
    assert SECRET not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


FILES = ["--body", "body.json", "--headers-file", "headers.txt", "--secret-file", "secret.txt"]


def test_a_valid_webhook_exits_0(place):
    """What verifies is said to be valid."""
    done = run(*FILES)
    assert done.exit_code == 0
    assert "✓ the webhook is valid: webhook-signature fits" in done.output


def test_the_cause_and_the_remedy_exit_1(place):
    """What does not verify has its cause by name, in words, and what to do."""
    (place / "body.json").write_bytes(BODY.replace(b"1.0", b"1"))
    done = run(*FILES)
    assert done.exit_code == 1
    assert "✗ body_numbers" in done.output
    assert "data.total: 1 came where 1.0 was sent." in done.output
    assert "What to do: verify the bytes as they came" in done.output


def test_json(place):
    """With --json a program gets the same."""
    (place / "body.json").write_bytes(BODY + b"\n")
    done = run(*FILES, "--json")
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert said["valid"] is False
    assert (said["cause"], said["scheme"], said["secret"]) == ("body_whitespace", "standard", 1)
    assert set(said) == {"valid", "cause", "sentence", "remedy", "scheme", "secret"}


def test_the_original_names_any_difference(place):
    """With the body as it was sent, the first difference is told by its place."""
    (place / "sent.json").write_bytes(BODY)
    (place / "body.json").write_bytes(BODY.replace("张三".encode(), "李四".encode()))
    assert "✗ unknown" in run(*FILES).output
    done = run(*FILES, "--original", "sent.json")
    assert 'data.name: "李四" came where "张三" was sent' in done.output


@pytest.mark.parametrize(
    "form",
    [
        json.dumps,
        lambda h: json.dumps([[n, v] for n, v in h.items()]),
        lambda h: json.dumps([part for pair in h.items() for part in pair]),
        lambda h: json.dumps({n.lower(): [v] for n, v in h.items()}),
        lambda h: "POST /webhook HTTP/1.1\n" + as_lines(h),
        lambda h: "\ufeff" + as_lines(h).replace("\n", "\r\n"),
        lambda h: "".join(f"> {line}\n" for line in ["POST / HTTP/1.1", *as_lines(h).split("\n")]),
        lambda h: "".join(f"HTTP_{n.upper().replace('-', '_')}: {v}\n" for n, v in h.items()),
    ],
)
def test_headers_in_any_form(place, form):
    """Headers may be pasted as lines, as curl shows them, or as JSON of any framework."""
    (place / "headers.txt").write_text(form(signed()), "utf-8")
    assert run(*FILES).exit_code == 0


def test_headers_as_options(place):
    """Each header may be an option."""
    headers = [part for n, v in signed().items() for part in ("-H", f"{n}: {v}")]
    assert run("-b", "body.json", *headers, "--secret-file", "secret.txt").exit_code == 0


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_whole_request(place, end):
    """A recorded request is headers, an empty line and the body, from a file or standard input."""
    head = ("POST /webhook HTTP/1.1\n" + as_lines(signed())).replace("\n", end)
    whole = head.encode() + end.encode() + BODY
    (place / "request.txt").write_bytes(whole)
    assert run("--request", "request.txt", "--secret-file", "secret.txt").exit_code == 0
    assert run("--request", "-", "--secret-file", "secret.txt", input=whole).exit_code == 0


def test_the_body_from_standard_input(place):
    """With - the body comes through a pipe, to the byte."""
    rest = ["--headers-file", "headers.txt", "--secret-file", "secret.txt"]
    assert run("--body", "-", *rest, input=BODY).exit_code == 0
    assert run("--body", "-", *rest, input=BODY + b"\n").exit_code == 1


def test_the_secret_from_the_environment(place, monkeypatch):
    """A variable is taken as it is: what is wrong with it is found."""
    monkeypatch.setenv("HOOKLINE_SECRET", SECRET)
    assert run(*FILES[:4]).exit_code == 0
    monkeypatch.setenv("HOOKLINE_SECRET", f'"{SECRET}"')
    assert "secret_quoted" in run(*FILES[:4]).output


def test_the_secret_on_the_command_line_is_possible(place):
    """Where it must be, an option takes it; several are tried."""
    done = run(*FILES[:4], "--secret", "another", "--secret", SECRET)
    assert "secret 2 of 2" in done.output


def test_the_secret_is_asked_for_at_a_terminal(place):
    """Without a file or a variable, a person is asked, and what is typed is not shown."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "HOOKLINE_SECRET"}
    with subprocess.Popen(
        [sys.executable, "-m", "hookline", "verify", *FILES[:4]],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    ) as asked:
        os.close(theirs)
        shown = b""
        while b"Secret: " not in shown:  # its last space comes once echo is off
            shown += os.read(ours, 1000)
        os.write(ours, SECRET.encode() + b"\n")
        said = asked.stdout.read()
    os.close(ours)
    assert asked.returncode == 0, said
    assert SECRET.encode() not in said + shown


def test_age(place):
    """A request that was recorded earlier is late, unless told otherwise."""
    (place / "headers.txt").write_text(as_lines(signed(at=1_760_697_000)))
    late = run(*FILES)
    assert late.exit_code == 1
    assert "✗ clock" in late.output
    assert run(*FILES, "--any-age").exit_code == 0
    assert run(*FILES, "--at", "1760697100").exit_code == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "--body"),
        (FILES[2:], "--body"),
        ([*FILES, "--request", "body.json"], "--body"),
        (["--body", "missing.json", *FILES[2:]], "No such file"),
        (["--body", ".", *FILES[2:]], "directory"),
        ([*FILES, "-H", "no colon"], "Name: value"),
        (["--request", "secret.txt", *FILES[4:]], "empty line"),
        (["--body", "-", "--headers-file", "-"], "once"),
        (FILES[:4], "HOOKLINE_SECRET"),
    ],
)
def test_options_that_make_no_request_exit_2(place, args, words):
    """What is missing or unreadable is said by the option's name."""
    done = run(*args)
    assert done.exit_code == 2
    assert words in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize("content", ["{", "[1]", '["a", 1]', "7\nx"])
def test_headers_that_are_none(place, content):
    """A headers file that cannot be read is an error of the options, not a crash."""
    (place / "headers.txt").write_text(content)
    assert run(*FILES).exit_code == 2


def test_a_secret_file_that_is_no_text(place):
    """Bytes are no secret."""
    (place / "secret.txt").write_bytes(b"\xff\xfe")
    assert run(*FILES).exit_code == 2
