// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026, clusterset.dns contributors

// Command serve answers HTTP on port 8080 with the cluster (CLUSTER) and the pod that it runs in.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	pod, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "hello from %s %s\n", os.Getenv("CLUSTER"), pod)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
