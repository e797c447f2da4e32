"""A server with a certificate: clients that trust its authority use everything, others send it nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import robotkit as rk
from robotkit.remote.tls import CA_VARIABLE
from servers import ServerSettings
from tests.serving import served, server_process, start

trustme = pytest.importorskip("trustme")
TOKEN = "correct horse battery"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    names = {name: folder / f"{name}.pem" for name in ("ca", "stranger", "cert", "key", "other_key")}
    authority.cert_pem.write_to_path(names["ca"])
    stranger.cert_pem.write_to_path(names["stranger"])
    certificate.cert_chain_pems[0].write_to_path(names["cert"])
    certificate.private_key_pem.write_to_path(names["key"])
    stranger.issue_cert("localhost").private_key_pem.write_to_path(names["other_key"])
    return names


@pytest.fixture(scope="module")
def url(files: dict[str, Path]) -> Iterator[str]:
    settings = ServerSettings(token=TOKEN, tls_cert=files["cert"], tls_key=files["key"])
    with served(rk.make_workcell("fake"), settings) as running:
        yield running


def test_d5_a_client_that_trusts_the_authority_uses_everything(url: str, files: dict[str, Path]) -> None:
    assert url.startswith("https://")
    with rk.make_workcell("remote", url=url, token=TOKEN, ca_file=str(files["ca"])) as cell, cell.stream() as stream:
        state = cell.step(period_s=0.02)
        assert stream.latest().robot.mode
        cell.robot.stop()
        cell.robot.recover()
        assert cell.robot.get_state().stamp_s >= state.robot.stamp_s
        assert cell.cameras["front"].read().rgb.size


def test_d5_the_authority_may_stand_in_the_environment(
    url: str, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CA_VARIABLE, str(files["ca"]))
    with rk.make_workcell("remote", url=url, token=TOKEN) as cell:
        assert cell.get_state().robot.mode


def test_d5_a_certificate_of_a_stranger_is_refused(url: str, files: dict[str, Path]) -> None:
    for ca_file in (None, str(files["stranger"])):
        with pytest.raises(rk.ConnectionFailed, match="certificate verify failed"):
            rk.make_workcell("remote", url=url, token=TOKEN, ca_file=ca_file)


def test_d5_without_tls_there_is_no_answer(url: str) -> None:
    with pytest.raises(rk.RemoteError):
        rk.make_workcell("remote", url=url.replace("https", "http"), token=TOKEN)


def test_d5_files_that_do_not_fit_are_refused_at_start(files: dict[str, Path], tmp_path: Path) -> None:
    for options, reason in (
        ({"tls_cert": files["cert"]}, "both"),
        ({"tls_key": files["key"]}, "both"),
        ({"tls_cert": files["cert"], "tls_key": files["other_key"]}, "cannot use the certificate"),
        ({"tls_cert": files["cert"], "tls_key": tmp_path / "missing.pem"}, "missing.pem"),
        ({"tls_cert": files["key"], "tls_key": files["key"]}, "cannot use the certificate"),
    ):
        with pytest.raises(rk.InvalidConfiguration, match=reason):
            ServerSettings(**options)
    with pytest.raises(rk.InvalidConfiguration, match=CA_VARIABLE):
        rk.make_workcell("remote", url="https://127.0.0.1:1", ca_file=str(tmp_path / "missing.pem"))


def test_d5_the_command_line_serves_https(files: dict[str, Path]) -> None:
    options = ("--cell", "fake", "--tls-cert", str(files["cert"]), "--tls-key", str(files["key"]))
    with server_process(*options) as (url, _):
        assert url.startswith("https://")
        with rk.make_workcell("remote", url=url, ca_file=str(files["ca"])) as cell:
            assert cell.name == "fake"


def test_d5_the_command_line_tells_what_is_wrong_in_a_sentence(files: dict[str, Path]) -> None:
    process = start("servers", "--cell", "fake", "--tls-cert", str(files["cert"]))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "error: TLS needs both files" in output
    assert "Traceback" not in output
