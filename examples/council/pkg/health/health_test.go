package health

import (
	"context"
	"errors"
	"testing"
)

func TestAsk(t *testing.T) {
	answers := Ask(context.Background(), map[string]Check{
		"good": func(context.Context) error { return nil },
		"bad":  func(context.Context) error { return errors.New("no") },
	})
	if answers["good"] != Up || answers["bad"] != Down {
		t.Errorf("unexpected answers: %v", answers)
	}
}
