# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import metrics as _metrics


def test_the_state_of_a_corefile_by_metrics_and_log():
    metrics = (
        "HTTP/1.0 200 OK\r\n\r\n# HELP coredns_reload_failed_total Counter.\n"
        "coredns_reload_failed_total 2\n"
        'coredns_reload_version_info{hash="sha512",value="abc"} 1\n'
    )
    assert _metrics.reload_state(metrics) == {"hash": "abc", "failed": 2}
    assert _metrics.reload_state("") == {"hash": "", "failed": 0}
    log = "[INFO] plugin/reload: Running configuration SHA512 = old\nx\n[INFO] plugin/reload: Running configuration SHA512 = new\n"
    assert _metrics.running_hash(log) == "new"
    assert _metrics.running_hash("[INFO] nothing") == ""
    assert _metrics.refused_in("[ERROR] plugin/reload: Corefile changed but reload failed: no such plugin\n[INFO] nothing\n") == 1


def test_how_often_a_pod_was_asked_over_udp():
    metrics = (
        "# TYPE coredns_dns_requests_total counter\n"
        'coredns_dns_requests_total{family="1",proto="udp",server="dns://:53",type="A",view="",zone="."} 1.5e+06\n'
        'coredns_dns_requests_total{family="1",proto="udp",server="dns://:53",type="A",view="",zone="clusterset.local."} 7\n'
        'coredns_dns_requests_total{family="1",proto="tcp",server="dns://:53",type="A",view="",zone="."} 3\n'
        'coredns_dns_request_size_bytes_count{proto="udp",server="dns://:53",zone="."} 11\n'
    )
    assert _metrics.asked(metrics) == 1_500_007
    assert _metrics.asked("") is None
