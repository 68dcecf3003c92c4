"""Which cluster is configured, and what is said of a configuration that cannot be used."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_sink.cluster.client import connect
from aegis_sink.cluster.configuration import configured_by, load_transport, lost_kubeconfig
from aegis_sink.cluster.errors import ClusterUnavailable

SECRET = "correct-horse-battery"
USER = f"users: [{{name: t, user: {{token: {SECRET}}}}}]\n"
HEAD = "apiVersion: v1\ncurrent-context: t\ncontexts: [{name: t, context: {cluster: t, user: t}}]\n"
HERE = "clusters: [{name: t, cluster: {server: 'http://127.0.0.1:1'}}]\n"


def plugin(command: str) -> str:
    version = "client.authentication.k8s.io/v1"
    return f"users: [{{name: t, user: {{exec: {{apiVersion: {version}, command: {command}}}}}}}]\n"


Write = Callable[..., str]


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """KUBECONFIG names a file that is not there; called, it writes that or another one."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))

    def write(text: str | bytes, name: str = "config") -> str:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is empty"),
        ("users: [\n\t", "it is not YAML at line 2 column 1"),
        ("a\x00b", "it is not YAML"),
        (b"\xff\xfe", "it is no text"),
        ("- a\n- b\n", "it is no kubeconfig"),
        ("hello", "it is no kubeconfig"),
        (HEAD + USER, "name t"),
        (HEAD + USER + "clusters: [{name: t, cluster: {}}]", "names no server"),
        (HEAD + USER + HERE.replace("http://", ""), "names no server"),
        (HEAD + USER + "clusters: [{name: t, cluster: {server: 5}}]", "cannot be used"),
        (HEAD + HERE + f"users: [{{name: t, token: {SECRET}}}]", "Expected key user"),
        (HEAD + HERE + plugin("no-such-plugin"), "no-such-plugin gave no credentials"),
        (HEAD + HERE + plugin("'false'"), "false gave no credentials"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_says_why_and_quotes_nothing(
    kubeconfig: Write, text: str | bytes, says: str
) -> None:
    path = kubeconfig(text)
    with pytest.raises(ClusterUnavailable) as error:
        await load_transport()
    assert says in str(error.value)
    assert path in str(error.value)
    assert "AEGIS_KUBERNETES=off" in str(error.value)
    assert SECRET not in str(error.value)


async def test_a_kubeconfig_that_is_not_yaml_prevents_no_start(kubeconfig: Write) -> None:
    kubeconfig("users: [")
    cluster = await connect("auto", redact=str)
    assert "it is not YAML" in await cluster.status()
    await cluster.close()


async def test_a_kubeconfig_of_several_files_may_have_its_parts_in_any(
    kubeconfig: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [kubeconfig(USER, "users"), "/not/there", kubeconfig(HEAD + HERE, "rest")]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(paths))
    credentials, transport = await load_transport()
    await transport.close()
    assert credentials.host == "http://127.0.0.1:1"


@pytest.mark.usefixtures("kubeconfig")
async def test_a_kubeconfig_that_is_not_there_is_told_from_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(tmp_path / "config")
    assert lost_kubeconfig() == path
    status = await (await connect("auto", redact=str)).status()
    assert status == f"off: KUBECONFIG={path} is not there"
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert lost_kubeconfig() == ""
    assert configured_by() == ""


@pytest.mark.usefixtures("kubeconfig")
def test_a_home_that_may_not_be_entered_has_no_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setattr(Path, "is_file", refuse)
    assert configured_by() == ""
