// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026, clusterset.dns contributors

// Prober asks DNS servers at a steady rate, each question from a socket of its own as a client that just started would, until it is
// told to stop (SIGTERM), and then prints what came of it as one JSON object, by server. A question is lost when no right answer came in time; it is
// not asked again. It says "asking" and begins to count once every server has answered: kube-proxy may hear of a new Service's pods later than
// whoever made it.
//
// From one address, a fresh socket is no fresh flow for long: an address has 28,232 ephemeral ports, and conntrack remembers each for 30 seconds
// (net.netfilter.nf_conntrack_udp_timeout), with the pod that it led to. With -sources, questions come from many addresses in turn, as those of
// many pods do.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

type loss struct {
	At    string `json:"at"`
	Cause string `json:"cause"`
}

type report struct {
	Asked   int     `json:"asked"`
	Lost    int     `json:"lost"`
	Seconds float64 `json:"seconds"`
	Losses  []loss  `json:"losses"`
}

func ask(client *dns.Client, server string, question *dns.Msg) error {
	answer, _, err := client.Exchange(question, server)
	if err != nil {
		return err
	}
	if answer.Rcode != dns.RcodeSuccess || len(answer.Answer) == 0 {
		return fmt.Errorf("%s with %d records", dns.RcodeToString[answer.Rcode], len(answer.Answer))
	}
	return nil
}

// awaited waits until a server has answered, in vain after 30 seconds.
func awaited(server, name string, timeout time.Duration) {
	client := &dns.Client{Timeout: timeout}
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if ask(client, server, new(dns.Msg).SetQuestion(name, dns.TypeA)) == nil {
			return
		}
	}
}

// turns gives the addresses of a network one after the other, for ever, without the first, which is the network's own. Of no network it gives
// none, which leaves the choice to the kernel.
func turns(network netip.Prefix) func() net.Addr {
	if !network.IsValid() {
		return func() net.Addr { return nil }
	}
	address := network.Addr()
	return func() net.Addr {
		address = address.Next()
		if !network.Contains(address) {
			address = network.Addr().Next()
		}
		return &net.UDPAddr{IP: address.AsSlice()}
	}
}

// probe asks one server until stop is closed.
func probe(server, name string, rate int, timeout time.Duration, sources netip.Prefix, stop <-chan struct{}) *report {
	ticks := time.NewTicker(time.Second / time.Duration(rate))
	source := turns(sources)
	started := time.Now()
	result := &report{Losses: []loss{}}
	var mutex sync.Mutex
	var asking sync.WaitGroup
	for {
		select {
		case <-stop:
			asking.Wait()
			result.Seconds = time.Since(started).Seconds()
			return result
		case at := <-ticks.C:
			client := &dns.Client{Timeout: timeout, Dialer: &net.Dialer{Timeout: timeout, LocalAddr: source()}}
			asking.Add(1)
			go func() {
				defer asking.Done()
				err := ask(client, server, new(dns.Msg).SetQuestion(name, dns.TypeA))
				mutex.Lock()
				defer mutex.Unlock()
				result.Asked++
				if err != nil {
					result.Lost++
					if len(result.Losses) < 50 {
						result.Losses = append(result.Losses, loss{at.UTC().Format("15:04:05.000"), err.Error()})
					}
				}
			}()
		}
	}
}

func main() {
	name := flag.String("name", "kubernetes.default.svc.cluster.local.", "the name to ask for")
	timeout := flag.Duration("timeout", 2*time.Second, "how long an answer may take")
	network := flag.String("sources", "", "a network, all of it local, of which each question comes from another address, such as 198.18.0.0/22")
	limit := flag.Duration("limit", 20*time.Minute, "when to stop unasked")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "prober [flags] ADDRESS:PORT=QUESTIONS_A_SECOND ...")
		flag.PrintDefaults()
	}
	flag.Parse()
	var sources netip.Prefix
	if *network != "" {
		parsed, err := netip.ParsePrefix(*network)
		if err != nil || parsed.IsSingleIP() {
			fmt.Fprintf(os.Stderr, "%q is no network, such as 198.18.0.0/22\n", *network)
			os.Exit(2)
		}
		sources = parsed.Masked()
	}

	rates := map[string]int{}
	var waits sync.WaitGroup
	for _, word := range flag.Args() {
		server, digits, _ := strings.Cut(word, "=")
		rate, err := strconv.Atoi(digits)
		if err != nil || rate < 1 {
			fmt.Fprintf(os.Stderr, "%q is not ADDRESS:PORT=QUESTIONS_A_SECOND\n", word)
			os.Exit(2)
		}
		rates[server] = rate
		waits.Add(1)
		go func() {
			defer waits.Done()
			awaited(server, *name, *timeout)
		}()
	}
	waits.Wait()

	results := map[string]*report{}
	stop := make(chan struct{})
	var mutex sync.Mutex
	var probes sync.WaitGroup
	for server, rate := range rates {
		probes.Add(1)
		go func() {
			defer probes.Done()
			result := probe(server, *name, rate, *timeout, sources, stop)
			mutex.Lock()
			defer mutex.Unlock()
			results[server] = result
		}()
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	fmt.Println("asking")
	select {
	case <-signals:
	case <-time.After(*limit):
	}
	close(stop)
	probes.Wait()
	json.NewEncoder(os.Stdout).Encode(results)
}
