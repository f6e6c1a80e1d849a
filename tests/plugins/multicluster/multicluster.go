// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026, clusterset.dns contributors

// Package multicluster is an external plugin for the tests, under the name and with the arguments of github.com/coredns/multicluster. It knows
// one service in each zone, serve.default, and looks at no cluster.
package multicluster

import (
	"context"
	"net"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

const name = "multicluster"

// Address is what serve.default.svc.ZONE is answered with.
var Address = net.IPv4(192, 0, 2, 53)

// Multicluster is the handler; names outside its zones go on to Next.
type Multicluster struct {
	Next  plugin.Handler
	Zones []string
}

func init() { plugin.Register(name, setup) }

func setup(c *caddy.Controller) error {
	c.Next()
	zones := plugin.OriginsFromArgsOrServerBlock(c.RemainingArgs(), c.ServerBlockKeys)
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		return Multicluster{Next: next, Zones: zones}
	})
	return nil
}

// Name is the word in the Corefile.
func (m Multicluster) Name() string { return name }

// ServeDNS answers every question in the zones.
func (m Multicluster) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	state := request.Request{W: w, Req: r}
	zone := plugin.Zones(m.Zones).Matches(state.Name())
	if zone == "" {
		return plugin.NextOrFailure(name, m.Next, ctx, w, r)
	}
	reply := new(dns.Msg).SetReply(r)
	reply.Authoritative = true
	header := dns.RR_Header{Name: state.QName(), Rrtype: state.QType(), Class: dns.ClassINET, Ttl: 5}
	switch known := state.Name(); {
	case known == "dns-version."+zone && state.QType() == dns.TypeTXT:
		reply.Answer = []dns.RR{&dns.TXT{Hdr: header, Txt: []string{"1.1.0"}}}
	case known == "serve.default.svc."+zone && state.QType() == dns.TypeA:
		reply.Answer = []dns.RR{&dns.A{Hdr: header, A: Address}}
	case known != "dns-version."+zone && known != "serve.default.svc."+zone:
		reply.Rcode = dns.RcodeNameError
		fallthrough
	default:
		origin := dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 5}
		reply.Ns = []dns.RR{&dns.SOA{Hdr: origin, Ns: "ns.dns." + zone, Mbox: "hostmaster." + zone, Serial: 1, Minttl: 5}}
	}
	return dns.RcodeSuccess, w.WriteMsg(reply)
}
