# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What goes wrong with addresses (F1-F34 in docs/reliability.md), brought about on the real fleet; sync.yml is run as a user would."""

from __future__ import annotations

import base64
import datetime
import json
import socket
import ssl
import subprocess
import threading
import time
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes import client, config
from lab_fleet import ENVIRONMENT, LAB, Fleet, Member, wait_for
from lab_imports import MCS, RULE, Imports, Object, Report, Wire, inventory_of, kill_when, lab_kubeconfig, sync

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def member1(fleet: Fleet, site: None) -> Member:
    return fleet.member(fleet.names[0])


@pytest.fixture
def imports(member2: Member, site: None) -> t.Iterator[Imports]:
    with Imports(member2) as imports:
        yield imports


def only(*imports: Imports, **more: t.Any) -> Object:
    """Settings for a run on what is in these namespaces, which does not wait for what never comes."""
    services = [f"{one.namespace}/{name}" for one in imports for name in one.found()]
    return {"serviceimport_ips_services": services, "serviceimport_ips_wait": False, **more}


def pem(*parts: bytes) -> list[str]:
    return [base64.b64encode(part).decode() for part in parts]


def expired_user(member: Member) -> Object:
    """An administrator of the cluster whose certificate, from the cluster's own CA, ended yesterday."""
    node = f"{member.name}-control-plane"
    read = [subprocess.run(["docker", "exec", node, "cat", f"/etc/kubernetes/pki/ca.{end}"], capture_output=True, check=True).stdout for end in ("key", "crt")]
    authority = serialization.load_pem_private_key(read[0], None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"), x509.NameAttribute(NameOID.COMMON_NAME, "expired")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.load_pem_x509_certificate(read[1]).subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now - datetime.timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority, hashes.SHA256())  # type: ignore[arg-type]
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    data = pem(certificate.public_bytes(encoding), key.private_bytes(encoding, form, serialization.NoEncryption()))
    return {"client-certificate-data": data[0], "client-key-data": data[1]}


def reader(imports: Imports, name: str) -> Object:
    """A service account that may read all that is needed and write nothing."""
    core, rbac = imports.core, client.RbacAuthorizationV1Api(imports.core.api_client)
    core.create_namespaced_service_account(imports.namespace, {"metadata": {"name": name}})
    groups = [("", "services"), ("multicluster.x-k8s.io", "serviceimports"), ("apiextensions.k8s.io", "customresourcedefinitions")]
    rules = [{"apiGroups": [group], "resources": [resource], "verbs": ["get", "list"]} for group, resource in groups]
    full_name = f"{imports.namespace}-{name}"
    rbac.create_cluster_role({"metadata": {"name": full_name, "labels": {"clusterset-imports-test": "true"}}, "rules": rules})
    subject = {"kind": "ServiceAccount", "namespace": imports.namespace, "name": name}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": full_name}
    rbac.create_cluster_role_binding(
        {"metadata": {"name": full_name, "labels": {"clusterset-imports-test": "true"}}, "roleRef": role, "subjects": [subject]}
    )
    return {"token": core.create_namespaced_service_account_token(name, imports.namespace, {"spec": {}}).status.token}


def jail(imports: Imports, name: str, token: str, server: str) -> ssl.SSLSocket:
    """Have the API server answer a service account with 429 and nothing else: priority and fairness gives it one seat, which is taken.

    :returns: the connection that takes it, for as long as it is open: a request whose body does not come.
    """
    flow = client.FlowcontrolApiserverV1Api(imports.core.api_client)
    metadata = {"name": f"{imports.namespace}-{name}", "labels": {"clusterset-imports-test": "true"}}
    limited = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    flow.create_priority_level_configuration({"metadata": metadata, "spec": {"type": "Limited", "limited": limited}})
    subject = {"kind": "ServiceAccount", "serviceAccount": {"namespace": imports.namespace, "name": name}}
    everything = {
        "subjects": [subject],
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    spec = {"priorityLevelConfiguration": {"name": metadata["name"]}, "matchingPrecedence": 2, "rules": [everything]}
    flow.create_flow_schema({"metadata": metadata, "spec": spec})
    time.sleep(1)  # the API server takes it up in its own time
    parts = urlsplit(server)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    seat = context.wrap_socket(socket.create_connection((str(parts.hostname), int(parts.port or 443))))
    lines = (
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews HTTP/1.1",
        *(f"Host: {parts.netloc}", f"Authorization: Bearer {token}", "Content-Type: application/json", "Content-Length: 100"),
    )
    seat.sendall("\r\n".join((*lines, "", "")).encode())
    return seat


def free(member: Member) -> None:
    """Remove what is not in the namespace."""
    options = {"label_selector": "clusterset-imports-test"}
    rbac, flow = client.RbacAuthorizationV1Api(member.core.api_client), client.FlowcontrolApiserverV1Api(member.core.api_client)
    rbac.delete_collection_cluster_role_binding(**options)
    rbac.delete_collection_cluster_role(**options)
    flow.delete_collection_flow_schema(**options)
    flow.delete_collection_priority_level_configuration(**options)


@pytest.fixture(scope="module")
def access(member1: Member, member2: Member, site: None, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[str, t.Any]]:
    """One run on a member that is well and on many that cannot be reached or used, each in its own way."""
    folder = tmp_path_factory.mktemp("access")
    server = lab_kubeconfig(member2.name)["clusters"][0]["cluster"]["server"]
    karmada = lab_kubeconfig("karmada")["clusters"][0]["cluster"]["server"]
    other_ca = lab_kubeconfig(member1.name)["clusters"][0]["cluster"]["certificate-authority-data"]
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "args": ["60"]}
    free(member2)
    with Imports(member1) as good, Imports(member2) as bad, Wire(server, delay=12) as slow:
        for one in (good, bad):
            one.service("derived-serve")
            one.add("serve")
        read_only, jailed = reader(bad, "reader"), reader(bad, "jailed")
        seat = jail(bad, "jailed", jailed["token"], server)
        inventory = inventory_of(
            folder,
            {
                "good": lab_kubeconfig(member1.name),
                "no-file": {"clusterset_kubeconfig": "/nowhere.yaml"},
                "no-context": {"clusterset_kubeconfig": str(LAB / "kubeconfig" / f"{member2.name}.yaml"), "clusterset_context": "nowhere"},
                "expired": lab_kubeconfig(member2.name, user=expired_user(member2)),
                "no-plugin": lab_kubeconfig(member2.name, user={"exec": {**plugin, "command": "/no/such/plugin"}}),
                "hanging-plugin": lab_kubeconfig(member2.name, user={"exec": {**plugin, "command": "sleep"}}),
                "wrong-ca": lab_kubeconfig(member2.name, **{"certificate-authority-data": other_ca}),
                "wrong-name": lab_kubeconfig(member2.name, **{"tls-server-name": "nowhere.example"}),
                "down": lab_kubeconfig(member2.name, server="https://127.0.0.1:9"),
                "slow": lab_kubeconfig(member2.name, server=slow.url),
                "throttled": lab_kubeconfig(member2.name, user=jailed),
                "read-only": lab_kubeconfig(member2.name, user=read_only),
                "unregistered": lab_kubeconfig("karmada", server=f"{karmada}/apis/cluster.karmada.io/v1alpha1/clusters/unregistered/proxy"),
            },
        )
        started = time.monotonic()
        ran = sync(inventory=inventory, settings=only(good, bad, serviceimport_ips_deadline=15))
        seat.close()
        yield {"ran": ran, "seconds": time.monotonic() - started, "good": good.ips(), "bad": bad.ips()}
    free(member2)


SAYS = {
    "no-file": ("F1", "/nowhere.yaml cannot be used"),
    "no-context": ("F1", "context nowhere of"),
    "expired": ("F2", "The credentials are not valid there"),
    "no-plugin": ("F3", "credential plugin /no/such/plugin cannot be run: No such file or directory"),
    "hanging-plugin": ("F3", "not done within the deadline"),
    "wrong-ca": ("F4", "Set ca_cert, host or kubeconfig so that they fit"),
    "wrong-name": ("F4", "nowhere.example"),
    "down": ("F5", "does not answer (Connection refused)"),
    "slow": ("F7", "timed out)"),
    "throttled": ("F8", "HTTP 429"),
    "read-only": ("F9", "cannot patch resource"),
    "unregistered": ("F10", "Karmada's proxy knows no such cluster"),
}


@pytest.mark.parametrize("host", SAYS)
def test_access(host: str, access: dict[str, t.Any]) -> None:
    said = access["ran"].failed.get(host, "")
    assert said.startswith(f"{host}: ")
    assert SAYS[host][1] in said


def test_access_of_one_member_is_no_other_s_concern(access: dict[str, t.Any]) -> None:
    """F5: all that could be done is done, nothing is on the member that could not be written, and the run says so by its exit code."""
    assert "good" not in access["ran"].failed
    assert access["good"]["serve"]
    assert access["bad"] == {"serve": []}
    assert access["ran"].returncode != 0
    assert access["ran"].result["summary"]["changed"] == 1


def test_another_member_is_refused(member2: Member, site: None, tmp_path: Path) -> None:
    """F1: credentials that reach another member than the one that is meant, by what Karmada wrote on what it delivered."""
    ran = sync(inventory=inventory_of(tmp_path, {"paris": lab_kubeconfig(member2.name)}))
    assert f"paris: the credentials reach the member that Karmada calls {member2.name}" in ran.failed["paris"]
    assert ran.result["summary"]["writes"] == 0


def test_a_member_dies_in_the_middle(member1: Member, imports: Imports, tmp_path: Path) -> None:
    """F6: what was written is reported, the rest is not; the other member is done; the next run does the rest."""
    wanted = imports.add_many(40)
    with Imports(member1) as good, Wire(lab_kubeconfig(imports.member.name)["clusters"][0]["cluster"]["server"]) as wire:
        good.service("derived-serve")
        good.add("serve")
        inventory = inventory_of(tmp_path, {"good": lab_kubeconfig(member1.name), "dying": lab_kubeconfig(imports.member.name, server=wire.url)})
        cutter = threading.Thread(target=lambda: (wait_for("a first address", lambda: any(imports.ips().values())), wire.cut()))
        cutter.start()
        ran = sync(inventory=inventory, settings=only(good, imports))
        cutter.join()
        there = {name for name, ips in imports.ips().items() if ips}
        assert 0 < len(there) < len(wanted)
        assert {name for name, row in ran.rows("dying").items() if row["changed"]} == there
        assert "does not answer" in ran.failed["dying"]
        assert "good" not in ran.failed
        assert all(good.ips().values())
    assert sync("--limit", f"karmada,{imports.member.name}", settings=only(imports)).returncode == 0
    assert imports.ips() == wanted


@pytest.fixture(scope="module")
def objects(member2: Member, site: None) -> t.Iterator[dict[str, t.Any]]:
    """Imports with something odd each, in check mode, in a run, and in a second one."""
    with Imports(member2) as imports:
        given: dict[str, str] = {}
        for name in ("unlike", "host-name", "zeros", "same", "ours", "theirs", "no-ports", "metadata", "plain"):
            given[name] = imports.service(f"derived-{name}")
        imports.core.create_namespaced_service(
            imports.namespace, {"metadata": {"name": "derived-external"}, "spec": {"type": "ExternalName", "externalName": "example.org"}}
        )
        imports.core.create_namespaced_service(
            imports.namespace, {"metadata": {"name": "derived-headless-service"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}
        )
        imports.add("headless", "192.0.2.1", type="Headless")
        imports.add("external", "192.0.2.1")
        imports.add("headless-service")
        imports.add("gone", "192.0.2.1")
        imports.add("gone-kept", "192.0.2.1")
        imports.add("unlike", "10.255.255.7")
        imports.add("host-name", "kubernetes.default.svc.cluster.local")
        imports.add("zeros", "010.0.0.1")
        imports.add("same", given["same"])
        imports.add("theirs", "192.0.2.1", manager="kubectl-patch")
        imports.add("no-ports", ports=[])
        imports.add("plain")
        # a load balancer whose provider says what nobody may be sent to
        balancer = imports.core.create_namespaced_service(
            imports.namespace, {"metadata": {"name": "metadata"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}
        )
        balancer.status.load_balancer = client.V1LoadBalancerStatus(ingress=[client.V1LoadBalancerIngress(ip="169.254.169.254")])
        imports.core.replace_namespaced_service_status("metadata", imports.namespace, balancer)
        imports.add("metadata")
        # the local Service of an import, with an endpoint that is not ready any more
        slices = client.DiscoveryV1Api(imports.core.api_client)
        given["local"] = imports.service("derived-local")
        local = imports.service("local")
        imports.add("local", local)
        slices.create_namespaced_endpoint_slice(
            imports.namespace,
            {
                "metadata": {"name": "local-x", "labels": {"kubernetes.io/service-name": "local"}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.255.0.1"], "conditions": {"ready": False}}],
            },
        )
        key = f"{imports.namespace}/%s"
        strategies = {key % "local": "local_first", key % "metadata": "load_balancer"}
        settings = only(imports, serviceimport_ips_strategies=strategies)
        limit = ("--limit", f"karmada,{member2.name}")
        before = imports.versions()
        checked = sync(*limit, "--check", "--diff", settings=settings)
        after_check = imports.versions()
        kept = sync(
            *limit, settings={**settings, "serviceimport_ips_services": [key % "gone-kept"], "serviceimport_ips_source_gone": "keep"}
        )
        ran = sync(*limit, "--diff", settings=settings)
        yield {
            "given": given, "member": member2.name, "ips": imports.ips(), "checked": checked, "unwritten": before == after_check,
            "kept": kept, "ran": ran, "again": sync(*limit, settings=settings),
        }  # fmt: skip


OUTCOMES: dict[str, tuple[str, t.Any]] = {
    "headless": ("F11", ["192.0.2.1"]),
    "external": ("F12", []),
    "headless-service": ("F12", []),
    "gone": ("F13", []),
    "local": ("F14", "derived"),
    "metadata": ("F16", []),
    "unlike": ("F17", "derived"),
    "host-name": ("F18", "derived"),
    "zeros": ("F19", "derived"),
    "same": ("F19", "derived"),
    "no-ports": ("F21", "derived"),
    "theirs": ("F27", ["192.0.2.1"]),
    "plain": ("", "derived"),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_object(name: str, objects: dict[str, t.Any]) -> None:
    _number, expected = OUTCOMES[name]
    assert objects["ips"][name] == ([objects["given"][name]] if expected == "derived" else expected)


def test_what_is_said_of_objects(objects: dict[str, t.Any]) -> None:
    ran: Report = objects["ran"]
    rows = ran.rows(objects["member"])
    assert ran.returncode == 0, ran.text[-3000:]
    assert "is an ExternalName: it has no address; cleared" in rows["external"]["reason"]
    assert "there is no derived Service derived-gone, and Karmada makes none" in rows["gone"]["reason"]
    assert rows["gone"]["reason"].endswith("; cleared")
    assert "local Service local has no ready endpoint" in rows["local"]["reason"]
    assert "it has no ports, so that DNS gives NXDOMAIN" in rows["no-ports"]["reason"]
    assert "left as field manager kubectl-patch set it" in rows["theirs"]["reason"]
    assert "same" not in rows
    kept = objects["kept"].rows(objects["member"])["gone-kept"]
    assert "there is no derived Service derived-gone-kept, and Karmada makes none" in kept["reason"]
    assert (kept["reason"].endswith("; kept"), kept["pending"], kept["held"]) == (True, False, True)


def test_check_mode_says_the_same_and_writes_nothing(objects: dict[str, t.Any]) -> None:
    """F33"""
    checked, ran = objects["checked"], objects["ran"]
    member = objects["member"]
    assert objects["unwritten"]
    assert checked.changed == ran.changed == 1
    assert checked.rows(member) == ran.rows(member)
    assert checked.result["diff"] == ran.result["diff"]
    assert (objects["again"].changed, objects["again"].result["summary"]["writes"]) == (0, 0)


def test_a_namespace_that_is_terminating(imports: Imports) -> None:
    """F23: what is still there of it is no failure."""
    imports.add_many(2)
    settings = only(imports)
    held = (*MCS, imports.namespace, "serviceimports", "many-000")
    imports.custom.patch_namespaced_custom_object(*held, {"metadata": {"finalizers": ["clusterset.dns/test"]}})
    imports.core.delete_namespace(imports.namespace)
    try:
        wait_for("only what is held is left", lambda: list(imports.found()) == ["many-000"])
        settings = {**settings, "serviceimport_ips_services": [f"{imports.namespace}/many-000"]}
        ran = sync("--limit", f"karmada,{imports.member.name}", settings=settings)
        assert ran.returncode == 0, ran.text[-2000:]
    finally:
        imports.custom.patch_namespaced_custom_object(*held, {"metadata": {"finalizers": None}})


def rules() -> client.CustomObjectsApi:
    return client.CustomObjectsApi(config.new_client_from_config(str(LAB / "kubeconfig" / "karmada.yaml")))


def test_killed_at_each_step_then_run_again(imports: Imports) -> None:
    """F29: once the rule is placed, after the first address, in the middle of many."""
    wanted = imports.add_many(40)
    settings = only(imports)
    limit = ("--limit", f"karmada,{imports.member.name}")
    where = ("config.karmada.io", "v1alpha1", "resourceinterpretercustomizations")
    rules().delete_cluster_custom_object(*where, RULE)

    def there() -> int:
        return sum(map(bool, imports.ips().values()))

    def placed() -> bool:
        return any(one["metadata"]["name"] == RULE for one in rules().list_cluster_custom_object(*where)["items"])

    kill_when("the rule is placed", placed, *limit, settings=settings)
    kill_when("the first address", there, *limit, settings=settings)
    assert there() < len(wanted)
    kill_when("many addresses", lambda: there() > 5, *limit, settings=settings)
    assert sync(*limit, settings=settings).returncode == 0
    assert imports.ips() == wanted
    again = sync(*limit, settings=settings)
    assert (again.changed, again.result["summary"]["writes"]) == (0, 0)


def test_two_runs_at_once_and_someone_who_changes_what_they_write(imports: Imports) -> None:
    """F26, F30: each import has its address, both runs succeed, and nothing that others wrote is lost."""
    wanted = imports.add_many(40)
    settings = only(imports)
    limit = ("--limit", f"karmada,{imports.member.name}")
    done = threading.Event()
    touched: dict[str, str] = {}

    def meddle() -> None:
        while not done.is_set():
            for name in wanted:
                touched[name] = str(time.monotonic_ns())
                body = {"metadata": {"annotations": {"clusterset.dns/touched": touched[name]}}}
                imports.custom.patch_namespaced_custom_object(*MCS, imports.namespace, "serviceimports", name, body)

    reports: list[Report] = []
    runs = [threading.Thread(target=lambda: reports.append(sync(*limit, settings=settings))) for _number in range(2)]
    meddler = threading.Thread(target=meddle)
    for thread in (meddler, *runs):
        thread.start()
    for thread in runs:
        thread.join()
    done.set()
    meddler.join()
    assert [report.returncode for report in reports] == [0, 0], reports[0].text[-2000:] + reports[1].text[-2000:]
    assert imports.ips() == wanted
    found = imports.found()
    assert {name: found[name]["metadata"]["annotations"]["clusterset.dns/touched"] for name in touched} == touched


def test_a_full_disk(imports: Imports, tmp_path: Path) -> None:
    """F31: no room where Ansible puts its modules. The run fails, in words, and nothing is written."""
    imports.add_many(1)
    (tmp_path / "full").mkdir()
    command = Fleet.command("playbooks/sync.yml", "--limit", f"karmada,{imports.member.name}", "-e", json.dumps(only(imports)))
    script = 'mount -t tmpfs -o size=4k,mode=700 none "$0" && { head -c 4096 /dev/zero > "$0/x"; exec "$@"; }'
    full = str(tmp_path / "full")
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, full, *command],
        env={**ENVIRONMENT, "ANSIBLE_REMOTE_TMP": full, "ANSIBLE_PIPELINING": "false"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "No space left on device" in ran.stdout + ran.stderr, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert not any(imports.ips().values())


def test_secrets_do_not_show(imports: Imports, tmp_path: Path) -> None:
    """F33, F34: a kubeconfig given as a dictionary, with a difference shown and at the verbosity at which Ansible shows what modules were given."""
    imports.add_many(1)
    content = lab_kubeconfig(imports.member.name)
    karmada = lab_kubeconfig("karmada")
    inventory = inventory_of(tmp_path, {imports.member.name: {"clusterset_kubeconfig": content}})
    data = yaml.safe_load(inventory.read_text())
    data["all"]["hosts"]["karmada"] = {"clusterset_kubeconfig": karmada}
    inventory.write_text(yaml.safe_dump(data))
    command = Fleet.command("playbooks/sync.yml", "-vvv", "--diff", "-e", json.dumps(only(imports)), inventory=inventory)
    # newer ansible-core shows what modules were given only if told to
    environment = {**ENVIRONMENT, "ANSIBLE_INJECT_INVOCATION": "true", "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said[-3000:]
    assert "module_args" in said
    assert all(imports.ips().values())
    for one in (content, karmada):
        for secret in one["users"][0]["user"].values():
            assert str(secret) not in said
