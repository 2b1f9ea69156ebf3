// A whole consumer in Go: a line in, an acknowledgement out.
//
//	go build -o consumer main.go
//	baton run payments --color blue -- ./consumer
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
)

type record struct {
	ID        uint64  `json:"id"`
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
	Key       *string `json:"key"`
	Value     *string `json:"value"` // nil: a tombstone
}

func work(r *record) error {
	if r.Value != nil {
		fmt.Fprintln(os.Stderr, r.Partition, r.Offset, *r.Value) // stdout is for acknowledgements
	}
	return nil
}

func main() {
	lines := json.NewDecoder(bufio.NewReaderSize(os.Stdin, 1<<20))
	acks := json.NewEncoder(os.Stdout)
	for {
		var r record
		if err := lines.Decode(&r); err == io.EOF {
			return // stdin was closed: everything is acknowledged, the end
		} else if err != nil {
			log.Fatal(err)
		}
		if err := work(&r); err != nil {
			acks.Encode(map[string]any{"id": r.ID, "error": err.Error()})
		} else {
			acks.Encode(r.ID)
		}
	}
}
