// A registry with the referrers API (go-containerregistry's, in memory), for tests of pushes: `registry-with-referrers
// ADDRESS`. It writes a line for each request.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	handler := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(os.Stderr, "", 0)))
	log.Fatal(http.ListenAndServe(os.Args[1], handler))
}
