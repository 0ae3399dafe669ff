// Package api is the HTTP face of the service.
package api

import (
	"context"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"example.com/council/internal/store"
)

//go:embed assets/index.html
var indexPage []byte

// Register is what the API needs of the store of agents.
type Register interface {
	Ping(context.Context) error
	List(context.Context) ([]store.Agent, error)
	Add(ctx context.Context, name, role string) (store.Agent, error)
}

// Counters is what the API needs of the cache.
type Counters interface {
	Ping(context.Context) error
	Count(ctx context.Context, name string)
}

// Options are what the API works with.
type Options struct {
	Version, Commit string
	Agents          Register
	Counters        Counters
	Token           string
}

// New returns the handler of all routes.
func New(options Options) http.Handler {
	router := chi.NewRouter()
	router.Use(middleware.RequestID, middleware.Recoverer)
	router.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(indexPage)
	})
	router.Route("/api/v1", func(router chi.Router) {
		router.Get("/health", options.health)
		router.Get("/agents", options.listAgents)
		router.With(options.authorize).Post("/agents", options.addAgent)
	})
	return router
}

// authorize lets writers in that know the key, if there is one.
func (o Options) authorize(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("Authorization")
		if o.Token != "" && subtle.ConstantTimeCompare([]byte(given), []byte("Bearer "+o.Token)) != 1 {
			fail(w, http.StatusUnauthorized, "a valid API key is needed")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		slog.Warn("the answer was not sent", "error", err)
	}
}

func fail(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"error": message})
}
