// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026, clusterset.dns contributors

// Command oracle says how CoreDNS reads Corefiles, for tests that compare our reading with it.
//
// It takes one JSON object per line, {"text": …, "files": {path: text}, "env": {name: value}}, and answers with one line each:
// the tokens of the lexer, and the server blocks of the parser with the SHA-512 that the plugin reload makes of them
// (plugin/reload/reload.go of github.com/coredns/coredns), or the parser's error.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/coredns/caddy/caddyfile"
)

type question struct {
	Text  string            `json:"text"`
	Files map[string]string `json:"files"`
	Env   map[string]string `json:"env"`
}

type answer struct {
	Tokens []token                 `json:"tokens"`
	Blocks []caddyfile.ServerBlock `json:"blocks"`
	Hash   string                  `json:"hash"`
	Error  string                  `json:"error"`
}

type token struct {
	Line int    `json:"line"`
	Text string `json:"text"`
}

func main() {
	directory, err := os.MkdirTemp("", "oracle-")
	if err != nil {
		fail(err)
	}
	log.SetOutput(io.Discard) // a wildcard that matches nothing is a warning of the parser's
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<28)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			fail(err)
		}
		a, err := ask(directory, q)
		if err != nil {
			fail(err)
		}
		if err := encoder.Encode(a); err != nil {
			fail(err)
		}
		out.Flush()
	}
	os.RemoveAll(directory)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func ask(directory string, q question) (answer, error) {
	var a answer
	dispenser := caddyfile.NewDispenser("Corefile", bytes.NewReader([]byte(q.Text)))
	for dispenser.Next() {
		a.Tokens = append(a.Tokens, token{dispenser.Line(), dispenser.Val()})
	}

	// A directory of its own for each question that has files, so that nothing is found there but those.
	if len(q.Files) > 0 {
		var err error
		if directory, err = os.MkdirTemp(directory, ""); err != nil {
			return a, err
		}
		defer os.RemoveAll(directory)
	}
	for name, body := range q.Files {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return a, err
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			return a, err
		}
	}
	os.Clearenv()
	for name, value := range q.Env {
		os.Setenv(name, value)
	}
	parse(&a, filepath.Join(directory, "Corefile"), directory, q.Text)
	return a, nil
}

func parse(a *answer, path, directory, text string) {
	defer func() {
		if cause := recover(); cause != nil {
			a.Error = fmt.Sprint("panic: ", cause)
		}
	}()
	blocks, err := caddyfile.Parse(path, bytes.NewReader([]byte(text)), nil)
	if err != nil {
		a.Error = err.Error()
		return
	}
	a.Blocks = blocks
	serialized, err := json.Marshal(blocks)
	if err != nil {
		a.Error = err.Error()
		return
	}
	// What is imported carries its path, and so does the hash: it is made as if the files lay where CoreDNS has them.
	serialized = bytes.ReplaceAll(serialized, []byte(directory), []byte("/etc/coredns"))
	sum := sha512.Sum512(serialized)
	a.Hash = hex.EncodeToString(sum[:])
}
