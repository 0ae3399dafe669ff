package config

import (
	"testing"
	"time"
)

func lookup(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func TestDefaults(t *testing.T) {
	cfg, err := Load(lookup(nil))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Port != "8080" || cfg.ShutdownTimeout != 10*time.Second {
		t.Errorf("unexpected defaults: %+v", cfg)
	}
}

func TestValuesWinAndNonsenseIsRefused(t *testing.T) {
	cfg, err := Load(lookup(map[string]string{"PORT": "9000", "LOG_LEVEL": "debug"}))
	if err != nil || cfg.Port != "9000" {
		t.Fatalf("%+v, %v", cfg, err)
	}
	for name, value := range map[string]string{"PORT": "http", "LOG_LEVEL": "loud", "SHUTDOWN_TIMEOUT": "soon"} {
		if _, err := Load(lookup(map[string]string{name: value})); err == nil {
			t.Errorf("%s=%s was accepted", name, value)
		}
	}
}
