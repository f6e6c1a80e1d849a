# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Modules corefile and corefile_info on a ConfigMap (an API stand-in) and on files: what is written, guarded, recorded and refused."""

from __future__ import annotations

import json
import os
import stat
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.change import Change, change
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import Edit
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import parse, reload_hash
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.place import ANNOTATION, PlaceError, Write, text_of, write_of
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.place import recorded as recorded_in
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.modules import corefile, corefile_info
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn, status

ZONE = "clusterset.local"
TEXT = ".:53 {\n    kubernetes cluster.local\n    prometheus :9153\n}"
PATH = "/api/v1/namespaces/kube-system/configmaps/coredns"


class Exit(Exception):
    pass


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., dict[str, t.Any]]:
    """Runs a module's main() with check and diff mode as options, and gives what it returns, ``failed`` included."""

    def end(module: basic.AnsibleModule, failed: bool, **result: t.Any) -> t.NoReturn:
        raise Exit({"failed": failed, **result})

    monkeypatch.setattr(basic.AnsibleModule, "exit_json", lambda module, **result: end(module, False, **result))
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", lambda module, **result: end(module, True, **result))
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)

    def call(main: t.Callable[[], None] = corefile.main, *, check: bool = False, diff: bool = False, **params: t.Any) -> dict[str, t.Any]:
        params |= {"_ansible_check_mode": check, "_ansible_diff": diff}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", to_bytes(json.dumps({"ANSIBLE_MODULE_ARGS": params})))
        with pytest.raises(Exit) as exit:
            main()
        return exit.value.args[0]

    return call


@pytest.fixture
def api() -> t.Iterator[ApiStandIn]:
    with ApiStandIn() as api:
        api.put(PATH, {"data": {"Corefile": TEXT, "other": "x"}, "metadata": {"annotations": {"theirs": "stays"}}})
        yield api


def text_in(api: ApiStandIn) -> str:
    return api.objects[PATH]["data"]["Corefile"]


def recorded(api: ApiStandIn) -> dict[str, str]:
    return json.loads(api.objects[PATH]["metadata"]["annotations"][ANNOTATION])["Corefile"]


def test_there_and_back(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    present = run(**api.auth, zone=ZONE)
    assert (present["changed"], present["adopted"], present["restored"], present["served_before"]) == (True, False, None, None)
    assert present["corefile"] == text_in(api) != TEXT
    assert present["plugins"] == ["errors", "header", "kubernetes", "loadbalance", "prometheus"]
    assert present["reload_sha512"] == reload_hash(parse(text_in(api)))
    assert ANNOTATION in api.objects[PATH]["metadata"]["annotations"]

    writes = len(api.writes)
    again = run(**api.auth, zone=ZONE)
    assert (again["changed"], again["corefile"], again["served_before"]) == (False, text_in(api), "builtin")
    assert len(api.writes) == writes

    absent = run(**api.auth, zone=ZONE, state="absent")
    assert (absent["changed"], absent["corefile"], absent["restored"]) == (True, TEXT, True)
    assert api.objects[PATH]["data"] == {"Corefile": TEXT, "other": "x"}
    assert api.objects[PATH]["metadata"]["annotations"] == {"theirs": "stays"}
    assert run(**api.auth, zone=ZONE, state="absent")["changed"] is False


def test_check_mode_asks_the_server_and_writes_nothing(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    before = api.objects[PATH]
    result = run(**api.auth, zone=ZONE, check=True, diff=True)
    assert result["changed"] is True
    assert [(method, query.get("dryRun")) for method, _path, query in api.log] == [("GET", None), ("PATCH", "All")]
    assert api.objects[PATH] == before
    assert result["diff"]["before"] == TEXT
    assert result["diff"]["after"] == result["corefile"] == run(**api.auth, zone=ZONE)["corefile"]


def test_check_mode_fails_where_the_write_would(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    api.faults.append(lambda method, path, query: status(403, "Forbidden", "no patch for you") if method == "PATCH" else None)
    result = run(**api.auth, zone=ZONE, check=True)
    assert result["failed"]
    assert "no patch for you" in result["msg"]


def test_check_mode_behind_a_proxy_that_takes_no_dry_runs(
    run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Karmada's does (apiserver/pkg/endpoints/handlers/rest.go)."""
    said: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda module, warning, **unused: said.append(warning))
    refusal = status(400, "BadRequest", "dryRun is not supported")
    api.faults.append(lambda _method, _path, query: refusal if "dryRun" in query else None)
    assert run(**api.auth, zone=ZONE, check=True)["changed"] is True
    assert ["passes no dry run on" in one for one in said] == [True]
    assert text_in(api) == TEXT
    assert run(**api.auth, zone=ZONE)["changed"] is True
    assert len(said) == 1


def test_someone_else_writes_in_between(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    """What they wrote stays, and ours comes on top of it."""
    theirs = TEXT.replace("prometheus", "log\n    prometheus")

    def meddle(method: str, path: str, query: dict[str, str]) -> None:
        if method == "PATCH" and text_in(api) == TEXT:
            api.put(PATH, {**api.objects[PATH], "data": {"Corefile": theirs}})

    api.faults.append(meddle)
    assert run(**api.auth, zone=ZONE)["changed"] is True
    assert text_in(api).endswith(theirs)
    assert len([one for one in api.log if one[0] == "PATCH"]) == 2


def test_someone_else_writes_all_the_time(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    api.faults.append(lambda method, path, query: api.put(PATH, api.objects[PATH]) if method == "PATCH" else None)
    result = run(**api.auth, zone=ZONE)
    assert result["failed"]
    assert "409" in result["msg"]
    assert text_in(api) == TEXT
    assert len([one for one in api.log if one[0] == "PATCH"]) == 3


def test_what_others_changed_meanwhile_is_kept_and_said(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    run(**api.auth, zone=ZONE)
    changed = text_in(api).replace("prometheus :9153\n}", "prometheus :9153\n    log\n}")
    api.put(PATH, {**api.objects[PATH], "data": {"Corefile": changed}})
    result = run(**api.auth, zone=ZONE, state="absent")
    assert (result["restored"], result["corefile"]) == (False, TEXT.replace("\n}", "\n    log\n}"))
    assert "changed by others" in result["notes"][0]


def test_the_record_goes_with_the_last_zone(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    run(**api.auth, zone="one.example")
    assert recorded(api)["text"] == TEXT
    run(**api.auth, zone="two.example")
    first = run(**api.auth, zone="one.example", state="absent")
    assert first["restored"] is None
    assert recorded(api)["text"] == TEXT
    assert run(**api.auth, zone="two.example", state="absent")["restored"] is True
    assert text_in(api) == TEXT


def test_lines_that_were_replaced_come_back(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    """The record alone knows them; where someone else has changed the Corefile since, it is not used."""
    theirs = f"{TEXT}\n{ZONE}:53 {{\n    kubernetes {ZONE} {{\n        multicluster {ZONE}\n    }}\n}}\n"
    api.put(PATH, {**api.objects[PATH], "data": {"Corefile": theirs}})
    run(**api.auth, zone=ZONE, adopt=True)
    run(**api.auth, zone=ZONE, adopt=True, ttl=1)
    assert run(**api.auth, zone=ZONE, state="absent")["restored"] is True
    assert text_in(api) == theirs
    run(**api.auth, zone=ZONE, adopt=True)
    api.put(PATH, {**api.objects[PATH], "data": {"Corefile": text_in(api) + "# more\n"}})
    run(**api.auth, zone=ZONE, adopt=True, ttl=1)
    assert run(**api.auth, zone=ZONE, state="absent")["restored"] is False
    assert text_in(api).endswith("# more\n")
    assert "multicluster" not in text_in(api)


def test_a_corefile_too_long_for_an_annotation_is_recorded_by_its_hash(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    long = TEXT + "# comment\n" * 26_000
    api.put(PATH, {**api.objects[PATH], "data": {"Corefile": long}})
    run(**api.auth, zone=ZONE)
    assert set(recorded(api)) == {"sha512", "ours"}
    assert run(**api.auth, zone=ZONE, state="absent")["restored"] is True
    assert text_in(api) == long


@pytest.mark.parametrize("record", ["not JSON", "[]", "{}", '{"Corefile": "x"}', None])
def test_a_lost_record_is_no_obstacle(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn, record: str | None) -> None:
    run(**api.auth, zone=ZONE)
    item = api.objects[PATH]
    annotations = {} if record is None else {ANNOTATION: record}
    api.put(PATH, {**item, "metadata": {**item["metadata"], "annotations": annotations}})
    result = run(**api.auth, zone=ZONE, state="absent")
    assert (result["restored"], text_in(api)) == (None, TEXT)


def test_an_immutable_configmap(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    api.put(PATH, {**api.objects[PATH], "immutable": True})
    result = run(**api.auth, zone=ZONE)
    assert result["failed"]
    assert "is immutable" in result["msg"]
    assert api.writes == []


@pytest.mark.parametrize(
    ("options", "named"), [({"name": "gone"}, "kube-system/gone"), ({"key": "gone"}, "key gone"), ({"path": "/gone/Corefile"}, "/gone")]
)
def test_no_corefile_there(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn, options: dict[str, str], named: str) -> None:
    result = run(**api.auth, zone=ZONE, **options)
    assert result["failed"]
    assert "does not exist" in result["msg"]
    assert named in result["msg"]
    absent = run(**api.auth, zone=ZONE, state="absent", **options)
    assert (absent["failed"], absent["changed"], absent["corefile"]) == (False, False, None)


def test_a_line_that_is_in_the_way(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    api.put(PATH, {"data": {"Corefile": TEXT + "\nclusterset.local {\n    file /zone\n}\n"}})
    result = run(**api.auth, zone=ZONE)
    assert (result["failed"], result["line"]) == (True, 5)
    assert "kube-system/coredns, key Corefile" in result["msg"]
    assert "line 5: clusterset.local is already served" in result["msg"]
    assert api.writes == []


def test_settings_that_make_no_sense_are_told_without_a_line(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    result = run(**api.auth, zone="cluster.local")
    assert (result["failed"], result["line"]) == (True, None)
    assert api.writes == []


def test_a_server_that_does_not_answer(run: t.Callable[..., dict[str, t.Any]]) -> None:
    result = run(host="http://127.0.0.1:1", api_key="none", zone=ZONE)
    assert result["failed"]
    assert "does not answer" in result["msg"]


def test_a_key_of_its_own_is_made_and_removed(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    before = api.objects[PATH]["data"]
    options = {**api.auth, "zone": ZONE, "key": "clusterset.server", "create": True}
    assert run(**options)["changed"] is True
    assert api.objects[PATH]["data"] == {**before, "clusterset.server": run(**options)["corefile"]}
    assert run(**options)["changed"] is False
    assert run(**options, state="absent")["restored"] is True
    assert api.objects[PATH]["data"] == before


def test_a_configmap_of_its_own_is_made_and_removed(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    options = {**api.auth, "zone": ZONE, "name": "coredns-custom", "key": "clusterset.server", "create": True}
    path = PATH + "-custom"
    assert run(**options, check=True)["changed"] is True
    assert path not in api.objects
    assert run(**options)["changed"] is True
    assert api.objects[path]["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "clusterset.dns"
    assert run(**options)["changed"] is False
    assert run(**options, state="absent", check=True)["changed"] is True
    assert path in api.objects
    assert run(**options, state="absent")["changed"] is True
    assert path not in api.objects


def test_a_configmap_of_others_stays_when_it_gets_empty(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    path = PATH + "-custom"
    api.put(path, {"metadata": {}})
    options = {**api.auth, "zone": ZONE, "name": "coredns-custom", "key": "clusterset.server", "create": True}
    run(**options)
    run(**options, state="absent")
    assert api.objects[path]["data"] == {}


def test_a_file_there_and_back(run: t.Callable[..., dict[str, t.Any]], tmp_path: Path) -> None:
    file = tmp_path / "Corefile"
    original = b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()
    file.write_bytes(original)
    file.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(file)
    assert run(path=str(link), zone=ZONE, check=True)["changed"] is True
    assert file.read_bytes() == original
    assert run(path=str(link), zone=ZONE)["changed"] is True
    assert link.is_symlink()
    assert file.read_bytes().startswith(b"\xef\xbb\xbf# clusterset.dns: begin clusterset.local\r\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert run(path=str(link), zone=ZONE)["changed"] is False
    assert run(path=str(link), zone=ZONE, state="absent")["restored"] is None
    assert file.read_bytes() == original
    assert sorted(os.listdir(tmp_path)) == ["Corefile", "link"]


def test_a_file_is_made_on_request(run: t.Callable[..., dict[str, t.Any]], tmp_path: Path) -> None:
    file = tmp_path / "Corefile"
    assert run(path=str(file), zone=ZONE, create=True)["changed"] is True
    assert file.read_text().startswith("# clusterset.dns: begin")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_file_that_cannot_be_used(run: t.Callable[..., dict[str, t.Any]], tmp_path: Path) -> None:
    file = tmp_path / "Corefile"
    file.write_bytes(b". {\n\xff\n}\n")
    assert "is not UTF-8 (byte 4)" in run(path=str(file), zone=ZONE)["msg"]
    assert "Is a directory" in run(path=str(tmp_path), zone=ZONE)["msg"]
    assert "cannot be written" in run(path=str(tmp_path / "no" / "Corefile"), zone=ZONE, create=True)["msg"]
    assert "cannot be written" in run(path=str(tmp_path / "no" / "Corefile"), zone=ZONE, create=True, check=True)["msg"]


def test_imports_and_environment_reach_the_parser(run: t.Callable[..., dict[str, t.Any]], tmp_path: Path) -> None:
    file = tmp_path / "Corefile"
    file.write_text(TEXT + "\n{$STUB} {\n    whoami\n}\nimport custom/*.server\n")
    assert "environment" in run(path=str(file), zone=ZONE)["msg"]
    assert "import custom/*.server" in run(path=str(file), zone=ZONE, env={"STUB": "a.example"})["msg"]
    served = {"custom/mc.server": "clusterset.local {\n    forward . 192.0.2.53\n}\n"}
    assert "already served" in run(path=str(file), zone=ZONE, env={"STUB": "a.example"}, imports=served)["msg"]
    assert run(path=str(file), zone=ZONE, env={"STUB": "a.example"}, imports={})["changed"] is True


def test_an_environment_variable_may_be_a_number(run: t.Callable[..., dict[str, t.Any]], tmp_path: Path) -> None:
    file = tmp_path / "Corefile"
    file.write_text(".:53 {\n    kubernetes cluster.local\n    cache {$SECONDS_KEPT}\n    import more\n}\n")
    params = {"path": str(file), "zone": ZONE, "env": {"SECONDS_KEPT": 30, "NOT_SET": None}, "imports": {"more": None}}
    assert run(**params)["changed"] is True
    assert len(run(corefile_info.main, **{name: params[name] for name in ("path", "env", "imports")})["reload_sha512"]) == 128


def test_info(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    run(**api.auth, zone=ZONE, placement="inline")
    result = run(corefile_info.main, **api.auth, zone=ZONE)
    assert (result["failed"], result["changed"]) == (False, False)
    assert result["corefile"] == text_in(api)
    assert result["served"] == {"mode": "builtin", "placement": "inline", "line": 2, "ours": True, "plugins": ["kubernetes", "prometheus"]}
    assert result["plugins"] == ["kubernetes", "prometheus"]
    assert result["zones"] == [{"zone": ".", "scheme": "dns", "port": 53, "line": 1}]
    assert [plugin["name"] for plugin in result["blocks"][0]["plugins"]] == ["kubernetes", "prometheus"]
    assert result["reload_sha512"] == reload_hash(parse(text_in(api)))
    assert run(corefile_info.main, **api.auth)["served"] is None


def test_info_of_what_is_not_there_or_broken(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn, tmp_path: Path) -> None:
    nothing = run(corefile_info.main, **api.auth, name="gone", zone=ZONE)
    assert (nothing["failed"], nothing["corefile"], nothing["blocks"], nothing["served"]) == (False, None, [], None)
    api.put(PATH, {"data": {"Corefile": ". {\n    import custom/*.override\n    errors }\n"}})
    broken = run(corefile_info.main, **api.auth)
    assert (broken["failed"], broken["line"]) == (True, 3)
    api.put(PATH, {"data": {"Corefile": ". {\n    import custom/*.override\n}\n"}})
    assert run(corefile_info.main, **api.auth)["imports"] == [{"pattern": "custom/*.override", "line": 2, "level": "block"}]
    (tmp_path / "Corefile").write_bytes(b"\xff")
    assert "is not UTF-8" in run(corefile_info.main, path=str(tmp_path / "Corefile"))["msg"]


def test_only_the_proven_corefile_is_written(api: ApiStandIn, run: t.Callable[..., dict[str, t.Any]]) -> None:
    candidate = run(zone=ZONE, check=True, **api.auth)
    api.objects[PATH]["data"]["Corefile"] = TEXT + "\n# theirs\n"
    said = run(zone=ZONE, proven=candidate["corefile"], **api.auth)
    assert said["failed"]
    assert "changed by someone else meanwhile" in said["msg"]
    assert api.writes == []
    api.objects[PATH]["data"]["Corefile"] = TEXT
    assert run(zone=ZONE, proven=candidate["corefile"], **api.auth)["changed"]
    assert text_in(api) == candidate["corefile"]


def test_restore_gives_back_what_was_there(api: ApiStandIn, run: t.Callable[..., dict[str, t.Any]]) -> None:
    first = run(zone=ZONE, **api.auth)
    assert first["before"] == TEXT
    second = run(zone=ZONE, ttl=1, **api.auth)
    assert second["changed"]
    back = run(zone=ZONE, proven=second["corefile"], restore=second["before"], **api.auth)
    assert back["changed"]
    assert text_in(api) == first["corefile"]
    assert ANNOTATION in api.objects[PATH]["metadata"]["annotations"]
    run(zone=ZONE, proven=first["corefile"], restore=first["before"], **api.auth)
    assert text_in(api) == TEXT
    assert ANNOTATION not in api.objects[PATH]["metadata"]["annotations"]


def test_restore_leaves_what_someone_else_has_changed_since(api: ApiStandIn, run: t.Callable[..., dict[str, t.Any]]) -> None:
    first = run(zone=ZONE, **api.auth)
    api.objects[PATH]["data"]["Corefile"] = "theirs"
    said = run(zone=ZONE, proven=first["corefile"], restore=TEXT, **api.auth)
    assert said["failed"]
    assert text_in(api) == "theirs"


def without_comments(api: ApiStandIn, **annotations: str) -> None:
    """Someone parses the Corefile and writes it anew, which keeps no comments; of the annotations those are left that are given."""
    text = "".join(line for line in text_in(api).splitlines(keepends=True) if not line.lstrip().startswith("#"))
    api.put(PATH, {**api.objects[PATH], "data": {"Corefile": text}, "metadata": {**api.objects[PATH]["metadata"], "annotations": annotations}})


def test_a_zone_whose_marks_and_record_are_lost_is_taken_out(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    run(**api.auth, zone=ZONE)
    without_comments(api)
    present = run(**api.auth, zone=ZONE)
    assert (present["changed"], present["adopted"], present["served_after"]) == (False, False, "builtin")
    assert "comments" in present["notes"][0]
    absent = run(**api.auth, zone=ZONE, state="absent")
    assert (absent["changed"], absent["served_before"], absent["served_after"], absent["restored"]) == (True, "builtin", None, None)
    assert text_in(api) == TEXT


def test_a_zone_whose_marks_are_lost_keeps_its_record(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    """What is recorded is the Corefile before us, not one with our lines in it; and it shows that an inline zone is ours."""
    run(**api.auth, zone=ZONE, placement="inline")
    without_comments(api, **api.objects[PATH]["metadata"]["annotations"])
    assert run(**api.auth, zone=ZONE, placement="inline")["changed"] is False
    assert run(corefile_info.main, **api.auth, zone=ZONE)["served"]["ours"] is True
    again = run(**api.auth, zone=ZONE)
    assert again["changed"] is True
    assert recorded(api)["text"] == TEXT
    absent = run(**api.auth, zone=ZONE, state="absent")
    assert (absent["served_after"], absent["restored"]) == (None, False)
    assert parse(text_in(api)).serial[0]["Keys"] == [".:53"]
    assert ANNOTATION not in api.objects[PATH]["metadata"]["annotations"]


def test_a_zone_that_is_still_served_is_said(run: t.Callable[..., dict[str, t.Any]], api: ApiStandIn) -> None:
    theirs = f"{TEXT}\n{ZONE}:53 {{\n    kubernetes {ZONE} {{\n        multicluster {ZONE}\n    }}\n}}\n"
    api.put(PATH, {**api.objects[PATH], "data": {"Corefile": theirs}})
    absent = run(**api.auth, zone=ZONE, state="absent")
    assert (absent["changed"], absent["adopted"], absent["served_after"]) == (False, True, "builtin")
    assert "is still served by the plugin kubernetes (line 6)" in absent["notes"][0]
    info = run(corefile_info.main, **api.auth)
    assert info["multicluster"] == [{"zone": ZONE, "mode": "builtin", "placement": "separate", "line": 6, "ours": False}]
    assert run(**api.auth, zone=ZONE, state="absent", adopt=True)["served_after"] is None


def test_what_is_missing_is_named(run: t.Callable[..., dict[str, t.Any]], tmp_path: Path) -> None:
    file = tmp_path / "Corefile"
    file.write_text(TEXT + "\n{$STUB} {\n    whoami\n}\nimport custom/*.server\n")
    assert run(path=str(file), zone=ZONE)["needs"] == "env"
    assert run(path=str(file), zone=ZONE, env={"STUB": "a.example"})["needs"] == "imports"
    file.write_text("}")
    assert run(path=str(file), zone=ZONE)["needs"] is None


def test_a_write_is_computed_apart_from_being_sent() -> None:
    """The whole way as another module goes it, without a cluster: there, again, and back."""
    config_map: dict[str, t.Any] = {"metadata": {"name": "coredns", "resourceVersion": "7", "annotations": {"theirs": "stays"}}, "data": {"Corefile": TEXT}}
    want = Edit(zone=ZONE)

    def step(want: Edit) -> tuple[Change, Write | None]:
        text = text_of(config_map, "Corefile")
        known = recorded_in(config_map["metadata"]["annotations"], "Corefile")
        done = change(text, known, want, label="the Corefile of m1")
        write = write_of(config_map, "coredns", "Corefile", done.text, first=done.first, last=done.last) if done.changed else None
        if write and write.body:
            config_map["data"] = write.body["data"]
            for key, value in write.body["metadata"]["annotations"].items():
                config_map["metadata"]["annotations"].pop(key, None)
                config_map["metadata"]["annotations"] |= {} if value is None else {key: value}
        return done, write

    done, write = step(want)
    assert (done.first, done.last, done.served_before, write and write.verb) == (True, False, None, "patch")
    assert write
    assert write.body
    assert write.body["metadata"]["resourceVersion"] == "7"
    assert recorded_in(config_map["metadata"]["annotations"], "Corefile")["text"] == TEXT
    assert step(want)[1] is None
    done, write = step(Edit(zone=ZONE, state="absent"))
    assert (done.last, done.restored, done.served_after) == (True, True, None)
    assert (config_map["data"], config_map["metadata"]["annotations"]) == ({"Corefile": TEXT}, {"theirs": "stays"})


def test_writes_that_make_and_remove_a_configmap() -> None:
    made = write_of(None, "coredns-custom", "clusterset.server", "x", first=True, last=False)
    assert (made.verb, made.body and made.body["metadata"]["name"]) == ("create", "coredns-custom")
    there = {**(made.body or {}), "metadata": {**(made.body or {})["metadata"], "resourceVersion": "1"}}
    assert write_of(there, "coredns-custom", "clusterset.server", "", first=False, last=True) == Write("delete")
    with pytest.raises(PlaceError, match="the ConfigMap is immutable"):
        write_of({**there, "immutable": True}, "coredns-custom", "clusterset.server", "", first=False, last=True)


@pytest.mark.parametrize(
    ("labels", "verb"),
    [
        (ownership.labels("east"), "delete"),
        # as the version before fleets made it
        ({ownership.MANAGED_BY: ownership.OURS, ownership.PART_OF: ownership.OURS}, "delete"),
        (ownership.labels("west"), "patch"),
        ({ownership.MANAGED_BY: "Helm"}, "patch"),
    ],
    ids=["ours", "before fleets", "another fleet", "Helm"],
)
def test_a_configmap_goes_if_it_was_made_for_the_fleet(labels: dict[str, str], verb: str) -> None:
    made = write_of(None, "coredns-custom", "clusterset.server", "x", first=True, last=False, fleet="east").body or {}
    assert made["metadata"]["labels"] == ownership.labels("east")
    there = {**made, "metadata": {**made["metadata"], "labels": labels, "resourceVersion": "1"}}
    assert write_of(there, "coredns-custom", "clusterset.server", "", first=False, last=True, fleet="east").verb == verb
