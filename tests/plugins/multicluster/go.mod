// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026, clusterset.dns contributors

module dns.clusterset.test/multicluster

go 1.24

require (
	github.com/coredns/caddy v1.1.1
	github.com/coredns/coredns v1.12.2
	github.com/miekg/dns v1.1.64
)
