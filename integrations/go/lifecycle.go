// Package lifecycle: a franz-go consumer that `baton agent` can hold and release (docs/lifecycle.md).
//
//	consumer, err := lifecycle.New(lifecycle.Config{Group: "payments-blue", Topics: []string{"orders"}, Address: "127.0.0.1:8081"},
//		kgo.SeedBrokers("kafka:9092"))
//	for {
//		record, err := consumer.Next(ctx) // io.EOF once the agent has said `leave`, or after consumer.Close()
//		if err != nil {
//			break
//		}
//		work(record)
//		consumer.Done(record) // any goroutine, any order
//	}
//
// Beside it: baton agent payments --color blue --application http://127.0.0.1:8081 --bootstrap kafka:9092
//
// There are two clients. `group` is the member: it joins and commits, and fetches nothing (its topics are paused). `fetcher` belongs
// to no group and consumes just the partitions that run, from the very offset, so there is no pause to lose and nothing is fetched in
// vain. One goroutine, loop(), starts, polls and commits; Next() takes what it has fetched, through the gate in take(). The document is
// served by others, which only note what is told.
package lifecycle

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	none       = int64(-1) // no offset
	fetchedMax = 1000      // records that wait for Next()
	lookEvery  = 50 * time.Millisecond
	retryAfter = 100 * time.Millisecond // after a commit that Kafka did not accept
	revokeWait = 3 * time.Second        // for what is in flight of partitions that are taken away
	leaveWait  = 10 * time.Second
)

// Config of a consumer; the options of New are for both clients: brokers, TLS, SASL, client id, sizes.
type Config struct {
	Group   string
	Topics  []string
	Address string // where the document is served, "127.0.0.1:8081"
	Token   string // what the agent brings (--application-token-file), "" for none
	Path    string // of the document, "" for /baton/v1/lifecycle
	// More options of the member: kgo.SessionTimeout, kgo.InstanceID. The balancer is cooperative-sticky and stays so.
	GroupOptions []kgo.Opt
}

// partition is one assignment of one partition.
type partition struct {
	topic                                   string
	number                                  int32
	assignment                              int64
	assigned, attached, ready, ran, leaving bool // ran: since it was made ready; leaving: Kafka is taking it away
	turn                                    int  // counts the times it was attached: what was fetched in an earlier one is void
	epoch                                   uint64
	metadata                                string
	first, position, committed              int64
	committedAt, retryAt                    time.Time
	inFlight                                map[int64]bool // offsets
}

// low is the offset below which all is finished.
func (p *partition) low() int64 {
	low := p.position
	for offset := range p.inFlight {
		low = min(low, offset)
	}
	return low
}

func (p *partition) state() string {
	switch {
	case p.attached:
		return "running"
	case len(p.inFlight) > 0 || p.committed != p.position:
		return "draining"
	case p.ready:
		return "ready"
	}
	return "held"
}

type key struct {
	topic      string
	partition  int32
	assignment int64
}

type fetched struct {
	record *kgo.Record
	of     *partition
	turn   int
}

// Consumer is made by New.
type Consumer struct {
	config         Config
	clientID       string
	instance       string
	group, fetcher *kgo.Client
	server         *http.Server
	arrived        chan struct{} // there is something for Next(), or it is over
	over           chan struct{} // the loop has ended
	leaving        sync.Once
	commits        sync.Mutex // one at a time, and its result noted before the next: before mu, if both

	mu         sync.Mutex    // of everything below
	desired    *desired      // the newest PUT that was accepted, nil: none yet
	revision   uint64        // that was acted upon
	turned     chan struct{} // closed when it grows, and made anew
	partitions map[key]*partition
	running    map[key]*partition // by topic and partition alone
	inFlight   map[*kgo.Record]*partition
	fetched    []fetched
	assignment int64
	committing bool // by the loop
	joined     bool
	closing    bool
	left       bool
	failed     error
	done       uint64
	wake       context.CancelFunc // ends the loop's wait
}

// New joins the group and serves the document. Everything is held until the agent says otherwise.
func New(config Config, options ...kgo.Opt) (*Consumer, error) {
	random := make([]byte, 8)
	rand.Read(random)
	c := &Consumer{config: config, instance: hex.EncodeToString(random), arrived: make(chan struct{}, 1), over: make(chan struct{}),
		turned:     make(chan struct{}),
		partitions: map[key]*partition{}, running: map[key]*partition{}, inFlight: map[*kgo.Record]*partition{}, wake: func() {}}
	if c.config.Path == "" {
		c.config.Path = "/baton/v1/lifecycle"
	}
	var err error
	// A gap is never jumped over in silence: records that are gone are an error.
	c.fetcher, err = kgo.NewClient(append(options[:len(options):len(options)], kgo.ConsumeResetOffset(kgo.NoResetOffset()))...)
	if err != nil {
		return nil, err
	}
	if c.server, err = serve(c); err != nil {
		c.fetcher.Close()
		return nil, err
	}
	options = append(options[:len(options):len(options)], config.GroupOptions...)
	options = append(options, kgo.ConsumerGroup(config.Group), kgo.ConsumeTopics(config.Topics...), kgo.DisableAutoCommit(),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.OnPartitionsAssigned(c.onAssigned),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { c.onGone(gone, true) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { c.onGone(gone, false) }))
	c.mu.Lock() // nothing is assigned before c.group is set
	c.group, err = kgo.NewClient(options...)
	if err == nil {
		c.group.PauseFetchTopics(config.Topics...)
		c.clientID, _ = c.group.OptValue(kgo.ClientID).(string)
	}
	c.mu.Unlock()
	if err != nil {
		c.server.Close()
		c.fetcher.Close()
		return nil, err
	}
	go c.loop()
	return c, nil
}

// Next is the next record. io.EOF: the consumer has left its group.
func (c *Consumer) Next(ctx context.Context) (*kgo.Record, error) {
	for {
		record, err := c.take()
		if record != nil || err != nil {
			return record, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.arrived:
		}
	}
}

// Done says that the record's effects are safe: it may be committed.
func (c *Consumer) Done(record *kgo.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.inFlight[record]
	if p == nil {
		return
	}
	delete(c.inFlight, record)
	delete(p.inFlight, record.Offset)
	c.done++
	if !p.attached && len(p.inFlight) == 0 {
		c.wake() // somebody waits for it
	}
}

// Epoch of the baton under which a record that is not done was handed over: a fencing token for whatever the record changes.
func (c *Consumer) Epoch(record *kgo.Record) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.inFlight[record]; p != nil {
		return p.epoch
	}
	return 0
}

// Close holds everything, waits until what is in flight is done (as long as ctx lets it), commits, leaves, and serves no more.
func (c *Consumer) Close(ctx context.Context) {
	c.mu.Lock()
	c.closing = true
	c.wake()
	c.mu.Unlock()
	select {
	case <-c.over:
	case <-ctx.Done(): // what is not done will be delivered again
	}
	c.leave()
	c.fetcher.Close()
	c.server.Close()
}

// take is the gate: a record passes only if its partition runs, and in its order.
func (c *Consumer) take() (*kgo.Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.fetched) > 0 {
		f := c.fetched[0]
		c.fetched = c.fetched[1:]
		if len(c.fetched) == fetchedMax/2 {
			c.wake() // there is room again
		}
		p := f.of
		if !p.attached || p.turn != f.turn || f.record.Offset < p.position {
			continue
		}
		if p.first == none {
			p.first = f.record.Offset
		}
		p.position = f.record.Offset + 1
		p.inFlight[f.record.Offset] = true
		c.inFlight[f.record] = p
		c.tell() // others may wait as well
		return f.record, nil
	}
	if c.left {
		c.tell()
		return nil, io.EOF
	}
	return nil, c.failed
}

func (c *Consumer) tell() {
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// --- the loop ------------------------------------------------------------------------------------------------------

func (c *Consumer) loop() {
	defer close(c.over)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), lookEvery)
		c.mu.Lock()
		leave := c.act(time.Now())
		c.wake = cancel
		poll := len(c.running) > 0 && len(c.fetched) < fetchedMax/2
		c.mu.Unlock()
		if leave {
			cancel()
			c.leave()
			return
		}
		if poll {
			c.poll(ctx)
		} else {
			<-ctx.Done()
		}
		cancel()
	}
}

// poll: what it brings belongs to the partitions that are attached now, since only this goroutine attaches.
func (c *Consumer) poll(ctx context.Context) {
	fetches := c.fetcher.PollRecords(ctx, fetchedMax/2)
	c.mu.Lock()
	defer c.mu.Unlock()
	fetches.EachRecord(func(r *kgo.Record) {
		if p := c.running[key{r.Topic, r.Partition, 0}]; p != nil {
			c.fetched = append(c.fetched, fetched{r, p, p.turn})
		}
	})
	for _, e := range fetches.Errors() {
		if errors.Is(e.Err, kerr.OffsetOutOfRange) {
			c.failed = e.Err // Next() says so
		}
	}
	c.tell()
}

// act makes what is so what is desired, as far as it goes. True: leave the group. Under mu.
func (c *Consumer) act(now time.Time) bool {
	d := c.desired
	if d == nil {
		d = &desired{FenceMs: 45000, CommitEveryMs: 1000}
	}
	leave := c.closing || d.Leave
	for k, p := range c.partitions {
		if d.told[k] == nil && !p.assigned {
			delete(c.partitions, k) // rule 6: the agent has heard its last numbers
		}
	}
	var mine, runs, ready, stop, commit []*partition
	for k, p := range c.partitions {
		if !p.assigned {
			continue
		}
		w := d.told[k]
		if w == nil || leave || p.leaving {
			w = &word{State: "hold"}
		}
		mine = append(mine, p)
		fenced := p.committed != none && now.Sub(p.committedAt) >= time.Duration(d.FenceMs)*time.Millisecond
		mayRun := w.State == "run" && p.epoch == w.Epoch && p.epoch > 0 && (p.ready || p.ran)
		if p.attached && (fenced || !mayRun) {
			stop = append(stop, p)
		}
		if c.committing {
			continue // nothing begins before what is under way is known
		}
		if mayRun && !fenced && !p.attached {
			runs = append(runs, p)
		}
		if w.State == "hold" || w.State == "run" && !mayRun {
			if p.ready = false; !p.ran && p.committed != p.position {
				p.position, p.committed = none, none // a start that was not accepted, and is not wanted any more
			}
		}
		begins := w.State == "ready" && !p.attached && len(p.inFlight) == 0 && !(p.ready && p.position == w.From &&
			p.committed == w.From && p.epoch == w.Epoch && p.metadata == w.Metadata)
		if begins {
			p.epoch, p.metadata, p.position, p.first, p.committed = w.Epoch, w.Metadata, w.From, none, none
			p.ready, p.ran = false, false
			ready = append(ready, p)
		}
		running := p.attached && mayRun && !fenced
		if now.After(p.retryAt) && (begins || mayRun && fenced || // the sign of life that lets it go on
			p.ran && running && now.Sub(p.committedAt) >= time.Duration(d.CommitEveryMs)*time.Millisecond ||
			p.ran && !running && p.committed != p.low()) {
			commit = append(commit, p)
		}
	}
	c.detach(stop)
	if c.committing {
		return false
	}
	c.attach(runs)
	if len(commit) > 0 {
		c.committing = true
		go func() {
			c.commit(commit)
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, p := range ready {
				p.ready = p.assigned && p.committed == p.position
			}
			c.committing = false
			c.actedUpon(d.Revision)
			c.wake()
		}()
		return false
	}
	c.actedUpon(d.Revision)
	for _, p := range mine {
		if len(p.inFlight) > 0 || p.committed != p.position {
			return false
		}
	}
	return leave
}

func (c *Consumer) actedUpon(revision uint64) {
	if revision > c.revision {
		c.revision = revision
		close(c.turned)
		c.turned = make(chan struct{})
	}
}

func (c *Consumer) attach(ps []*partition) {
	from := map[string]map[int32]kgo.Offset{}
	for _, p := range ps {
		p.attached, p.ran, p.ready = true, true, false
		p.turn++
		c.running[key{p.topic, p.number, 0}] = p
		if from[p.topic] == nil {
			from[p.topic] = map[int32]kgo.Offset{}
		}
		from[p.topic][p.number] = kgo.NewOffset().At(p.position)
	}
	c.fetcher.AddConsumePartitions(from)
}

func (c *Consumer) detach(ps []*partition) {
	gone := map[string][]int32{}
	for _, p := range ps {
		p.attached = false
		delete(c.running, key{p.topic, p.number, 0})
		gone[p.topic] = append(gone[p.topic], p.number)
	}
	c.fetcher.RemoveConsumePartitions(gone)
}

// commit what is finished, with the mark; what Kafka does not accept is tried again by act().
func (c *Consumer) commit(ps []*partition) {
	c.commits.Lock()
	defer c.commits.Unlock()
	asked := time.Now()
	offsets, marks := map[string]map[int32]kgo.EpochOffset{}, map[key]string{}
	wanted, accepted := map[*partition]int64{}, map[key]bool{}
	c.mu.Lock()
	for _, p := range ps {
		if offsets[p.topic] == nil {
			offsets[p.topic] = map[int32]kgo.EpochOffset{}
		}
		wanted[p] = p.low()
		offsets[p.topic][p.number] = kgo.EpochOffset{Epoch: -1, Offset: p.low()}
		marks[key{p.topic, p.number, 0}] = p.metadata
	}
	c.mu.Unlock()
	if len(ps) == 0 {
		return
	}
	ctx := kgo.PreCommitFnContext(context.Background(), func(request *kmsg.OffsetCommitRequest) error {
		for i := range request.Topics {
			for k := range request.Topics[i].Partitions {
				p := &request.Topics[i].Partitions[k]
				mark := marks[key{request.Topics[i].Topic, p.Partition, 0}]
				p.Metadata = &mark
			}
		}
		return nil
	})
	c.group.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, q *kmsg.OffsetCommitRequest, r *kmsg.OffsetCommitResponse, err error) {
		if err != nil || r == nil {
			return
		}
		names := map[[16]byte]string{} // newer brokers answer with ids alone
		for _, t := range q.Topics {
			names[t.TopicID] = t.Topic
		}
		for _, t := range r.Topics {
			topic := t.Topic
			if topic == "" {
				topic = names[t.TopicID]
			}
			for _, p := range t.Partitions {
				accepted[key{topic, p.Partition, 0}] = p.ErrorCode == 0
			}
		}
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, offset := range wanted {
		if accepted[key{p.topic, p.number, 0}] {
			p.committed, p.committedAt = offset, asked
		} else {
			p.retryAt = asked.Add(retryAfter)
		}
	}
}

// --- the group -----------------------------------------------------------------------------------------------------

func (c *Consumer) onAssigned(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined = true
	c.assignment++
	for topic, numbers := range assigned {
		for _, n := range numbers {
			c.partitions[key{topic, n, c.assignment}] = &partition{topic: topic, number: n, assignment: c.assignment, assigned: true,
				first: none, position: none, committed: none, inFlight: map[int64]bool{}}
		}
	}
	c.wake()
}

// onGone: stop, finish what can be finished, commit, let go.
func (c *Consumer) onGone(gone map[string][]int32, commit bool) {
	var ps, attached []*partition
	c.mu.Lock()
	for topic, numbers := range gone {
		for _, n := range numbers {
			for _, p := range c.partitions {
				if p.topic == topic && p.number == n && p.assigned {
					p.leaving = true
					ps = append(ps, p)
					if p.attached {
						attached = append(attached, p)
					}
				}
			}
		}
	}
	c.detach(attached)
	c.mu.Unlock()
	if commit {
		c.finish(ps)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range ps {
		p.assigned, p.ready = false, false
		if p.position == none {
			delete(c.partitions, key{p.topic, p.number, p.assignment})
		}
	}
}

func (c *Consumer) finish(ps []*partition) {
	for by := time.Now().Add(revokeWait); time.Now().Before(by); time.Sleep(5 * time.Millisecond) {
		left := 0
		c.mu.Lock()
		for _, p := range ps {
			left += len(p.inFlight)
		}
		c.mu.Unlock()
		if left == 0 {
			break
		}
	}
	var commit []*partition
	c.mu.Lock()
	for _, p := range ps {
		if p.ran && p.committed != p.low() {
			commit = append(commit, p)
		}
	}
	c.mu.Unlock()
	c.commit(commit)
}

func (c *Consumer) leave() { c.leaving.Do(c.leaveOnce) }

func (c *Consumer) leaveOnce() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWait)
	defer cancel()
	c.group.LeaveGroupContext(ctx)
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()
	c.group.Close()
	c.tell()
}
