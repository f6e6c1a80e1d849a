# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is reached: options, environment, kubeconfigs of every shape, proxies, and what of them is secret."""

from __future__ import annotations

import datetime
import os
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.clusterset.dns.plugins.module_utils._kube import access
from ansible_collections.clusterset.dns.plugins.module_utils._kube.access import AUTH_ARG_SPEC, AccessError, options_of, secrets_of
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.parallel import each
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn
from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client as kubernetes_core
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

# kubernetes.core reads each by the option's name, and by that of its alias.
VARIABLES = {
    "K8S_AUTH_KUBECONFIG": "/k",
    "K8S_AUTH_CONTEXT": "c",
    "K8S_AUTH_HOST": "https://h",
    "K8S_AUTH_API_KEY": "t",
    "K8S_AUTH_USERNAME": "u",
    "K8S_AUTH_PASSWORD": "p",
    "K8S_AUTH_VALIDATE_CERTS": "no",
    "K8S_AUTH_VERIFY_SSL": "false",
    "K8S_AUTH_CA_CERT": "/ca",
    "K8S_AUTH_SSL_CA_CERT": "/ca",
    "K8S_AUTH_CLIENT_CERT": "/crt",
    "K8S_AUTH_CERT_FILE": "/crt",
    "K8S_AUTH_CLIENT_KEY": "/key",
    "K8S_AUTH_KEY_FILE": "/key",
    "K8S_AUTH_PROXY": "http://p",
    "K8S_AUTH_NO_PROXY": "n",
    "K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH": "a:b",
    "K8S_AUTH_PROXY_HEADERS_BASIC_AUTH": "a:b",
    "K8S_AUTH_PROXY_HEADERS_USER_AGENT": "ua",
    "K8S_AUTH_PERSIST_CONFIG": "yes",
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("K8S_AUTH_") or name == "KUBECONFIG" or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", VARIABLES)
def test_the_environment_says_what_it_says_to_kubernetes_core(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, VARIABLES[name])
    theirs = {kubernetes_core.AUTH_ARG_MAP[key]: value for key, value in kubernetes_core._create_auth_spec().items() if value != {}}
    assert len(theirs) == 1
    assert {key: value for key, value in options_of({}).items() if value is not None} == theirs


def test_no_variable_of_kubernetes_core_is_left_out() -> None:
    names = {f"K8S_AUTH_{name.upper()}" for pair in kubernetes_core.AUTH_ARG_MAP.items() for name in pair} - {"K8S_AUTH_PROXY_HEADERS"}
    assert names <= set(VARIABLES)


def test_the_environment_impersonates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_IMPERSONATE_USER", "u")
    monkeypatch.setenv("K8S_AUTH_IMPERSONATE_GROUPS", "a,b,")
    options = options_of({})
    assert (options["impersonate_user"], options["impersonate_groups"]) == ("u", ["a", "b"])


def test_what_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_VERIFY_SSL", "no")
    monkeypatch.setenv("K8S_AUTH_CA_CERT", "")
    monkeypatch.setenv("K8S_AUTH_SSL_CA_CERT", "/alias")
    assert options_of({"validate_certs": True})["validate_certs"] is True
    assert options_of({"validate_certs": "no"})["validate_certs"] is False
    assert options_of({})["ca_cert"] == "/alias"


def test_a_certificate_is_not_verified_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_VERIFY_SSL", "false")
    cluster = Cluster("a", {"host": "https://127.0.0.1:9", "api_key": "t"})
    assert cluster._pool.connection_pool_kw["ssl_context"].check_hostname is False


def kubeconfig(server: str, user: dict[str, t.Any], name: str = "a", **cluster: t.Any) -> dict[str, t.Any]:
    return {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": server, **cluster}}],
        "users": [{"name": name, "user": user}],
    }


def test_the_host_stays_what_it_is_when_the_kubeconfig_has_a_token() -> None:
    """The library puts back the kubeconfig's server when it looks whether a token has to be renewed, which it does for every request."""
    with ApiStandIn() as member, ApiStandIn() as karmada:
        member.put("/api/v1/nodes/one", {})
        cluster = Cluster("a", {"kubeconfig": kubeconfig(karmada.url, {"token": "t"}), "host": member.url})
        assert [len(cluster.list("/api/v1/nodes")) for _time in range(3)] == [1, 1, 1]
        assert cluster._headers() == {"authorization": "Bearer t"}
        assert karmada.log == []


def test_a_kubeconfig_of_a_hundred_contexts_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    merged: dict[str, t.Any] = {"contexts": [], "clusters": [], "users": []}
    for number in range(100):
        for key, entries in kubeconfig(f"http://{number}", {"token": f"t{number}"}, f"m{number}").items():
            if key in merged:
                merged[key] += entries
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(merged))
    parsed: list[bool] = []
    original = yaml.load
    monkeypatch.setattr(yaml, "load", lambda *given, **more: parsed.append(True) or original(*given, **more))  # type: ignore[func-returns-value]
    clusters = [Cluster("a", {"kubeconfig": str(file), "context": f"m{number}"}) for number in range(100)]
    assert [cluster.server for cluster in clusters] == [f"http://{number}" for number in range(100)]
    assert clusters[99]._headers() == {"authorization": "Bearer t99"}
    assert parsed == [True]
    file.write_text(yaml.safe_dump(kubeconfig("http://changed", {})))
    assert Cluster("a", {"kubeconfig": str(file)}).server == "http://changed"


def test_connections_with_the_same_certificates_share_what_was_loaded() -> None:
    hosts = ("https://127.0.0.1:9/one", "https://127.0.0.1:9/two")
    pools = [Cluster("a", {"host": host, "api_key": "t"})._pool.connection_pool_kw for host in hosts]
    assert pools[0]["ssl_context"] is pools[1]["ssl_context"]


def test_files_of_kubeconfig_are_merged_and_their_paths_are_relative_to_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config").write_text(yaml.safe_dump(kubeconfig(f"http://{name}", {"tokenFile": "token"}, name)))
        (folder / "token").write_text(name)
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/one/config:/nowhere:{tmp_path}/two/config")
    cluster = Cluster("a", {"context": "one"})
    assert (cluster.server, cluster._headers()) == ("http://one", {"authorization": "Bearer one"})
    assert Cluster("a", {"context": "two"}).server == "http://two"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is empty"),
        ("- a", "it is no kubeconfig"),
        ("a: [", "expected.* node content"),
        ("clusters: [{cluster: {}}]", "an entry of clusters has no name"),
        ("contexts: []", "current-context"),
        ("current-context: a\ncontexts: [{name: a, context: {cluster: gone, user: a}}]\nclusters: []", "name gone in"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(ApiError, match=f"(?s)a: {file} cannot be used: .*{says}.*Set kubeconfig") as raised:
        Cluster("a", {"kubeconfig": str(file)})
    assert raised.value.reason == "Config"


def test_a_kubeconfig_s_text_is_no_path_and_is_not_shown() -> None:
    text = yaml.safe_dump(kubeconfig("http://x", {"token": "s3cret"}))
    with pytest.raises(ApiError, match="given as text cannot be used: it is no path") as raised:
        Cluster("a", {"kubeconfig": text})
    assert "s3cret" not in str(raised.value)


@pytest.fixture
def without_pysocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.delitem(sys.modules, "urllib3.contrib.socks", raising=False)


@pytest.mark.usefixtures("without_pysocks")
@pytest.mark.filterwarnings("ignore:SOCKS support")
def test_a_socks_proxy_fails_its_own_member_and_says_what_to_install() -> None:
    with ApiStandIn() as api:
        api.put("/api/v1/nodes/one", {})
        ways = {
            "a": {"kubeconfig": kubeconfig(api.url, {"token": "t"})},
            "b": {"kubeconfig": kubeconfig(api.url, {"token": "t"}, **{"proxy-url": "socks5://u:s3cret@127.0.0.1:1080"})},
        }
        jobs = {name: lambda name=name, way=way: Cluster(name, way).list("/api/v1/nodes") for name, way in ways.items()}  # type: ignore[misc]
        found = each(jobs, parallel=2, deadline=float("inf"))
    assert len(found["a"]) == 1  # type: ignore[arg-type]
    assert str(found["b"]).startswith("b: it is reached by the SOCKS proxy socks5://127.0.0.1, for which Python needs the package PySocks")
    assert "s3cret" not in str(found["b"])


def test_certificates_that_do_not_fit_are_told_before_anything_is_sent(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    for options in ({"ca_cert": str(wrong)}, {"ca_cert": "/nowhere"}):
        with pytest.raises(ApiError, match=r"a: its certificates cannot be used: .* Set ca_cert"):
            Cluster("a", {"host": "https://127.0.0.1:9", "api_key": "t", **options})


def test_an_encrypted_key_is_not_asked_for(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    today = datetime.datetime.now(datetime.UTC)
    cert = x509.CertificateBuilder(name, name, key.public_key(), 1, today, today + datetime.timedelta(1)).sign(key, hashes.SHA256())
    encrypted = serialization.BestAvailableEncryption(b"x")
    (tmp_path / "cert").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encrypted))
    with pytest.raises(ApiError, match="its certificates cannot be used"):
        Cluster("a", {"host": "https://127.0.0.1:9", "client_cert": f"{tmp_path}/cert", "client_key": f"{tmp_path}/key"})


def test_secrets_are_known_at_any_depth() -> None:
    env = [{"name": "AWS_PROFILE", "value": "prod"}, {"name": "AWS_SECRET_ACCESS_KEY", "value": "s3cret-1"}]
    args = ["get-token", "--client-id=id", "--client-secret=s3cret-7", "--password", "s3cret-8"]
    plugin = {"command": "aws", "args": args, "env": env}
    user = {"token": "s3cret-2", "client-key-data": "s3cret-3", "exec": plugin}
    member = {"name": "a", "kubeconfig": kubeconfig("https://a", user, **{"proxy-url": "http://u:s3cret-9@proxy"})}
    members = [member, {"name": "b", "api_key": "s3cret-4", "proxy_headers": {"basic_auth": "s3cret-5"}}]
    text = "users: [{user: {token: x}}]"
    given = {"members": members, "context": "a", "karmada": {"password": "s3cret-6", "proxy": "http://proxy"}, "kubeconfig": text}
    assert secrets_of(given) == {*(f"s3cret-{number}" for number in range(1, 10)), text}


def test_what_is_no_secret_is_shown() -> None:
    container = {"args": ["--tls-private-key-file=/key"], "env": [{"name": "API_KEY_NAME", "value": "true"}], "exec": {"command": ["ls"]}}
    assert secrets_of({"definitions": [container], "kubeconfig": "~/.kube/config", "context": "token"}) == set()
    assert secrets_of({"exec": {"args": "--token=x", "env": 5}, "proxy": "http://[x"}) == set()


def test_options_that_do_not_reach_are_told_as_a_sentence() -> None:
    options = options_of({"kubeconfig": "/nowhere"})
    assert set(options) == set(AUTH_ARG_SPEC)
    with pytest.raises(AccessError, match=r"^/nowhere cannot be used: there is no such file\. Set kubeconfig"):
        access.configuration_of(options, lambda: None)  # type: ignore[arg-type, return-value]
