// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026, clusterset.dns contributors

// Command runc-nocap takes out of an OCI spec what a host without CAP_SYS_RESOURCE cannot grant, then runs the real runc.
//
// Without it 'docker run --privileged' fails there with "unable to apply caps", and pods that ask for a negative OOM score or for more open
// files than the hard limit do not start.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const realRunc = "/usr/sbin/runc"

// option returns the value of a command line option, given as "--name value" or "--name=value".
func option(args []string, names ...string) string {
	for i, arg := range args {
		for _, name := range names {
			if arg == name && i+1 < len(args) {
				return args[i+1]
			}
			if value, found := strings.CutPrefix(arg, name+"="); found {
				return value
			}
		}
	}
	return ""
}

// relax changes the "process" part of a spec.
func relax(process map[string]any) {
	if capabilities, ok := process["capabilities"].(map[string]any); ok {
		for set, value := range capabilities {
			if list, ok := value.([]any); ok {
				capabilities[set] = slices.DeleteFunc(list, func(name any) bool { return name == "CAP_SYS_RESOURCE" })
			}
		}
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		rlimits, _ := process["rlimits"].([]any)
		for _, entry := range rlimits {
			rlimit, ok := entry.(map[string]any)
			if !ok || rlimit["type"] != "RLIMIT_NOFILE" {
				continue
			}
			for _, key := range []string{"hard", "soft"} {
				if value, ok := rlimit[key].(float64); ok && value > float64(limit.Max) {
					rlimit[key] = limit.Max
				}
			}
		}
	}
	if score, ok := process["oomScoreAdj"].(float64); ok && score < 0 {
		process["oomScoreAdj"] = 0
	}
}

// edit rewrites a file that holds a spec, or only its process part.
func edit(path string, processOnly bool) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var spec map[string]any
	if err := json.Unmarshal(data, &spec); err != nil {
		return err
	}
	if processOnly {
		relax(spec)
	} else if process, ok := spec["process"].(map[string]any); ok {
		relax(process)
	}
	if data, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func main() {
	args := os.Args[1:]
	var err error
	switch {
	case slices.Contains(args, "create"), slices.Contains(args, "run"):
		bundle := option(args, "--bundle", "-b")
		err = edit(filepath.Join(bundle, "config.json"), false)
	case slices.Contains(args, "exec"):
		if path := option(args, "--process", "-p"); path != "" {
			err = edit(path, true)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "runc-nocap:", err)
	}
	if err := syscall.Exec(realRunc, append([]string{"runc"}, args...), os.Environ()); err != nil {
		fmt.Fprintln(os.Stderr, "runc-nocap:", realRunc, err)
		os.Exit(1)
	}
}
