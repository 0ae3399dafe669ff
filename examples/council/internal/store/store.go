// Package store keeps agents in PostgreSQL, and says so when there is none.
package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrUnavailable means that PostgreSQL does not answer.
var ErrUnavailable = errors.New("the database is not available")

// Agent is one entry of the register.
type Agent struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
}

// Agents is the register.
type Agents struct {
	pool  *pgxpool.Pool
	mutex sync.Mutex
	ready bool
}

// Open prepares a pool of connections; it does not need the server to be up yet.
func Open(ctx context.Context, url string) (*Agents, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.ConnectTimeout = 2 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &Agents{pool: pool}, nil
}

// Close ends all connections.
func (a *Agents) Close() { a.pool.Close() }

// Ping says whether PostgreSQL answers, and makes the table when it does for the first time.
func (a *Agents) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.ready {
		return a.pool.Ping(ctx)
	}
	_, err := a.pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS agents (
		id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		name    text NOT NULL UNIQUE,
		role    text NOT NULL,
		created timestamptz NOT NULL DEFAULT now()
	)`)
	a.ready = err == nil
	return err
}

// List returns all agents, oldest first.
func (a *Agents) List(ctx context.Context) ([]Agent, error) {
	if err := a.Ping(ctx); err != nil {
		return nil, errors.Join(ErrUnavailable, err)
	}
	rows, err := a.pool.Query(ctx, `SELECT id, name, role, created FROM agents ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	agents := []Agent{}
	for rows.Next() {
		var agent Agent
		if err := rows.Scan(&agent.ID, &agent.Name, &agent.Role, &agent.Created); err != nil {
			return nil, err
		}
		agents = append(agents, agent)
	}
	return agents, rows.Err()
}

// Add stores one agent.
func (a *Agents) Add(ctx context.Context, name, role string) (Agent, error) {
	if err := a.Ping(ctx); err != nil {
		return Agent{}, errors.Join(ErrUnavailable, err)
	}
	agent := Agent{Name: name, Role: role}
	row := a.pool.QueryRow(ctx, `INSERT INTO agents (name, role) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET role = excluded.role RETURNING id, created`, name, role)
	err := row.Scan(&agent.ID, &agent.Created)
	return agent, err
}
