// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026, clusterset.dns contributors

// Prober asks a DNS server at a steady rate, each question from a socket of its own as a client that just started would, until it is
// told to stop (SIGTERM), and then prints what came of it as one JSON object. A question is lost when no right answer came in time; it is
// not asked again.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
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

func main() {
	server := flag.String("server", "", "address and port of the DNS server")
	name := flag.String("name", "kubernetes.default.svc.cluster.local.", "the name to ask for")
	rate := flag.Int("rate", 50, "questions a second")
	timeout := flag.Duration("timeout", 2*time.Second, "how long an answer may take")
	limit := flag.Duration("limit", 10*time.Minute, "when to stop unasked")
	flag.Parse()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	end := time.After(*limit)
	ticks := time.NewTicker(time.Second / time.Duration(*rate))
	client := &dns.Client{Timeout: *timeout}
	started := time.Now()
	result := report{Losses: []loss{}}
	var mutex sync.Mutex
	var asking sync.WaitGroup
	fmt.Println("asking")
loop:
	for {
		select {
		case <-stop:
			break loop
		case <-end:
			break loop
		case at := <-ticks.C:
			asking.Add(1)
			go func() {
				defer asking.Done()
				question := new(dns.Msg).SetQuestion(*name, dns.TypeA)
				err := ask(client, *server, question)
				mutex.Lock()
				defer mutex.Unlock()
				result.Asked++
				if err != nil {
					result.Lost++
					if len(result.Losses) < 200 {
						result.Losses = append(result.Losses, loss{at.UTC().Format("15:04:05.000"), err.Error()})
					}
				}
			}()
		}
	}
	asking.Wait()
	result.Seconds = time.Since(started).Seconds()
	json.NewEncoder(os.Stdout).Encode(result)
}
