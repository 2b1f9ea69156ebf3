// The same work twice in Go: by hand with franz-go, and as the command of `baton run`.
//
//	peer hand BOOTSTRAP TOPIC COUNT TURN
//	peer run COUNT
//
// See run_peer.py for the work and what is told at the end.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type order struct {
	Customer string `json:"customer"`
	Amount   int64  `json:"amount"`
}

var (
	sums  = map[string]int64{}
	began time.Time
	seen  int
)

func work(o *order) {
	if seen == 0 {
		began = time.Now()
	}
	seen++
	sums[o.Customer] += o.Amount
}

func tell() {
	var used syscall.Rusage
	var sum int64
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	for _, amount := range sums {
		sum += amount
	}
	cpu := float64(used.Utime.Sec+used.Stime.Sec) + float64(used.Utime.Usec+used.Stime.Usec)/1e6
	fmt.Fprintf(os.Stderr, `{"seconds":%f,"records":%d,"sum":%d,"cpu":%f}`+"\n", time.Since(began).Seconds(), seen, sum, cpu)
}

func byHand(bootstrap, topic string, count int, turn string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(topic+"-go-"+turn), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		log.Fatal(err)
	}
	for seen < count {
		fetches := client.PollFetches(context.Background())
		fetches.EachRecord(func(r *kgo.Record) {
			var o order
			if err := json.Unmarshal(r.Value, &o); err != nil {
				log.Fatal(err)
			}
			work(&o)
		})
	}
	tell()
	client.Close()
}

func run(count int) {
	lines := bufio.NewReaderSize(os.Stdin, 2<<20) // a line has at most 1 MiB
	var batch struct {
		ID      uint64 `json:"id"`
		Records []struct {
			Value order `json:"value"`
		} `json:"records"`
	}
	for {
		batch.Records = batch.Records[:0]
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return // stdin was closed: the end
		}
		if err := json.Unmarshal(line, &batch); err != nil {
			log.Fatal(err)
		}
		for i := range batch.Records {
			work(&batch.Records[i].Value)
		}
		fmt.Println(batch.ID)
		if seen == count {
			tell()
		}
	}
}

func main() {
	if os.Args[1] == "run" {
		count, _ := strconv.Atoi(os.Args[2])
		run(count)
		return
	}
	count, _ := strconv.Atoi(os.Args[4])
	byHand(os.Args[2], os.Args[3], count, os.Args[5])
}
