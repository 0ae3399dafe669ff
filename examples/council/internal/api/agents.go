package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"example.com/council/internal/store"
)

func (o Options) listAgents(w http.ResponseWriter, r *http.Request) {
	o.Counters.Count(r.Context(), "list")
	agents, err := o.Agents.List(r.Context())
	if err != nil {
		failFor(w, err)
		return
	}
	answer(w, http.StatusOK, agents)
}

func (o Options) addAgent(w http.ResponseWriter, r *http.Request) {
	var request struct{ Name, Role string }
	body := http.MaxBytesReader(w, r.Body, 1<<16)
	if err := json.NewDecoder(body).Decode(&request); err != nil {
		fail(w, http.StatusBadRequest, "the body is not JSON: "+err.Error())
		return
	}
	request.Name = strings.TrimSpace(request.Name)
	if request.Name == "" || request.Role == "" {
		fail(w, http.StatusBadRequest, "an agent has a name and a role")
		return
	}
	agent, err := o.Agents.Add(r.Context(), request.Name, request.Role)
	if err != nil {
		failFor(w, err)
		return
	}
	o.Counters.Count(r.Context(), "add")
	answer(w, http.StatusCreated, agent)
}

func failFor(w http.ResponseWriter, err error) {
	if errors.Is(err, store.ErrUnavailable) {
		fail(w, http.StatusServiceUnavailable, store.ErrUnavailable.Error())
		return
	}
	fail(w, http.StatusInternalServerError, "the register could not be read or written")
}
