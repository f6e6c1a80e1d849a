# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a fleet answers as a page that needs nothing else: no network, no other file. Pure: no client, no clock, no file."""

from __future__ import annotations

import base64
import hashlib
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns import report
from ansible_collections.clusterset.dns.plugins.module_utils._dns.fleet_picture import Box, picture
from ansible_collections.clusterset.dns.plugins.module_utils._dns.markup import Markup, element, joined

__all__ = ["page"]

Row = report.Row

# Rows, clusters of one service, causes and places of one cause that are shown; what is right goes first where there are more.
_ROWS, _CLUSTERS, _CAUSES, _PLACES = 3000, 40, 200, 25
# Clusters that are shown of a service that is right in too many to show.
_EXAMPLES = 3
# With more services those that are right are folded.
_UNFOLDED = 4
_STATES = {False: "bad", None: "unknown", True: "ok"}
_MARKS = {"bad": "✕", "unknown": "?", "ok": "✓"}
_ORDER = list(_MARKS)
_BREAK = Markup("<wbr>")


def page(
    found: t.Sequence[Row], zone: str = "", made: str = "", notes: t.Sequence[str] = (), services: t.Sequence[t.Mapping[str, t.Any]] = ()
) -> str:
    """The rows as a page: a picture of the fleet, what is not right and why, who answers what, and all rows.

    :arg zone: what to call the zone where no row tells it; :arg made: when the rows were asked for, in words.
    :arg notes: what was left out, in sentences; :arg services: those that are exported, with ``from_clusters``.
    """
    zones = dict.fromkeys(row["name"].partition(".")[2] for row in found if row["name"].startswith("dns-version."))
    named = ", ".join(zones) or zone
    title, state = _title(found)
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{_MARKS[state]} {named}: {title}" if named else title),
        element("style", Markup(_STYLE)),
    ]
    heading = element("h1", element("span", _MARKS[state], class_=state), f" {title}")
    parts = [
        element("header", heading, element("p", report.summary(found)), _about(found, named, made)),
        _not_looked_at(found),
        element("section", element("h2", "The fleet"), _fleet(found, services)) if found else "",
        _causes(found),
        _notes(notes),
        _answers(found),
        _table(found),
        element("script", Markup(_SCRIPT)),
    ]
    return f"<!DOCTYPE html>\n{element('html', element('head', head), element('body', element('main', parts)), lang='en')}\n"


def _title(found: t.Sequence[Row]) -> tuple[str, str]:
    clusters = {row["cluster"] for row in found}
    wrong = list(dict.fromkeys(row["cluster"] for row in found if row["ok"] is False))
    if not found:
        return "Nothing was verified", "unknown"
    if wrong:
        return f"Not right in {' and '.join(wrong) if len(wrong) < 3 else f'{len(wrong)} of {len(clusters)} clusters'}", "bad"
    if any(row["ok"] is None for row in found):
        return "Right as far as it was asked", "unknown"
    return "All right", "ok"


def _about(found: t.Sequence[Row], zone: str, made: str) -> Markup:
    counts = report.counts(found)
    words = {"members": "Clusters asked", "pods": "DNS servers asked", "questions": "Questions answered"}
    facts = {"Zone": zone, "Made": made, **{word: f"{counts[key]['asked']} of {counts[key]['expected']}" for key, word in words.items()}}
    return element("dl", [element("div", element("dt", name), element("dd", value)) for name, value in facts.items() if value])


def _not_looked_at(found: t.Sequence[Row]) -> Markup:
    """The clusters of which nothing is known, each with the reason."""
    seen = _seen(found)
    unseen = _by([row for row in found if row["cluster"] not in seen], "cluster")
    if not unseen:
        return Markup()
    items = [
        element("li", element("b", cluster), f": {' '.join(dict.fromkeys(map(_cause, rows)))}") for cluster, rows in list(unseen.items())[:_CAUSES]
    ]
    more = element("p", f"{len(unseen) - _CAUSES} more of them are in the picture.") if len(unseen) > _CAUSES else ""
    heading = f"{report.count(len(unseen), 'cluster')} could not be looked at"
    return element("section", element("h2", heading), element("p", "What is right or wrong there is not known."), element("ul", items), more, class_="unseen")


def _seen(found: t.Iterable[Row]) -> set[str]:
    """The clusters in which there was something to ask."""
    return {row["cluster"] for row in found if row["name"]}


def _cause(row: Row) -> str:
    cause = row["cause"].removeprefix(f"{row['cluster']}: ")
    return f"{cause[:1].upper()}{cause[1:]}"


def _worst(rows: t.Iterable[Row]) -> str:
    return min((_STATES[row["ok"]] for row in rows), key=_ORDER.index)


def _by(rows: t.Iterable[Row], *keys: str) -> dict[t.Any, list[Row]]:
    found: dict[t.Any, list[Row]] = {}
    for row in rows:
        key = tuple(row[one] for one in keys)
        found.setdefault(key if len(keys) > 1 else key[0], []).append(row)
    return found


def _words(rows: t.Sequence[Row]) -> str:
    """What to say of a cluster or service in its box."""
    if not any(row["name"] for row in rows):
        return "not looked at"
    worst = _worst(rows)
    return "right" if worst == "ok" else ", ".join(dict.fromkeys(row["verdict"] for row in rows if _STATES[row["ok"]] == worst))


def _fleet(found: t.Sequence[Row], services: t.Sequence[t.Mapping[str, t.Any]]) -> Markup:
    of_services = _by([row for row in found if row["service"]], "service")
    states = {cluster: _worst(rows) for cluster, rows in _by(found, "cluster").items()}
    clusters = [Box(cluster, cluster, states[cluster], _words(rows)) for cluster, rows in _by(found, "cluster").items()]
    named = [Box(service, service.partition("/")[2], _worst(rows), f"{_words(rows)} · {service.partition('/')[0]}") for service, rows in of_services.items()]
    imports = {key: _worst(rows) for key, rows in _by([row for row in found if row["service"]], "service", "cluster").items()}
    exports = {(cluster, service): "plain" for service, rows in of_services.items() for cluster in _exporters(service, rows)}
    for one in services:
        service = f"{one.get('namespace')}/{one.get('name')}"
        if service in of_services:
            exports |= {(str(cluster), service): "plain" for cluster in one.get("from_clusters") or []}
    sources = [Box(cluster, cluster, "plain", "exports") for cluster in sorted({cluster for cluster, _service in exports})]
    return picture(sources, named, clusters, exports, imports)


def _exporters(service: str, rows: t.Iterable[Row]) -> set[str]:
    """The clusters that the names of a headless service's hosts tell: HOST.CLUSTER.NAME.NAMESPACE.svc.ZONE."""
    hosts = [row["name"].partition(f".{_own(service)}.")[0].split(".") for row in rows if f".{_own(service)}." in row["name"]]
    return {labels[-1] for labels in hosts if len(labels) > 1 and not labels[0].startswith("_")}


def _own(service: str) -> str:
    namespace, _slash, name = service.partition("/")
    return f"{name}.{namespace}.svc"


def _causes(found: t.Sequence[Row]) -> Markup:
    """Each cause once, with all places that it is about. Clusters that could not be looked at have theirs already."""
    seen = _seen(found)
    unlike = [row for row in found if row["ok"] is not True and row["cluster"] in seen]
    grouped: dict[tuple[str, str, str], list[Row]] = {}
    for row in sorted(unlike, key=lambda one: _ORDER.index(_STATES[one["ok"]])):
        grouped.setdefault((_STATES[row["ok"]], row["verdict"], _cause(row)), []).append(row)
    if not grouped:
        return Markup()
    items = [
        element("li", element("p", _chip(state, verdict), f" {cause or 'No cause is known.'}"), _places(rows), class_=f"cause {state}")
        for (state, verdict, cause), rows in list(grouped.items())[:_CAUSES]
    ]
    heading = "What is not right" if any(row["ok"] is False for row in unlike) else "What was not asked"
    more = element("p", f"{len(grouped) - _CAUSES} more causes are left out here.") if len(grouped) > _CAUSES else ""
    return element("section", element("h2", heading), element("ul", items, class_="causes"), more)


def _places(rows: t.Sequence[Row]) -> Markup:
    names = list(dict.fromkeys(f"{row['type']} {row['name']}" for row in rows if row["name"]))
    clusters = _by(rows, "cluster")
    where = [_place(cluster, of_cluster) for cluster, of_cluster in list(clusters.items())[:_PLACES]]
    where += [f"{len(clusters) - _PLACES} more clusters"] if len(clusters) > _PLACES else []
    names = names[:_PLACES] + ([f"{len(names) - _PLACES} more"] if len(names) > _PLACES else [])
    return element("dl", _fact("In", "; ".join(where)), _fact("Asked for", ", ".join(names)))


def _place(cluster: str, rows: t.Sequence[Row]) -> str:
    pods = list(dict.fromkeys(row["pod"] for row in rows if row["pod"]))
    shown = pods[:_PLACES] + ([f"{len(pods) - _PLACES} more"] if len(pods) > _PLACES else [])
    return f"{cluster} ({', '.join(shown)})" if pods else cluster


def _fact(name: str, value: str) -> Markup:
    return element("div", element("dt", name), element("dd", value)) if value else Markup()


def _chip(state: str, word: str) -> Markup:
    return element("span", f"{_MARKS[state]} {word}", class_=f"chip {state}")


def _notes(notes: t.Sequence[str]) -> Markup:
    return element("section", element("h2", "Left out"), element("ul", [element("li", note) for note in notes])) if notes else Markup()


def _answers(found: t.Sequence[Row]) -> Markup:
    """For each service, and for the servers themselves, what every pod of every cluster answers."""
    grouped = sorted(_by(found, "service").items(), key=lambda one: (_ORDER.index(_worst(one[1])), not one[0], one[0]))
    folded = len(grouped) > _UNFOLDED
    parts = []
    for service, rows in grouped:
        clusters = _by(rows, "cluster")
        shown = _shown(clusters)
        left = len(clusters) - len(shown)
        state = _worst(rows)
        name = element("b", service or "The DNS servers themselves")
        summary = element("summary", _chip(state, _words(rows)), " ", name, f" in {report.count(len(clusters), 'cluster')}")
        lines = [element("tr", element("th", cluster, scope="row"), element("td", _pods(service, of_cluster))) for cluster, of_cluster in shown]
        more = element("p", f"{report.count(left, 'cluster')} more, {_left_out(clusters, shown)}, left out here.") if left else ""
        parts.append(element("details", summary, element("table", element("tbody", lines), class_="matrix"), more, open=state == "bad" or not folded))
    return element("section", element("h2", "Who answers what"), parts) if parts else Markup()


def _shown(clusters: t.Mapping[str, list[Row]]) -> list[tuple[str, list[Row]]]:
    """All of a few clusters; of many those that are not right, else some for example."""
    ordered = sorted(clusters.items(), key=lambda one: _ORDER.index(_worst(one[1])))
    if len(ordered) <= _CLUSTERS:
        return ordered
    return [one for one in ordered if _worst(one[1]) != "ok"][:_CLUSTERS] or ordered[:_EXAMPLES]


def _left_out(clusters: t.Mapping[str, list[Row]], shown: t.Sequence[tuple[str, list[Row]]]) -> str:
    known = {cluster for cluster, _rows in shown}
    states = {_worst(rows) for cluster, rows in clusters.items() if cluster not in known}
    return "where all is right" if states == {"ok"} else "of which some are not right"


def _pods(service: str, rows: t.Sequence[Row]) -> list[Markup]:
    return [
        element("div", element("h4", pod or "The cluster"), [_line(service, row) for row in of_pod], class_=f"pod {_worst(of_pod)}")
        for pod, of_pod in _by(rows, "pod").items()
    ]


def _line(service: str, row: Row) -> Markup:
    """A question in short, what came back, and what should have."""
    state = _STATES[row["ok"]]
    if not row["name"]:
        return element("p", _chip(state, row["verdict"]))
    name = row["name"].partition(f"{_own(service)}.")[0].rstrip(".") if service else row["name"]
    answer = report.answer(row, brief=True) or "no answer"
    wanted = "" if row["ok"] or row["expected"] is None else f" instead of {report.expected(row, brief=True)}"
    verdict = "" if row["ok"] else joined(" ", _chip(state, row["verdict"]))
    status = f", HTTP {', '.join(str(one['status'] or 'none') for one in row['http'])}" if row["http"] else ""
    return element("p", element("span", f"{row['type']} {name}".strip(), class_="what"), " ", element("code", answer), wanted, status, verdict)


def _table(found: t.Sequence[Row]) -> Markup:
    ordered = sorted(found, key=lambda row: _ORDER.index(_STATES[row["ok"]]))
    shown = ordered if len(ordered) <= _ROWS else [row for row in ordered if not row["ok"]][:_ROWS]
    tried = any(row["http"] for row in found)
    header = ["Verdict", "Cluster", "DNS server", "Name", "Type", "Answer", "Expected", *(["HTTP"] if tried else [])]
    body = [element("tr", _cells(row, tried), class_=_STATES[row["ok"]]) for row in shown]
    left = f"{report.count(len(found) - len(shown), 'row')} left out here, so that the page stays small. The JSON report has all of them."
    controls = element(
        "p",
        element("label", "Filter ", element("input", id="words", type="search", placeholder="member1 stale")),
        element("label", element("input", id="unlike", type="checkbox"), " only what is not right"),
        element("span", id="number", role="status"),
        id="filter",
        hidden=True,
    )
    table = element("table", element("thead", element("tr", [element("th", one, scope="col") for one in header])), element("tbody", body), id="rows")
    heading = element("h2", "All rows" if len(shown) == len(found) else "Rows that are not right")
    return element("section", heading, element("p", left) if len(shown) < len(found) else "", controls if shown else "", table if shown else "")


def _cells(row: Row, tried: bool) -> list[Markup]:
    wanted = report.expected(row) if row["name"] else ""
    cells = [row["cluster"], row["pod"], row["name"], row["type"], report.answer(row), wanted]
    cells += [", ".join(str(one["status"] or "none") for one in row["http"])] if tried else []
    return [element("td", _chip(_STATES[row["ok"]], row["verdict"])), *(element("td", _breakable(cell or "-")) for cell in cells)]


def _breakable(text: str) -> Markup:
    """Long names may go on in the next line after a dot."""
    first, *others = text.split(".")
    return joined(first, [joined(".", _BREAK, one) for one in others])


_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--text:#1c2128;--soft:#57606a;--line:#d0d7de;--card:#f6f8fa;--ok:#1a7f37;--bad:#b42318;--badbg:#fdeceb;
--unknown:#7d5600;--unknownbg:#fff6dc}
@media(prefers-color-scheme:dark){:root{--bg:#0f141a;--text:#e6edf3;--soft:#9da7b3;--line:#343c46;--card:#171d25;--ok:#57c878;--bad:#ff8b81;
--badbg:#3b1a19;--unknown:#e6b84c;--unknownbg:#332a10}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1200px;margin:0 auto;padding:24px 16px 48px}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 4px}h2{font-size:1.25rem;margin:40px 0 12px}
h4{font-size:.8rem;margin:0 0 4px;color:var(--soft);font-weight:600}
p{margin:0 0 8px}h1,p,li,dd,td,th,h4,summary{overflow-wrap:anywhere}#rows td:nth-child(-n+2){overflow-wrap:break-word}
code,.what{font:.85em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}.what{color:var(--soft)}
.ok{--c:var(--ok)}.bad{--c:var(--bad)}.unknown{--c:var(--unknown)}.plain{--c:var(--soft)}
h1 span,.chip{color:var(--c)}
.chip{font-size:.85em;font-weight:600;white-space:nowrap}.chip.bad{background:var(--badbg)}.chip.unknown{background:var(--unknownbg)}
.chip.bad,.chip.unknown{padding:1px 7px;border-radius:9px}
header dl{display:flex;flex-wrap:wrap;gap:8px 32px;margin:16px 0 0;padding:12px 16px;background:var(--card);border:1px solid var(--line);
border-radius:8px}
dt{font-size:.8rem;color:var(--soft)}dd{margin:0}
.unseen{border:1px solid var(--bad);background:var(--badbg);border-radius:8px;padding:4px 16px 8px;margin-top:24px}.unseen h2{margin:8px 0}
.unseen ul{padding-left:20px;margin:0}
svg{display:block;width:100%;height:auto}svg.narrow{display:none}
svg text{fill:var(--text);font-size:14px}svg .head{fill:var(--soft);font-size:12px}svg .words{fill:var(--c);font-size:12px}
.box rect{fill:var(--card);stroke:var(--line)}.box.bad rect{fill:var(--badbg);stroke:var(--bad);stroke-width:2}
.box.unknown rect{fill:var(--unknownbg);stroke:var(--unknown)}
.line{fill:none;stroke:var(--c);stroke-width:1.3;opacity:.55}.line.bad,.line.unknown{stroke-width:2.5;stroke-dasharray:7 4;opacity:1}
.tip{fill:var(--c)}
.tile{fill:none;stroke:var(--ok)}.tile.bad{fill:var(--bad);stroke:var(--bad)}.tile.unknown{fill:var(--unknown);stroke:var(--unknown)}
.causes{list-style:none;margin:0;padding:0}
.cause{border-left:4px solid var(--c);background:var(--card);border-radius:0 8px 8px 0;padding:10px 16px;margin:0 0 12px}
.cause dl{margin:4px 0 0;font-size:.9rem}.cause dl div{display:flex;gap:8px}.cause dt{flex:0 0 5rem;line-height:1.7}
details{border:1px solid var(--line);border-radius:8px;margin:0 0 10px;padding:0 14px}summary{cursor:pointer;padding:10px 0}
table{border-collapse:collapse;width:100%;margin:0 0 12px}
th,td{text-align:left;vertical-align:top;padding:8px 12px 8px 0;border-top:1px solid var(--line)}
.matrix th{width:12rem;font-weight:600}.matrix td{display:flex;flex-wrap:wrap;gap:8px;padding-right:0}
.pod{flex:1 1 20rem;max-width:36rem;border:1px solid var(--line);border-left:4px solid var(--c);border-radius:6px;padding:6px 10px;
background:var(--card)}
.pod p{margin:0;font-size:.9rem}
#rows{font-size:.85rem}#rows th,#rows td:nth-child(5){white-space:nowrap}
#rows thead th{position:sticky;top:0;background:var(--bg);border-top:0;color:var(--soft);font-weight:600}
#rows tr.bad td{background:var(--badbg)}#rows tr.unknown td{background:var(--unknownbg)}#rows td:first-child{padding-left:8px}#rows .chip{padding:0}
#filter{display:flex;flex-wrap:wrap;gap:8px 20px;align-items:center}#filter[hidden]{display:none}
#words{font:inherit;width:18rem;max-width:100%;padding:6px 10px;color:inherit;background:var(--bg);border:1px solid var(--soft);border-radius:6px}
#number{color:var(--soft)}
@media(max-width:700px){main{padding:16px 12px 32px}h1{font-size:1.4rem}header dl{gap:8px 24px}
svg.wide{display:none}svg.narrow{display:block;max-width:480px}svg text{font-size:12px}svg .words,svg .head{font-size:10.5px}
.cause dl div{display:block}.matrix tr,.matrix th{display:block}.matrix th{width:auto;border:0;padding-bottom:0}.matrix td{border:0}
.matrix tr{border-top:1px solid var(--line)}
#rows thead{display:none}#rows tr{display:block;border:1px solid var(--line);border-radius:8px;margin:0 0 8px;overflow:hidden}
#rows tr[hidden]{display:none}
#rows td{display:flex;gap:8px;border:0;padding:2px 10px}#rows td::before{flex:0 0 5.5rem;color:var(--soft)}
#rows td:nth-child(1)::before{content:"Verdict"}#rows td:nth-child(2)::before{content:"Cluster"}#rows td:nth-child(3)::before{content:"DNS server"}
#rows td:nth-child(4)::before{content:"Name"}#rows td:nth-child(5)::before{content:"Type"}#rows td:nth-child(6)::before{content:"Answer"}
#rows td:nth-child(7)::before{content:"Expected"}#rows td:nth-child(8)::before{content:"HTTP"}#rows tr.ok td:nth-child(7){display:none}}
@media print{:root{--bg:#fff;--text:#000;--soft:#444;--line:#bbb;--card:#fff;--ok:#1a7f37;--bad:#b42318;--badbg:#fff;--unknown:#7d5600;
--unknownbg:#fff}
main{max-width:none;padding:0}body{font-size:10pt}#filter,#filter[hidden]{display:none}.cause,.pod,svg,tr{break-inside:avoid}h2{break-after:avoid}
#rows{font-size:7.5pt}#rows th,#rows td:nth-child(5){white-space:nowrap}#rows thead th{position:static}}
"""

_SCRIPT = """
const words=document.getElementById('words'),unlike=document.getElementById('unlike'),rows=[...document.querySelectorAll('#rows tbody tr')];
function filter(){const asked=words.value.toLowerCase().split(/\\s+/);let shown=0;
for(const row of rows){const has=row.textContent.toLowerCase();
row.hidden=!asked.every(word=>has.includes(word))||unlike.checked&&row.className=='ok';shown+=!row.hidden}
document.getElementById('number').textContent=shown+' of '+rows.length}
if(words){words.oninput=unlike.onchange=filter;document.getElementById('filter').hidden=false;filter()}
addEventListener('beforeprint',()=>document.querySelectorAll('details').forEach(one=>one.open=true));
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# Nothing is loaded, and nothing runs but what stands above.
_POLICY = f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; base-uri 'none'; form-action 'none'"
