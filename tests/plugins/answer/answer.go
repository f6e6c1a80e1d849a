// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026, clusterset.dns contributors

// Package answer is an external plugin for the tests: it answers every A query in the server block's zones with one address.
package answer

import (
	"context"
	"net"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
)

const name = "answer"

// Answer is the handler; what it does not know goes on to Next.
type Answer struct {
	Next    plugin.Handler
	Address net.IP
}

func init() { plugin.Register(name, setup) }

func setup(c *caddy.Controller) error {
	c.Next()
	arguments := c.RemainingArgs()
	if len(arguments) != 1 {
		return plugin.Error(name, c.ArgErr())
	}
	address := net.ParseIP(arguments[0]).To4()
	if address == nil {
		return plugin.Error(name, c.Errf("%q is no IPv4 address", arguments[0]))
	}
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		return Answer{Next: next, Address: address}
	})
	return nil
}

// Name is the word in the Corefile.
func (a Answer) Name() string { return name }

// ServeDNS answers A queries.
func (a Answer) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	question := r.Question[0]
	if question.Qtype != dns.TypeA {
		return plugin.NextOrFailure(name, a.Next, ctx, w, r)
	}
	reply := new(dns.Msg).SetReply(r)
	reply.Authoritative = true
	header := dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}
	reply.Answer = []dns.RR{&dns.A{Hdr: header, A: a.Address}}
	return dns.RcodeSuccess, w.WriteMsg(reply)
}
