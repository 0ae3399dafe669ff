// Package health asks several dependencies at once how they are.
package health

import (
	"context"
	"sync"
)

// Up and Down are the two things that can be said of a dependency.
const (
	Up   = "up"
	Down = "down"
)

// Check asks one dependency.
type Check func(context.Context) error

// Ask runs all checks side by side and says Up or Down of each.
func Ask(ctx context.Context, checks map[string]Check) map[string]string {
	var (
		wait    sync.WaitGroup
		mutex   sync.Mutex
		answers = make(map[string]string, len(checks))
	)
	for name, check := range checks {
		wait.Add(1)
		go func() {
			defer wait.Done()
			state := Up
			if check(ctx) != nil {
				state = Down
			}
			mutex.Lock()
			defer mutex.Unlock()
			answers[name] = state
		}()
	}
	wait.Wait()
	return answers
}
