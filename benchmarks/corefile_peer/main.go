// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026, clusterset.dns contributors

// Command corefile-peer prints how many seconds of processor time corefile-migration takes to parse the Corefile that is its argument and print it.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/coredns/corefile-migration/migration/corefile"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		started := processorTime()
		var parsed *corefile.Corefile
		if parsed, err = corefile.New(string(text)); err == nil && parsed.ToString() != "" {
			fmt.Println((processorTime() - started).Seconds())
			return
		}
	}
	fmt.Fprintln(os.Stderr, "not parsed:", err)
	os.Exit(1)
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
