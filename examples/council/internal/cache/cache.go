// Package cache counts requests in Redis, as long as there is one.
package cache

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Counters are kept in Redis.
type Counters struct{ client *redis.Client }

// Open prepares a client; it does not need the server to be up yet.
func Open(url string) (*Counters, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	options.DialTimeout = time.Second
	options.MaxRetries = -1
	return &Counters{client: redis.NewClient(options)}, nil
}

// Close ends all connections.
func (c *Counters) Close() error { return c.client.Close() }

// Ping says whether Redis answers.
func (c *Counters) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return c.client.Ping(ctx).Err()
}

// Count adds one to a counter. A Redis that is down costs the count and nothing else.
func (c *Counters) Count(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	c.client.Incr(ctx, "council:"+name)
}
