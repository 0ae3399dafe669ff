package api

import (
	"net/http"
	"os"
	"runtime"
	"time"

	"example.com/council/pkg/health"
)

var started = time.Now()

// health answers 200 as long as the process can serve; what it depends on is reported, not required.
func (o Options) health(w http.ResponseWriter, r *http.Request) {
	dependencies := health.Ask(r.Context(), map[string]health.Check{
		"postgres": o.Agents.Ping,
		"redis":    o.Counters.Ping,
	})
	answer(w, http.StatusOK, map[string]any{
		"status":         "ok",
		"version":        o.Version,
		"commit":         o.Commit,
		"go":             runtime.Version(),
		"uid":            os.Getuid(),
		"uptime_seconds": int(time.Since(started).Seconds()),
		"postgres":       dependencies["postgres"],
		"redis":          dependencies["redis"],
	})
}
