"""`receivers/node`, the npm package: its own tests, its types, its tarball, and real deliveries."""

import asyncio
import json
import os
import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from tools import npm

from hookline import Webhooks

PACKAGE = Path(__file__).parents[2] / "receivers" / "node"
SECRET = "your-secret-key"
FILES = sorted(path.name for path in (PACKAGE / "test").glob("*.test.mjs"))


def run(*command, cwd=PACKAGE, **options):
    """Run a command; what it said is the message of its failure."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **options
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def package():
    """The package with its development dependencies, compiled: once, by whichever test is first."""
    if not npm.compiled(PACKAGE):
        pytest.skip("needs Node and npm")
    return PACKAGE


@pytest.mark.parametrize("file", FILES)
def test_its_own_tests(package, file):
    """What the package's own tests say holds, under the real frameworks and runtimes."""
    said = run("node", "--test", "--test-reporter=tap", f"test/{file}", cwd=package)
    passed = int(re.search(r"^# pass (\d+)$", said, re.MULTILINE)[1])
    declared = len(re.findall(r"^test\(", (package / "test" / file).read_text(), re.MULTILINE))
    assert passed >= declared > 0
    assert "# skipped 0" in said


@pytest.mark.parametrize("resolution", ["node16", "bundler"])
def test_its_types(package, resolution):
    """The declarations hold for users of `import` and `require`, checked by tsc."""
    tsc = package / "node_modules" / "typescript" / "bin" / "tsc"
    run("node", tsc, "--project", f"test/types/tsconfig.{resolution}.json", cwd=package)


def test_what_is_published_works_alone(package, tmp_path):
    """The packed file, installed into an empty folder, has all it needs and nothing else."""
    packed = json.loads(
        run("npm", "pack", "--ignore-scripts", "--json", f"--pack-destination={tmp_path}")
    )
    [made] = packed.values() if isinstance(packed, dict) else packed
    names = {each["path"] for each in made["files"]}
    assert {"README.md", "dist/esm/index.js", "dist/cjs/index.d.ts"} <= names
    assert not [name for name in names if name.startswith(("src", "test", "node_modules"))]
    (tmp_path / "package.json").write_text('{"private":true}')
    run("npm", "install", "--no-audit", "--no-fund", tmp_path / made["filename"], cwd=tmp_path)
    installed = [each.name for each in (tmp_path / "node_modules").iterdir() if each.name[0] != "."]
    assert installed == ["hookline-webhooks"]
    for type_, load in (
        ("module", "import { verifySignature } from 'hookline-webhooks';"),
        ("commonjs", "const { verifySignature } = require('hookline-webhooks');"),
    ):
        code = f"{load} verifySignature('', '', 'x').then(console.log)"
        said = run("node", f"--input-type={type_}", "--eval", code, cwd=tmp_path)
        assert said == "false\n"


LISTENS = {
    "express": (
        "app.listen(3000);",
        "const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));",
    ),
    "fastify": (
        "{ port: 3000 });",
        "{ port: 0, host: '127.0.0.1' });\nconsole.log(fastify.server.address().port);",
    ),
}


def readme_block(word):
    """Return the block of the README that imports a framework's adapter."""
    blocks = re.findall(
        r"^```js\n(.*?)^```$", (PACKAGE / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    [block] = [each for each in blocks if f"hookline-webhooks/{word}" in each]
    return block


@pytest.mark.parametrize("framework", ["express", "fastify"])
def test_the_readme_receives_what_is_sent(package, tmp_path, monkeypatch, framework):
    """The README's server takes a real delivery; one with another secret is a 401 and exhausted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLINE_RETRY_SCHEDULE", "0,0")
    code = readme_block(framework).replace("'express'", "'express5'")
    assert LISTENS[framework][0] in code
    code = code.replace(*LISTENS[framework])
    program = package / "dist" / f"readme-{os.getpid()}-{framework}.mjs"
    program.write_text(code, "utf-8")
    try:
        with (
            subprocess.Popen(["node", program], stdout=subprocess.PIPE, text=True) as node,
            closing(Webhooks()) as webhooks,
        ):
            try:
                url = f"http://127.0.0.1:{node.stdout.readline().strip()}/webhook"
                webhooks.register(url, ["*"], secret=SECRET)
                webhooks.register(f"{url}?other", ["*"], secret="another")
                data = {"name": "张三", "n": 1.0, "big": 2**60}

                async def send():
                    receipt = await webhooks.trigger("customer.created", data)
                    return await receipt.delivered(timeout=30)

                ended = {each.url.endswith("?other"): each for each in asyncio.run(send())}
                said = node.stdout.readline()
            finally:
                node.terminate()
    finally:
        program.unlink()
    assert (ended[False].state, ended[False].last_status) == ("succeeded", 204)
    assert (ended[True].state, ended[True].last_status) == ("exhausted", 401)
    assert "张三" in said
