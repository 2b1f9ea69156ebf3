package lifecycle

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	bodyMax = 4 << 20
	turnMax = 20 * time.Millisecond // the answer to a PUT waits for what becomes of it
)

// word is what is told of one assignment of a partition.
type word struct {
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	Assignment int64  `json:"assignment"`
	State      string `json:"state"`
	Epoch      uint64 `json:"epoch"`
	From       int64  `json:"from"`
	Metadata   string `json:"metadata"`
}

// desired is what a PUT brings.
type desired struct {
	Instance      string `json:"instance"`
	Agent         string `json:"agent"`
	Revision      uint64 `json:"revision"`
	Term          uint64 `json:"term"`
	Epoch         uint64 `json:"epoch"`
	CommitEveryMs int64  `json:"commit_every_ms"`
	FenceMs       int64  `json:"fence_ms"`
	Leave         bool   `json:"leave"`
	Partitions    []word `json:"partitions"`

	told map[key]*word
}

// understand reads the body of a PUT. All that stands in the structs is wanted; what else stands there is ignored.
func understand(body []byte) (*desired, error) {
	d := &desired{told: map[key]*word{}}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	for _, name := range []string{"instance", "agent", "revision", "term", "epoch", "commit_every_ms", "fence_ms", "leave", "partitions"} {
		if text := string(members[name]); text == "" || text == "null" {
			return nil, fmt.Errorf("%s is missing", name)
		}
	}
	if err := json.Unmarshal(body, d); err != nil {
		return nil, err
	}
	for i := range d.Partitions {
		w := &d.Partitions[i]
		if w.Topic == "" || w.Assignment < 1 || w.State != "hold" && w.State != "ready" && w.State != "run" ||
			w.State != "hold" && w.Metadata == "" || w.From < 0 {
			return nil, fmt.Errorf("partitions[%d] is not understood", i)
		}
		d.told[key{w.Topic, w.Partition, w.Assignment}] = w
	}
	return d, nil
}

// awaitTurn waits, but not long, until the loop has acted on this revision.
func (c *Consumer) awaitTurn(revision uint64) {
	late := time.After(turnMax)
	for {
		c.mu.Lock()
		acted, turned := c.revision >= revision, c.turned
		c.mu.Unlock()
		if acted {
			return
		}
		select {
		case <-turned:
		case <-late:
			return
		}
	}
}

// note notes it (rule 1), or says why it is refused.
func (c *Consumer) note(d *desired) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.Instance != c.instance {
		return "this is instance " + c.instance
	}
	if old := c.desired; old != nil {
		if d.Revision < old.Revision || d.Revision == old.Revision && d.Agent != old.Agent {
			return fmt.Sprintf("revision %d of agent %s was accepted before", old.Revision, old.Agent)
		}
		if d.Term < old.Term || d.Term == old.Term && d.Epoch < old.Epoch {
			return fmt.Sprintf("term %d, epoch %d was accepted before", old.Term, old.Epoch)
		}
	}
	c.desired = d
	c.wake()
	return ""
}

type object map[string]any

func orNull(offset int64) any {
	if offset == none {
		return nil
	}
	return offset
}

func (c *Consumer) show() object {
	memberID := ""
	c.mu.Lock()
	defer c.mu.Unlock()
	now, partitions := time.Now(), []object{}
	for _, p := range c.partitions {
		var ago any
		if !p.committedAt.IsZero() {
			ago = now.Sub(p.committedAt).Milliseconds()
		}
		partitions = append(partitions, object{"topic": p.topic, "partition": p.number, "assignment": p.assignment, "assigned": p.assigned,
			"state": p.state(), "epoch": p.epoch, "first": orNull(p.first), "position": orNull(p.position), "committed": orNull(p.committed),
			"committed_ago_ms": ago, "in_flight": len(p.inFlight)})
	}
	var told any
	if d := c.desired; d != nil {
		told = object{"agent": d.Agent, "revision": d.Revision, "term": d.Term, "epoch": d.Epoch}
	}
	if !c.left && c.group != nil {
		memberID, _ = c.group.GroupMetadata()
	}
	return object{"lifecycle": 1, "instance": c.instance, "group": c.config.Group, "member_id": memberID, "client_id": c.clientID,
		"assignor": "cooperative-sticky", "joined": c.joined, "left": c.left, "done": c.done, "desired": told,
		"observed": object{"revision": c.revision, "partitions": partitions}}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func (c *Consumer) serveDocument(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		answer(w, http.StatusOK, c.show())
		return
	}
	if r.Method != http.MethodPut {
		answer(w, http.StatusMethodNotAllowed, object{"error": "there are GET and PUT"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, object{"error": "it could not be read: " + err.Error()})
		return
	}
	d, err := understand(body)
	if err != nil {
		answer(w, http.StatusBadRequest, object{"error": "no desired state: " + err.Error()})
		return
	}
	if why := c.note(d); why != "" {
		answer(w, http.StatusConflict, object{"error": why})
		return
	}
	c.awaitTurn(d.Revision)
	answer(w, http.StatusOK, c.show())
}

func serve(c *Consumer) (*http.Server, error) {
	listener, err := net.Listen("tcp", c.config.Address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, object{"error": "there is " + c.config.Path})
	})
	mux.HandleFunc(c.config.Path, func(w http.ResponseWriter, r *http.Request) {
		if c.config.Token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+c.config.Token)) != 1 {
			answer(w, http.StatusUnauthorized, object{"error": "a token is wanted"})
			return
		}
		c.serveDocument(w, r)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second}
	go server.Serve(listener)
	return server, nil
}
