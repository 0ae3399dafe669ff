package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/council/internal/store"
)

type memory struct {
	agents []store.Agent
	err    error
}

func (m *memory) Ping(context.Context) error                  { return m.err }
func (m *memory) List(context.Context) ([]store.Agent, error) { return m.agents, m.err }
func (m *memory) Count(context.Context, string)               {}
func (m *memory) Add(_ context.Context, name, role string) (store.Agent, error) {
	agent := store.Agent{ID: int64(len(m.agents) + 1), Name: name, Role: role}
	m.agents = append(m.agents, agent)
	return agent, m.err
}

func call(t *testing.T, handler http.Handler, method, path, body, token string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

func TestHealthIsOKWhateverItDependsOn(t *testing.T) {
	down := &memory{err: errors.New("down")}
	recorder := call(t, New(Options{Version: "v1", Agents: &memory{}, Counters: down}), "GET", "/api/v1/health", "", "")
	var health map[string]any
	if err := json.Unmarshal(recorder.Body.Bytes(), &health); err != nil {
		t.Fatal(err)
	}
	if recorder.Code != 200 || health["postgres"] != "up" || health["redis"] != "down" || health["version"] != "v1" {
		t.Errorf("%d %v", recorder.Code, health)
	}
}

func TestAgents(t *testing.T) {
	register := &memory{}
	handler := New(Options{Agents: register, Counters: register, Token: "key"})
	if code := call(t, handler, "POST", "/api/v1/agents", `{"name":"a","role":"b"}`, "").Code; code != 401 {
		t.Errorf("without a key: %d", code)
	}
	if code := call(t, handler, "POST", "/api/v1/agents", `{"name":""}`, "key").Code; code != 400 {
		t.Errorf("without a name: %d", code)
	}
	if code := call(t, handler, "POST", "/api/v1/agents", `{"name":"a","role":"b"}`, "key").Code; code != 201 {
		t.Errorf("with all: %d", code)
	}
	if body := call(t, handler, "GET", "/api/v1/agents", "", "").Body.String(); !strings.Contains(body, `"name":"a"`) {
		t.Errorf("not listed: %s", body)
	}
	register.err = store.ErrUnavailable
	if code := call(t, handler, "GET", "/api/v1/agents", "", "").Code; code != 503 {
		t.Errorf("without a database: %d", code)
	}
}
