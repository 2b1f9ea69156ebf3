// What agent_app.py is, in Go: a consumer as a user would write it with integrations/go.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"baton/lifecycle"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	out := flag.String("out", "", "")
	hold := flag.String("hold", "", "")
	color := flag.String("color", "", "")
	port := flag.Int("port", 0, "")
	var topics []string
	properties := map[string]string{}
	flag.Func("topic", "", func(topic string) error { topics = append(topics, topic); return nil })
	flag.Func("X", "", func(text string) error {
		name, value, _ := strings.Cut(text, "=")
		properties[name] = value
		return nil
	})
	flag.Parse()

	milliseconds := func(name string) time.Duration {
		d, err := time.ParseDuration(properties[name] + "ms")
		if err != nil {
			log.Fatal(err)
		}
		return d
	}
	file, err := os.OpenFile(*out, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	consumer, err := lifecycle.New(lifecycle.Config{Group: properties["group.id"], Topics: topics, Address: fmt.Sprintf("127.0.0.1:%d", *port),
		GroupOptions: []kgo.Opt{kgo.SessionTimeout(milliseconds("session.timeout.ms")),
			kgo.HeartbeatInterval(milliseconds("heartbeat.interval.ms"))}},
		kgo.SeedBrokers(properties["bootstrap.servers"]), kgo.ClientID(properties["client.id"]))
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for {
		r, err := consumer.Next(ctx)
		if err == io.EOF {
			<-ctx.Done() // it serves its document until it is ended
		}
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		for _, err := os.Stat(*hold); err == nil; _, err = os.Stat(*hold) {
			time.Sleep(2 * time.Millisecond)
		}
		number, _, _ := strings.Cut(string(r.Value), " ")
		fmt.Fprintf(file, "%d %d %s %d %s %d %s\n", r.Partition, r.Offset, number, consumer.Epoch(r), *color, time.Now().UnixMicro(), r.Topic)
		consumer.Done(r)
	}
	ctx, stop = context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	consumer.Close(ctx)
}
