// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026, clusterset.dns contributors

module clusterset.dns/oracle

go 1.23

require github.com/coredns/caddy v1.1.4
