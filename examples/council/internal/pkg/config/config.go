// Package config reads the service's settings from its environment.
package config

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// Config is everything that an operator can set.
type Config struct {
	Port            string        // PORT
	DatabaseURL     string        // DATABASE_URL
	RedisURL        string        // REDIS_URL
	APIKey          string        // API_KEY; empty: writing needs no key
	LogLevel        slog.Level    // LOG_LEVEL: debug, info, warn, error
	RequestTimeout  time.Duration // REQUEST_TIMEOUT
	ShutdownTimeout time.Duration // SHUTDOWN_TIMEOUT
}

// Load reads the settings that lookup knows; the others have defaults.
func Load(lookup func(string) (string, bool)) (Config, error) {
	get := func(name, fallback string) string {
		if value, ok := lookup(name); ok && value != "" {
			return value
		}
		return fallback
	}
	cfg := Config{
		Port:        get("PORT", "8080"),
		DatabaseURL: get("DATABASE_URL", "postgres://council:council@127.0.0.1:5432/council?sslmode=disable"),
		RedisURL:    get("REDIS_URL", "redis://127.0.0.1:6379/0"),
		APIKey:      get("API_KEY", ""),
	}
	if port, err := strconv.Atoi(cfg.Port); err != nil || port < 0 || port > 65535 {
		return Config{}, fmt.Errorf("PORT: %q is not a port", cfg.Port)
	}
	if err := cfg.LogLevel.UnmarshalText([]byte(get("LOG_LEVEL", "info"))); err != nil {
		return Config{}, fmt.Errorf("LOG_LEVEL: %w", err)
	}
	for _, field := range []struct {
		name, fallback string
		target         *time.Duration
	}{
		{"REQUEST_TIMEOUT", "10s", &cfg.RequestTimeout},
		{"SHUTDOWN_TIMEOUT", "10s", &cfg.ShutdownTimeout},
	} {
		duration, err := time.ParseDuration(get(field.name, field.fallback))
		if err != nil {
			return Config{}, fmt.Errorf("%s: %w", field.name, err)
		}
		*field.target = duration
	}
	return cfg, nil
}
